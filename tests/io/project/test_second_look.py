"""A new model changes what the review asks about, and nothing that is there."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.io.project.plane import AnnotatedPlane
from napari_sartorius.io.project.second_look import look_again

SIZE = (40, 60)


def squares(*corners: tuple[int, int], side: int = 8) -> CropMasks:
    """Squares at (x, y)."""
    bitmaps = [np.ones((side, side), bool)] * len(corners)
    return CropMasks.from_bitmaps(bitmaps, np.array(corners), SIZE)


def found(*corners: tuple[int, int]) -> Instances:
    masks = squares(*corners)
    return Instances.from_masks(masks, np.full(len(masks), 0.75, np.float32))


@pytest.fixture
def plane() -> AnnotatedPlane:
    """Cells 1 to 4 in a row; the model found them, a person accepted 2."""
    rows = [
        {"category": "a", "score": 0.9, "source": "model", "reviewed": n == 1} for n in range(4)
    ]
    corners = [(2, 4), (14, 4), (26, 4), (38, 4)]
    return AnnotatedPlane(squares(*corners), [1, 2, 3, 4], rows, [None] * 4)


def test_what_it_sees_and_does_not_see(plane: AnnotatedPlane) -> None:
    before = plane.values.copy()
    look = look_again(plane, 7, found((2, 4), (27, 4), (20, 28)))
    assert (look.compared, look.unseen) == (3, 1)
    assert look.edit is not None
    assert look.edit.values.size == 0
    assert sorted(look.edit.rows) == [1, 3, 4]  # 2 is a person's
    rows = look.edit.rows
    assert rows[1] | {"agreement": 1.0, "mask_agreement": 1.0} == rows[1]
    assert rows[3]["mask_agreement"] == pytest.approx(7 / 9, abs=1e-4)
    assert rows[4]["agreement"] == 0.5
    assert "mask_agreement" not in rows[4]
    assert look.places == [((28, 20, 36, 28), 0.75)]
    plane.apply(look.edit)
    np.testing.assert_array_equal(plane.values, before)
    assert {label: row["score"] for label, row in plane.rows.items()} == dict.fromkeys(
        (1, 2, 3, 4), 0.9
    )


def test_a_second_model_that_sees_it_takes_half_the_doubt_back(plane: AnnotatedPlane) -> None:
    for seen, expected in ((False, 0.5), (True, 0.75)):
        look = look_again(plane, 7, found((38, 4)) if seen else found((20, 28)))
        assert look.edit is not None
        plane.apply(look.edit)
        assert plane.rows[4]["agreement"] == expected


def test_nothing_open_is_nothing_to_compare(plane: AnnotatedPlane) -> None:
    for row in plane.rows.values():
        row["reviewed"] = True
    look = look_again(plane, 7, found((2, 4)))
    assert (look.edit, look.compared, look.places) == (None, 0, [])
    with pytest.raises(ValueError, match="found on"):
        look_again(plane, 7, Instances.empty((9, 9)))
