"""The configuration round-trips through JSON and refuses nonsense in words."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from napari_sartorius.inference.config import SegmentConfig


def test_defaults_are_valid_and_round_trip() -> None:
    config = SegmentConfig()
    assert SegmentConfig.from_json(config.to_json()) == config


def test_everything_set_round_trips() -> None:
    config = SegmentConfig(
        model="nuclei",
        cell_type="astro",
        preset="best",
        device="cuda:1",
        precision="bfloat16",
        diameter=31.5,
        pixel_size=0.65,
        min_score=0.4,
        score_thresholds={"astro": 0.3},
        min_size=40,
        mask_nms=0.2,
        max_objects_per_tile=500,
        tile=512,
        channel=2,
    )
    again = SegmentConfig.from_json(config.to_json())
    assert again == config
    assert again.tile == 512
    assert again.channel == 2


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"device": "gpu"}, "unknown device"),
        ({"device": "cuda:x"}, "unknown device"),
        ({"tile": 10}, "too small"),
        ({"tile": "huge"}, "tile"),
        ({"channel": -1}, "count from 0"),
        ({"min_score": 1.2}, "less than or equal to 1"),
        ({"diameter": 0.0}, "greater than 0"),
        ({"pixel_size": float("nan")}, "finite"),
        ({"score_thresholds": {"astro": -0.1}}, "greater than or equal to 0"),
        ({"max_objects_per_tile": 0}, "greater than or equal to 1"),
        ({"modell": "neurons"}, "Extra inputs"),
    ],
)
def test_nonsense_is_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        SegmentConfig.model_validate(values)


def test_is_frozen() -> None:
    config = SegmentConfig()
    with pytest.raises(ValidationError):
        config.model = "other"  # type: ignore[misc]


def test_imports_no_torch() -> None:
    code = (
        "import sys, napari_sartorius.inference.config;"
        "sys.exit(any(m in sys.modules for m in ('torch', 'qtpy', 'napari')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
