"""The columns that travel together, and the table that leaves the house."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from skimage.measure import regionprops

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks

from .mask_strategies import Stack, stacks


def three() -> Instances:
    stack = np.zeros((3, 8, 10), np.bool_)
    stack[0, 1:4, 2:5] = stack[1, 2:6, 4:9] = stack[2, 7, 9] = True
    instances = Instances.from_masks(CropMasks.from_full(stack), [0.5, 0.25, 0.75], [2, 0, 1])
    instances.columns["source"] = np.array(["a", "b", "c"])
    return instances


def test_choosing_keeps_columns_together() -> None:
    chosen = three()[[2, 0]]
    np.testing.assert_array_equal(chosen.scores, np.float32([0.75, 0.5]))
    np.testing.assert_array_equal(chosen.categories, [1, 2])
    np.testing.assert_array_equal(chosen.columns["source"], ["c", "a"])
    np.testing.assert_array_equal(chosen.boxes, [(9, 7, 10, 8), (2, 1, 5, 4)])
    np.testing.assert_array_equal(chosen.masks.area(), [1, 9])
    assert len(three()[three().scores > 0.4]) == 2
    assert len(three()[-1]) == 1
    assert len(three()[[]]) == 0


def test_sorting_is_stable() -> None:
    instances = three()[[0, 1, 1, 2, 0]]
    instances.columns["place"] = np.arange(5)
    np.testing.assert_array_equal(instances.sort_by_score().columns["place"], [3, 0, 4, 1, 2])


def test_joining() -> None:
    both = Instances.concatenate([three(), Instances.empty((8, 10)), three()[1:]])
    assert len(both) == 5
    np.testing.assert_array_equal(both.columns["source"], ["a", "b", "c", "b", "c"])
    assert len(Instances.concatenate([Instances.empty((3, 4))] * 2)) == 0
    bare = three()
    bare.columns = {}
    with pytest.raises(ValueError, match="extra columns"):
        Instances.concatenate([three(), bare])


def test_unequal_columns_are_refused() -> None:
    masks = three().masks
    with pytest.raises(ValueError, match="3 scores"):
        Instances.from_masks(masks, scores=[1.0])
    with pytest.raises(ValueError, match="3 categories"):
        Instances.from_masks(masks, categories=[1, 2])
    with pytest.raises(ValueError, match="3 boxes"):
        Instances((8, 10), np.zeros((2, 4)), np.ones(3), np.ones(3), masks)
    with pytest.raises(ValueError, match="image"):
        Instances((9, 10), np.zeros((3, 4)), np.ones(3), np.ones(3), masks)


def test_labels_and_their_table() -> None:
    labels, table = three().to_labels()
    assert next(iter(table)) == "index"
    np.testing.assert_array_equal(table["index"], [1, 2, 3])
    assert labels[1, 2] == 1 and labels[5, 8] == 2 and labels[7, 9] == 3
    assert labels[3, 4] == 1, "the earlier object is on top"
    named = three().table(category_names=["x", "y", "z"])
    np.testing.assert_array_equal(named["category"], ["z", "x", "y"])
    assert named["source"].tolist() == ["a", "b", "c"]
    assert {len(column) for column in named.values()} == {3}
    assert set(Instances.empty((4, 4)).table(0.5)) >= {"area_um2", "solidity", "score"}


def test_extra_columns_do_not_hide_what_was_measured() -> None:
    instances = three()
    instances.columns["area"] = np.array([1, 2, 3])
    np.testing.assert_array_equal(instances.table()["area"], [9, 20, 1])


@given(stacks(max_side=24))
def test_table_equals_scikit_image(stack: Stack) -> None:
    table = Instances.from_masks(CropMasks.from_full(stack)).table()
    for i, mask in enumerate(stack):
        if not mask.any():
            assert table["area"][i] == 0
            assert np.isnan([table[k][i] for k in ("centroid_y", "major_axis", "solidity")]).all()
            continue
        region = regionprops(mask.astype(np.uint8))[0]
        assert table["area"][i] == region.area
        y0, x0, y1, x1 = region.bbox
        assert [table[f"bbox_{k}"][i] for k in ("x0", "y0", "x1", "y1")] == [x0, y0, x1, y1]
        measured = [table[k][i] for k in ("centroid_y", "centroid_x", "major_axis", "minor_axis")]
        expected = [*region.centroid, region.axis_major_length, region.axis_minor_length]
        np.testing.assert_allclose(measured, expected, atol=2e-6)
        # The hull is counted in whole numbers here; scikit-image rounds and warns on lines.
        if min(mask.any(axis=0).sum(), mask.any(axis=1).sum()) > 1:
            np.testing.assert_allclose(table["solidity"][i], region.solidity, atol=1e-9)


def test_solidity_of_lines_and_diagonals() -> None:
    stack = np.zeros((3, 6, 6), np.bool_)
    stack[0, 2] = True
    stack[1, :, 3] = True
    stack[2, [0, 5], [0, 5]] = True
    solidity = Instances.from_masks(CropMasks.from_full(stack)).table()["solidity"]
    np.testing.assert_allclose(solidity, [1, 1, 2 / 6])


def test_micrometres() -> None:
    plain = three().table()
    table = three().table((0.5, 2.0))
    np.testing.assert_allclose(table["area_um2"], plain["area"] * 1.0)
    np.testing.assert_allclose(table["centroid_y_um"], plain["centroid_y"] * 0.5)
    np.testing.assert_allclose(table["bbox_x1_um"], plain["bbox_x1"] * 2.0)
    even = three().table(0.5)
    np.testing.assert_allclose(even["major_axis_um"], plain["major_axis"] * 0.5)
    # A square of 3 x 3 pixels is 1.5 by 6 micrometres.
    side = np.sqrt((3**2 - 1) / 12)
    np.testing.assert_allclose(table["major_axis_um"][0], 4 * side * 2.0)
    np.testing.assert_allclose(table["minor_axis_um"][0], 4 * side * 0.5)
    with pytest.raises(ValueError, match="positive"):
        three().table(0.0)
