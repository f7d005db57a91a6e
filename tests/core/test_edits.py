"""Corrections change what they are asked to change and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_sartorius.core import edits
from napari_sartorius.core.edits import BoxIndex, Patch

planes = hnp.arrays(
    np.uint16,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14),
    elements=st.integers(0, 4),
)


def pixels(plane, label):
    return set(zip(*np.nonzero(plane == label), strict=True))


def applied(plane, patch):
    copy = plane.copy()
    patch.apply(copy)
    return copy


def others_kept(before, after, touched):
    """No object that was not named loses or gains a pixel."""
    return all(
        pixels(before, label) == pixels(after, label)
        for label in (set(np.unique(before)) | set(np.unique(after))) - {0} - set(touched)
    )


def assert_index_is(boxes, plane):
    fresh = BoxIndex(plane)
    assert set(boxes) == set(fresh) == set(np.unique(plane).tolist()) - {0}
    for label in fresh:
        assert boxes[label] == fresh[label]
        assert boxes.area(label) == fresh.area(label) == int((plane == label).sum())


@given(planes)
def test_boxes_are_tight(plane):
    boxes = BoxIndex(plane)
    for label in set(np.unique(plane).tolist()) - {0}:
        y, x = np.nonzero(plane == label)
        assert boxes[label] == (y.min(), x.min(), y.max() + 1, x.max() + 1)
        assert boxes.area(label) == len(y)
    assert 99 not in boxes and boxes.area(99) == 0


@given(planes, st.data())
def test_boxes_follow_any_change(plane, data):
    boxes = BoxIndex(plane)
    for _ in range(3):
        new = data.draw(hnp.arrays(np.uint16, plane.shape, elements=st.integers(0, 5)))
        asked = data.draw(hnp.arrays(np.bool_, plane.shape))
        y, x = np.nonzero(asked & (new != plane))
        before = plane[y, x]
        plane[y, x] = new[y, x]
        boxes.update(plane, y, x, before)
        assert_index_is(boxes, plane)


@given(planes, st.sets(st.integers(1, 6)))
def test_delete_removes_the_named_objects_only(plane, labels):
    after = applied(plane, edits.delete(plane, BoxIndex(plane), labels))
    np.testing.assert_array_equal(after, np.where(np.isin(plane, list(labels)), 0, plane))


@given(planes, st.lists(st.integers(1, 4), unique=True), st.integers(1, 4))
def test_merge_adds_areas_up(plane, labels, into):
    after = applied(plane, edits.merge(plane, BoxIndex(plane), labels, into))
    assert (after == into).sum() == np.isin(plane, [*labels, into]).sum()
    assert others_kept(plane, after, {*labels, into})


@given(planes, st.dictionaries(st.integers(1, 4), st.integers(5, 9)))
def test_relabel_moves_masks_as_they_are(plane, changes):
    after = applied(plane, edits.relabel(plane, BoxIndex(plane), changes))
    table = np.array([changes.get(i, i) for i in range(5)])
    np.testing.assert_array_equal(after, table[plane])


@given(planes, st.lists(st.integers(1, 5), unique=True))
def test_grow_takes_background_only(plane, labels):
    after = applied(plane, edits.grow(plane, BoxIndex(plane), labels))
    assert ((plane == 0) | (after == plane)).all()
    for label in labels:
        own = np.pad(plane == label, 1)
        near = own.copy()
        for axis in (0, 1):
            for step in (-1, 1):
                near |= np.roll(own, step, axis)
        assert pixels(after, label) <= set(zip(*np.nonzero(near[1:-1, 1:-1]), strict=True))
    named = np.isin(plane, labels)
    reach = np.pad(named, 1)
    reach = reach[:-2, 1:-1] | reach[2:, 1:-1] | reach[1:-1, :-2] | reach[1:-1, 2:]
    # every background pixel beside a named object belongs to one of them now
    assert (after[(plane == 0) & reach] > 0).all()
    assert (after[(plane == 0) & ~reach] == 0).all()


@given(planes, st.lists(st.integers(1, 5), unique=True))
def test_shrink_takes_away_and_never_everything(plane, labels):
    after = applied(plane, edits.shrink(plane, BoxIndex(plane), labels))
    assert set(np.unique(after)) - {0} == set(np.unique(plane)) - {0}
    assert ((after == plane) | (after == 0)).all()
    assert others_kept(plane, after, labels)


@given(planes)
def test_growing_and_shrinking_gives_back_at_least_the_object(plane):
    plane = np.pad((plane == 1).astype(np.uint16), 3)
    grown = applied(plane, edits.grow(plane, BoxIndex(plane), [1]))
    back = applied(grown, edits.shrink(grown, BoxIndex(grown), [1]))
    assert pixels(plane, 1) <= pixels(back, 1)
    shrunk = applied(plane, edits.shrink(plane, BoxIndex(plane), [1]))
    again = applied(shrunk, edits.grow(shrunk, BoxIndex(shrunk), [1]))
    assert pixels(again, 1) <= pixels(plane, 1) or pixels(shrunk, 1) == pixels(plane, 1)


@given(planes, st.data())
def test_drawn_areas_respect_other_objects_unless_asked(plane, data):
    height, width = plane.shape
    y, x = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    shape = (
        data.draw(st.integers(1, height - y)),
        data.draw(st.integers(1, width - x)),
    )
    mask = data.draw(hnp.arrays(np.bool_, shape))
    full = np.zeros(plane.shape, bool)
    full[y : y + shape[0], x : x + shape[1]] = mask

    after = applied(plane, edits.draw(plane, mask, (y, x), 9))
    np.testing.assert_array_equal(after, np.where(full & (plane == 0), 9, plane))
    after = applied(plane, edits.draw(plane, mask, (y, x), 9, overwrite=True))
    np.testing.assert_array_equal(after, np.where(full, 9, plane))
    after = applied(plane, edits.carve(plane, mask, (y, x), [1, 3]))
    np.testing.assert_array_equal(after, np.where(full & np.isin(plane, [1, 3]), 0, plane))


def test_first_patch_wins_and_no_pixel_is_listed_twice():
    mask = np.ones((2, 3), bool)
    joined = Patch.join([Patch.where(mask, (0, 0), 5), Patch.where(mask, (1, 1), 7)])
    plane = np.zeros((4, 5), int)
    joined.apply(plane)
    assert plane.tolist() == [[5, 5, 5, 0, 0], [5, 5, 5, 7, 0], [0, 7, 7, 7, 0], [0] * 5]
    assert len(set(zip(joined.y.tolist(), joined.x.tolist(), strict=True))) == len(joined)
    assert len(joined.effective(plane)) == 0


def test_an_area_outside_the_image_is_refused():
    with pytest.raises(ValueError, match="leaves"):
        edits.draw(np.zeros((4, 4), int), np.ones((3, 3), bool), (2, 2), 1)


@pytest.mark.parametrize(("overwrite", "area"), [(False, 8), (True, 12)])
def test_exchange_puts_another_mask_in_an_objects_place(overwrite, area):
    plane = np.zeros((6, 10), np.uint16)
    plane[1:5, 1:5] = 1
    plane[1:5, 5:7] = 2
    mask = np.ones((4, 3), np.bool_)  # two columns of the object, one of its neighbour
    patch, found = edits.exchange(plane, BoxIndex(plane), 1, 3, mask, (1, 3), overwrite)
    patch.apply(plane)
    assert (plane == 3).sum() == area
    assert not (plane == 1).any()
    assert (plane == 2).sum() == (4 if overwrite else 8)
    assert found == pytest.approx(8 / (16 + area - 8))


def test_exchange_with_nothing_free_changes_nothing():
    plane = np.zeros((4, 4), np.uint16)
    plane[:2], plane[2:] = 1, 2
    patch, overlap = edits.exchange(plane, BoxIndex(plane), 1, 3, np.ones((1, 4), bool), (3, 0))
    assert (len(patch), overlap) == (0, 0.0)
