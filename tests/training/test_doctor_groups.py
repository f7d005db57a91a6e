"""Wells on both sides of a split, told apart by their plates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from annotated_discs import dataset_of_masks, discs
from napari_sartorius.training.doctor.check import check_dataset

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ({"well": "B2"}, {"well": "B2"}, ["well B2 is in several splits"]),
        ({"well": "B2"}, {"well": "B3"}, []),
        ({"well": "B2", "plate": "p"}, {"well": "B2", "plate": "q"}, []),
        (
            {"well": "B2", "plate": "p"},
            {"well": "B2", "plate": "p"},
            ["well B2 of p is in several splits"],
        ),
        ({"well": "A10", "cell_type": "Huh7"}, {"well": "A10", "cell_type": "SHSY5Y"}, []),
        (  # said once, not by both fields
            {"well": "B2", "plate": "p", "plate_well": "p_B2"},
            {"well": "B2", "plate": "p", "plate_well": "p_B2"},
            ["plate_well p_B2 is in several splits"],
        ),
    ],
)
def test_wells(
    tmp_path: Path, first: dict[str, Any], second: dict[str, Any], said: list[str]
) -> None:
    # marks of fewer than five images do not count
    sides = [(first, "train"), (second, "val"), *[({}, "train"), ({}, "val")] * 2]
    marks = [{"split": side, **mark} for mark, side in sides]
    report = check_dataset(dataset_of_masks(tmp_path, [discs()] * 6, marks))
    found = [one.text for one in report.findings if one.kind == "group on both sides"]
    assert found == said
