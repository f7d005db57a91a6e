"""Splitting and tidying objects: pieces partition the object, areas are kept, neighbours stay."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from napari_sartorius.core.edits import BoxIndex, Patch
from napari_sartorius.postprocess.edits import (
    fill_object_holes,
    one_piece,
    polygon_mask,
    smooth,
    split_by_line,
    split_by_seeds,
    stroke_pixels,
)

planes = hnp.arrays(
    np.uint16,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=16),
    elements=st.integers(0, 3),
)
lines = hnp.arrays(
    np.float64, st.tuples(st.integers(2, 5), st.just(2)), elements=st.floats(-4, 18, width=32)
)


def applied(plane, patch):
    copy = plane.copy()
    patch.apply(copy)
    return copy


def discs(*centres, radius=10, shape=(60, 80)):
    """One object of overlapping discs."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    plane = np.zeros(shape, np.uint16)
    for cy, cx in centres:
        plane[(y - cy) ** 2 + (x - cx) ** 2 <= radius**2] = 1
    return plane


def assert_partition(plane, after, split, first_new):
    new = [label for labels in split.pieces.values() for label in labels]
    assert new == list(range(first_new, first_new + len(new)))
    for label in set(np.unique(plane).tolist()) - {0}:
        family = [label, *split.pieces.get(label, [])]
        np.testing.assert_array_equal(np.isin(after, family), plane == label)
        sizes = [int((after == one).sum()) for one in family]
        assert min(sizes) > 0
        assert sizes[0] == max(sizes)
    assert ((after == 0) == (plane == 0)).all()


@given(planes, lines)
def test_pieces_of_a_line_partition_the_object(plane, points):
    split = split_by_line(plane, BoxIndex(plane), points, 50)
    assert_partition(plane, applied(plane, split.patch), split, 50)


@given(planes)
def test_pieces_of_seeds_partition_the_object(plane):
    split = split_by_seeds(plane, BoxIndex(plane), [1, 2, 7], 50)
    assert 3 not in split.pieces
    assert_partition(plane, applied(plane, split.patch), split, 50)


def test_a_line_through_an_object_makes_two():
    plane = discs((30, 30), (30, 45))
    split = split_by_line(plane, BoxIndex(plane), np.array([[5.0, 37.0], [55.0, 38.0]]), 2)
    after = applied(plane, split.patch)
    assert split.pieces == {1: [2]}
    assert after[30, 25] != after[30, 50]
    assert all(ndimage.label(after == label)[1] == 1 for label in (1, 2))


def test_a_line_that_ends_inside_parts_nothing():
    plane = discs((30, 30))
    split = split_by_line(plane, BoxIndex(plane), np.array([[5.0, 30.0], [30.0, 30.0]]), 2)
    assert split.pieces == {} and len(split.patch) == 0


def test_a_line_parts_only_what_it_may():
    plane = np.zeros((20, 40), np.uint16)
    plane[5:15, 2:18], plane[5:15, 22:38] = 1, 2
    across = np.array([[10.0, 0.0], [10.0, 39.0]])
    assert set(split_by_line(plane, BoxIndex(plane), across, 3).pieces) == {1, 2}
    assert set(split_by_line(plane, BoxIndex(plane), across, 3, [2]).pieces) == {2}


def test_a_part_that_the_line_misses_stays_with_the_object():
    plane = np.zeros((20, 40), np.uint16)
    plane[5:15, 2:18] = 1
    plane[5:8, 30:36] = 1
    split = split_by_line(plane, BoxIndex(plane), np.array([[0.0, 8.0], [19.0, 8.0]]), 5)
    after = applied(plane, split.patch)
    assert (after[5:8, 30:36] == 1).all()
    assert split.pieces == {1: [5]}


@pytest.mark.parametrize("count", [2, 3])
def test_discs_are_parted_at_their_waists(count):
    plane = discs(*[(30, 18 + 17 * i) for i in range(count)])
    split = split_by_seeds(plane, BoxIndex(plane), [1], 2)
    after = applied(plane, split.patch)
    assert len(split.pieces[1]) == count - 1
    assert len({after[30, 18 + 17 * i] for i in range(count)}) == count


def test_a_disc_has_no_waist():
    plane = discs((30, 30), radius=15)
    assert split_by_seeds(plane, BoxIndex(plane), [1], 2).pieces == {}


@given(planes, st.lists(st.integers(1, 4), unique=True))
def test_filling_holes_takes_background_only(plane, labels):
    after = applied(plane, fill_object_holes(plane, BoxIndex(plane), labels))
    assert ((plane == 0) | (after == plane)).all()
    for label in set(labels) & set(np.unique(plane).tolist()):
        assert not (ndimage.binary_fill_holes(after == label) & (after == 0)).any()


@given(planes, st.lists(st.integers(1, 4), unique=True))
def test_smoothing_keeps_area_and_neighbours(plane, labels):
    after = applied(plane, smooth(plane, BoxIndex(plane), labels))
    for label in set(np.unique(plane).tolist()) - {0}:
        assert (after == label).sum() == (plane == label).sum()
        if label not in labels:
            np.testing.assert_array_equal(after == label, plane == label)


def test_smoothing_removes_a_spike():
    plane = discs((30, 40), radius=12)
    plane[30, 52:62] = 1
    after = applied(plane, smooth(plane, BoxIndex(plane), [1]))
    assert not after[30, 56:62].any()


@given(lines)
def test_a_filled_stroke_holds_its_own_line(points):
    mask, (top, left) = polygon_mask(points, (14, 14))
    full = np.zeros((14, 14), bool)
    full[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    y, x = stroke_pixels(points, (14, 14))
    assert full[y, x].all()
    assert len(set(zip(y.tolist(), x.tolist(), strict=True))) == len(y)


def test_a_drawn_square_is_filled():
    mask, corner = polygon_mask(np.array([[2, 2], [2, 6], [6, 6], [6, 2]]), (20, 20))
    assert corner == (2, 2) and mask.shape == (5, 5) and mask.all()


@pytest.mark.parametrize(("at", "kept"), [(None, 6), ((0.5, 0.5), 2), ((3.9, 3.9), 6)])
def test_one_piece_is_kept_at_a_point_or_the_largest(at, kept):
    mask = np.zeros((4, 6), np.bool_)
    mask[0, :2] = True
    mask[1:3, 2:5] = True  # touches the first piece at a corner only
    patch = one_piece(Patch.where(mask, (0, 0), 7), at)
    assert len(patch) == kept
    assert set(patch.values.tolist()) == {7}
