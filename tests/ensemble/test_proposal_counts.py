"""The cell type that proposals tell, against the answers of the 11th place's own code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_sartorius.ensemble.proposal_counts import CountRule, count_places

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("shsy5y", "astro", "cort")


def test_types_are_those_of_the_original(shared_golden: Path) -> None:
    cases = json.loads(
        (shared_golden / "fusion" / "6_theoviel" / "cell_type_from_proposals.json").read_text()
    )
    assert len(cases) > 5
    for case in cases:
        counts = case["locations_with_prob_gt_0.7_per_level"]
        assert CountRule().cell_type(counts) == NAMES[case["cell_type_index"]]


def test_a_place_counts_once_whatever_its_anchors_say() -> None:
    surely, hardly = 3.0, -3.0
    level = np.array([[surely, surely], [hardly, surely], [hardly, hardly]], np.float32)
    assert count_places([level.ravel(), level[2]], 2, 0.7) == [2, 0]
    edge = np.array([np.log(0.7 / 0.3) - 1e-4, np.log(0.7 / 0.3) + 1e-4], np.float32)
    assert count_places([edge], 1, 0.7) == [1]


def test_one_level_tells_no_type() -> None:
    with pytest.raises(ValueError, match="two levels"):
        CountRule().cell_type([10])
