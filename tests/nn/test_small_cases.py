"""Numbers of small networks stored when they were written: a change of any stage shows here.

Run this file to write them anew after a change that is meant.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.config import (
    BoxHeadConfig,
    GridConfig,
    GridHeadConfig,
    MaskFeatureConfig,
    MaskHeadConfig,
    MaskRCNNConfig,
    PointHeadConfig,
    PoolerConfig,
    PyramidConfig,
    SOLOv2Config,
    TrunkConfig,
)
from napari_sartorius.nn.detector import DetectLimits

if TYPE_CHECKING:
    from napari_sartorius.nn.network import Network

FOLDER = Path(__file__).parent / "cases"
_COMMON: dict[str, Any] = {
    "num_classes": 2,
    "trunk": TrunkConfig(name="resnet18", widths=(16, 16, 16, 16)),
    "pyramid": PyramidConfig(width=16),
}
CASES: dict[str, SOLOv2Config | MaskRCNNConfig] = {
    "solov2": SOLOv2Config(
        **_COMMON,
        grids=(GridConfig(stride=8, objects=(0, 32)), GridConfig(stride=16, objects=(24, 1e5))),
        head=GridHeadConfig(layers=2, width=16, groups=4),
        mask_feature=MaskFeatureConfig(width=16, channels=16, groups=4),
        mask_side=28,
    ),
    "pointrend": MaskRCNNConfig(
        **_COMMON,
        box_head=BoxHeadConfig(width=16, layers=1),
        mask_head=MaskHeadConfig(
            pooler=PoolerConfig(resolution=7),
            width=16,
            layers=1,
            points=PointHeadConfig(width=16, points=100, finest=0.3),
        ),
    ),
}
LIMITS = DetectLimits(score=0.05, max_detections=12)


def _fill(network: Network) -> None:
    """Weights from the names of tensors alone, so that they are the same everywhere."""
    state = network.state_dict()
    for name, value in state.items():
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        if value.ndim > 1:
            fan_in = value[0].numel()
            calm = 0.05 if "deltas" in name or "class_logits" in name else 1.0
            drawn = rng.standard_normal(value.shape) * np.sqrt(2 / fan_in) * calm
            state[name] = torch.from_numpy(drawn.astype(np.float32))
        elif name.endswith(("running_var", "weight")):
            state[name] = torch.ones_like(value)
        else:
            state[name] = torch.zeros_like(value)
    network.load_state_dict(state)


def _numbers(case: str) -> dict[str, Any]:
    network = build_network(CASES[case]).eval()
    _fill(network)
    image = np.random.default_rng(0).standard_normal((1, 1, 64, 96)).astype(np.float32)
    found = network.detect(torch.from_numpy(image), LIMITS, [(60, 90)])[0]
    return {
        "boxes": found.boxes.tolist(),
        "scores": found.scores.tolist(),
        "labels": found.labels.tolist(),
        "mask_means": found.mask_probs.mean(dim=(1, 2)).tolist(),
        "first_mask": found.mask_probs[0].flatten()[::7].tolist(),
    }


@pytest.mark.parametrize("case", sorted(CASES))
def test_numbers_are_those_stored(case: str) -> None:
    wanted = json.loads((FOLDER / f"{case}.json").read_text())
    given = _numbers(case)
    assert given["labels"] == wanted["labels"]
    np.testing.assert_allclose(given["boxes"], wanted["boxes"], atol=0.02)
    for name in ("scores", "mask_means", "first_mask"):
        np.testing.assert_allclose(given[name], wanted[name], atol=2e-3)


def _rounded(values: Any) -> Any:
    return [_rounded(v) for v in values] if isinstance(values, list) else round(values, 5)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for _case in CASES:
        _numbers_now = {name: _rounded(values) for name, values in _numbers(_case).items()}
        (FOLDER / f"{_case}.json").write_text(json.dumps(_numbers_now) + "\n")
