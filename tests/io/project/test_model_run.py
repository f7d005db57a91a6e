"""A model run adds to an image and never takes away what a person did."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.io.project import AnnotatedPlane
from napari_sartorius.io.project.model_run import edit_of_run

SIZE = (30, 40)


def _masks(*boxes: tuple[int, int, int, int]) -> CropMasks:
    full = np.zeros((len(boxes), *SIZE), bool)
    for mask, (y0, x0, y1, x1) in zip(full, boxes, strict=True):
        mask[y0:y1, x0:x1] = True
    return CropMasks.from_full(full)


def _plane() -> AnnotatedPlane:
    masks = _masks((0, 0, 6, 6), (10, 0, 16, 6), (20, 0, 26, 6), (0, 20, 6, 26))
    rows = [
        {"category": "a", "source": "drawn", "reviewed": False},
        {"category": "a", "source": "model", "reviewed": True},
        {"category": "b", "source": "model", "reviewed": False},
        {"category": "b", "source": "edited", "reviewed": False},
    ]
    return AnnotatedPlane(masks, [1, 2, 5, 7], rows, [None] * 4)


@pytest.mark.parametrize("keep", ["corrected", "all"])
def test_corrected_objects_stay_to_the_pixel(keep: str) -> None:
    plane = _plane()
    found = Instances.from_masks(
        _masks((1, 1, 7, 7), (10, 4, 16, 12), (20, 1, 26, 7), (20, 20, 28, 28), (21, 21, 27, 27)),
        scores=[0.9, 0.8, 0.7, 0.6, 0.5],
        categories=[0, 1, 1, 0, 1],
    )
    found.columns["agreement"] = np.linspace(0.5, 0.9, 5, dtype=np.float32)
    edit = edit_of_run(plane, 1, found, ["a", "b"], keep)
    assert edit is not None
    before = plane.values.copy()
    rows = {label: dict(row) for label, row in plane.rows.items()}
    plane.apply(edit)
    stay = {1, 2, 7} | ({5} if keep == "all" else set())
    for label in stay:
        np.testing.assert_array_equal(plane.values == label, before == label)
        assert plane.rows[label] == rows[label]
    # the first lies on the drawn cell, the last on a better new one
    fresh = {label: row for label, row in plane.rows.items() if label not in rows}
    assert [row["score"] for row in fresh.values()] == (
        [0.8, 0.6] if keep == "all" else [0.8, 0.7, 0.6]
    )
    assert {row["source"] for row in fresh.values()} == {"model"}
    assert next(iter(fresh.values()))["agreement"] == pytest.approx(0.6)
    assert min(fresh) == 8
    # of the second the part that was free
    assert int((plane.values == 8).sum()) == 6 * 6
    assert set(np.unique(plane.values)) - {0} == stay | set(fresh)


def test_the_same_run_twice_changes_nothing_when_all_is_kept() -> None:
    plane = _plane()
    found = Instances.from_masks(_masks((20, 20, 28, 28)), scores=[0.6])
    first = edit_of_run(plane, 1, found, ["a"], "all")
    assert first is not None
    plane.apply(first)
    assert edit_of_run(plane, 1, found, ["a"], "all") is None


def test_sizes_must_agree() -> None:
    with pytest.raises(ValueError, match="found on"):
        edit_of_run(_plane(), 1, Instances.empty((3, 4)), ["a"])
