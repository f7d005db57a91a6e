"""One category for an image: who wins, and what becomes of the others."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.postprocess.one_category import counted_as, winner

NEW = np.array([False, False, True])


def objects(*cells: tuple[int, int, float]) -> Instances:
    """Squares of (place, category, score); two at one place are one cell with two names."""
    labels = []
    for place, _, _ in cells:
        frame = np.zeros((10, 100), bool)
        frame[2:8, place * 10 + 1 : place * 10 + 9] = True
        labels.append(frame)
    masks = CropMasks.from_full(np.stack(labels))
    return Instances.from_masks(
        masks,
        scores=np.array([cell[2] for cell in cells], np.float32),
        categories=np.array([cell[1] for cell in cells]),
    )


@pytest.mark.parametrize(
    ("vote", "score", "expected"),
    [
        ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0), 2),
        ((1.0, 1.0, 0.3), (0.0, 0.0, 0.0), 0),
        ((0.1, 1.0, 0.1), (0.0, 0.0, 0.0), 1),
        ((1.0, 1.0, 1.0), (0.0, 0.0, 0.85), 0),
        ((1.0, 1.0, 1.0), (0.95, 0.95, 0.95), None),
    ],
)
def test_weighted_scores_of_certain_objects_decide(
    vote: tuple[float, ...], score: tuple[float, ...], expected: int | None
) -> None:
    found = objects((0, 0, 0.9), (1, 1, 0.4), (2, 2, 0.8), (3, 2, 0.8))
    given = np.array(score, np.float32), np.array(vote, np.float32)
    assert winner(found, *given) == expected


def test_nobody_wins_where_nothing_was_found() -> None:
    assert winner(Instances.empty((5, 5)), np.zeros(2, np.float32), np.ones(2, np.float32)) is None


def test_objects_of_a_new_kind_count_as_those_of_the_winner() -> None:
    found = objects((0, 0, 0.5), (0, 2, 0.3), (1, 2, 0.6), (2, 1, 0.7), (3, 0, 0.9), (3, 2, 0.4))
    kept = counted_as(found, 0, NEW)
    assert set(kept.categories.tolist()) == {0}
    # Two names for the cells at 0 and 3, one for that at 1; the other old kind is gone.
    np.testing.assert_allclose(kept.scores, [0.8, 0.8, 0.6, 1.0, 1.0], atol=1e-6)
    np.testing.assert_array_equal(kept.boxes[2], found.boxes[2])


def test_nothing_yields_to_a_new_kind_or_where_nobody_does() -> None:
    found = objects((0, 0, 0.5), (0, 2, 0.3), (1, 1, 0.6))
    assert counted_as(found, 2, NEW).scores.tolist() == pytest.approx([0.3])
    old = counted_as(found, 0, np.zeros(3, bool))
    assert old.scores.tolist() == pytest.approx([0.5])
