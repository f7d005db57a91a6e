"""Crop masks against full-frame arithmetic, which is slow and obviously right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco

from napari_sartorius.core.masks import CropMasks

from .mask_strategies import Stack, stacks, stacks_of_size


def full(masks: CropMasks) -> Stack:
    """All masks as one (N, H, W) stack."""
    frames = [masks.full(i) for i in range(len(masks))]
    return np.stack(frames) if frames else np.zeros((0, *masks.image_size), np.bool_)


def loose(stack: Stack, draw: st.DataObject) -> CropMasks:
    """Masks whose boxes are wider than needed, as networks and croppers make them."""
    tight = CropMasks.from_full(stack)
    height, width = tight.image_size
    origins, bitmaps = [], []
    for mask, box in zip(stack, tight.boxes, strict=True):
        grow = draw.draw(st.tuples(*[st.integers(0, 3)] * 4))
        x0, y0 = max(box[0] - grow[0], 0), max(box[1] - grow[1], 0)
        x1, y1 = min(box[2] + grow[2], width), min(box[3] + grow[3], height)
        origins.append((x0, y0))
        bitmaps.append(mask[y0:y1, x0:x1])
    return CropMasks.from_bitmaps(bitmaps, np.array(origins).reshape(-1, 2), (height, width))


@given(stacks(), st.data())
def test_paste_area_and_boxes(stack: Stack, data: st.DataObject) -> None:
    masks = loose(stack, data)
    np.testing.assert_array_equal(full(masks), stack)
    codes = [coco.encode(np.asfortranarray(m.astype(np.uint8))) for m in stack]
    if codes:
        np.testing.assert_array_equal(masks.area(), coco.area(codes))
        xywh = coco.toBbox(codes)
        expected = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
        expected[stack.sum(axis=(1, 2)) == 0] = 0
        np.testing.assert_array_equal(masks.bounding_boxes(), expected)
    tight = masks.tight()
    np.testing.assert_array_equal(full(tight), stack)
    np.testing.assert_array_equal(tight.boxes, masks.bounding_boxes())


@given(st.integers(1, 12), st.integers(1, 12), st.data())
def test_iou_and_overlaps(height: int, width: int, data: st.DataObject) -> None:
    one = data.draw(stacks_of_size(height, width))
    two = data.draw(stacks_of_size(height, width))
    first, second = loose(one, data), loose(two, data)
    shared = np.einsum("ayx,byx->ab", one.astype(int), two.astype(int))
    rows, cols, counts = first.overlaps(second)
    np.testing.assert_array_equal(np.argwhere(shared), np.stack([rows, cols], axis=1))
    np.testing.assert_array_equal(counts, shared[rows, cols])

    within = np.triu(np.einsum("ayx,byx->ab", one.astype(int), one.astype(int)), k=1)
    rows, cols, counts = first.overlaps()
    np.testing.assert_array_equal(np.argwhere(within), np.stack([rows, cols], axis=1))
    np.testing.assert_array_equal(counts, within[rows, cols])

    if len(one) and len(two):
        expected = coco.iou(second.to_rle(), first.to_rle(), [0] * len(one)).T
        # Two empty masks are 0/0 to pycocotools.
        np.testing.assert_allclose(first.iou(second), np.nan_to_num(expected), rtol=1e-6)


@given(stacks(), st.data())
def test_remove_overlap(stack: Stack, data: st.DataObject) -> None:
    masks = loose(stack, data)
    order = data.draw(st.permutations(range(len(stack))))
    for given_order, used in ((None, range(len(stack))), (order, order)):
        expected, taken = stack.copy(), np.zeros(stack.shape[1:], np.bool_)
        for i in used:
            expected[i] &= ~taken
            taken |= stack[i]
        result = masks.remove_overlap(given_order)
        np.testing.assert_array_equal(full(result), expected)
    np.testing.assert_array_equal(full(masks), stack)


@pytest.mark.parametrize("count, side", [(4, 50), (40, 50), (40, 12)])
def test_large_masks(count: int, side: int) -> None:
    """Few and many overlaps, large and small ones, go different ways inside."""
    random = np.random.default_rng(count)
    yy, xx = np.mgrid[:side, :side] - (side - 1) / 2
    disc = yy**2 + xx**2 < (side / 2) ** 2
    masks = CropMasks.from_bitmaps([disc] * count, random.integers(-5, 125, (count, 2)), (120, 130))
    stack = full(masks)
    shared = np.triu(np.einsum("ayx,byx->ab", stack.astype(int), stack.astype(int)), k=1)
    rows, cols, counts = masks.overlaps()
    np.testing.assert_array_equal(np.argwhere(shared), np.stack([rows, cols], axis=1))
    np.testing.assert_array_equal(counts, shared[rows, cols])
    order = random.permutation(count)
    first = np.full(stack.shape[1:], -1)
    for i in order[::-1]:
        first[stack[i]] = i
    expected = first[None] == np.arange(count)[:, None, None]
    np.testing.assert_array_equal(full(masks.remove_overlap(order)), expected)
    np.testing.assert_array_equal(full(masks), stack)


@given(stacks(), st.data())
def test_label_image_round_trip(stack: Stack, data: st.DataObject) -> None:
    masks = loose(stack, data)
    ids = np.array(data.draw(st.lists(st.integers(1, 70000), min_size=len(stack), unique=True)))
    ids = ids[: len(stack)].astype(np.int64)
    image = masks.to_labels(ids)
    expected = np.zeros(stack.shape[1:], np.int64)
    for mask, label in list(zip(stack, ids, strict=True))[::-1]:
        expected[mask] = label
    np.testing.assert_array_equal(image, expected)
    assert image.dtype == np.min_scalar_type(ids.max() if len(ids) else 0)

    back, found = CropMasks.from_labels(image)
    np.testing.assert_array_equal(found, np.unique(expected[expected > 0]))
    np.testing.assert_array_equal(full(back), expected[None] == found[:, None, None])
    np.testing.assert_array_equal(back.boxes, back.bounding_boxes())


@given(stacks(), st.data())
def test_crop_flip_transpose_translate(stack: Stack, data: st.DataObject) -> None:
    masks = loose(stack, data)
    np.testing.assert_array_equal(full(masks.flip_horizontal()), stack[:, :, ::-1])
    np.testing.assert_array_equal(full(masks.flip_vertical()), stack[:, ::-1])
    np.testing.assert_array_equal(full(masks.transpose()), stack.transpose(0, 2, 1))

    # A frame of nothing on all sides lets windows and shifts reach beyond the image.
    margin = 30
    padded = np.pad(stack, ((0, 0), (margin, margin), (margin, margin)))
    x0, x1 = sorted(data.draw(st.tuples(st.integers(-5, 17), st.integers(-5, 17))))
    y0, y1 = sorted(data.draw(st.tuples(st.integers(-5, 17), st.integers(-5, 17))))
    window, keep = masks.crop(x0, y0, x1, y1)
    seen = padded[:, margin + y0 : margin + y1, margin + x0 : margin + x1]
    np.testing.assert_array_equal(keep, seen.any(axis=(1, 2)))
    np.testing.assert_array_equal(full(window), seen[keep])
    np.testing.assert_array_equal(window.boxes, window.bounding_boxes())

    dx, dy = data.draw(st.tuples(st.integers(-14, 14), st.integers(-14, 14)))
    height, width = data.draw(st.tuples(st.integers(1, 14), st.integers(1, 14)))
    canvas = np.pad(stack, ((0, 0), (30, 30), (30, 30)))
    moved = canvas[:, 30 - dy : 30 - dy + height, 30 - dx : 30 - dx + width]
    result = masks.translate(dx, dy, (height, width))
    np.testing.assert_array_equal(full(result)[:, : moved.shape[1], : moved.shape[2]], moved)
    assert result.image_size == (height, width)
    assert result.area().sum() == moved.sum()


@given(stacks(), st.data())
def test_choosing_and_joining(stack: Stack, data: st.DataObject) -> None:
    masks, count = loose(stack, data), len(stack)
    chosen = data.draw(st.lists(st.integers(0, count - 1), max_size=8)) if count else []
    np.testing.assert_array_equal(full(masks[chosen]), stack[chosen])
    flags = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)), bool)
    np.testing.assert_array_equal(full(masks[flags]), stack[flags])
    np.testing.assert_array_equal(full(masks[1::2]), stack[1::2])
    np.testing.assert_array_equal(full(masks[::-1]), stack[::-1])
    joined = CropMasks.concatenate([masks[flags], masks, masks[chosen]])
    np.testing.assert_array_equal(
        full(joined), np.concatenate([stack[flags], stack, stack[chosen]])
    )
    if count:
        np.testing.assert_array_equal(full(masks[-1]), stack[[-1]])
        np.testing.assert_array_equal(masks.bitmap(-1), masks.bitmap(count - 1))


def test_bitmaps_sticking_out_are_cut() -> None:
    bitmap = np.ones((4, 4), np.uint8) * 255
    masks = CropMasks.from_bitmaps([bitmap, bitmap, bitmap], [(-2, -1), (8, 5), (40, 1)], (7, 10))
    np.testing.assert_array_equal(masks.area(), [6, 4, 0])
    np.testing.assert_array_equal(masks.boxes[:2], [(0, 0, 2, 3), (8, 5, 10, 7)])
    assert masks.bits.max() == 1


def test_nothing_anywhere() -> None:
    none = CropMasks.empty((5, 6))
    assert len(none) == 0
    assert none.area().shape == (0,)
    assert none.bounding_boxes().shape == (0, 4)
    assert none.iou(none).shape == (0, 0)
    assert none.to_rle() == [] and none.to_kaggle_rle() == []
    assert none.to_labels().shape == (5, 6) and none.to_labels().dtype == np.uint8
    assert len(none.remove_overlap()) == len(none[[]]) == len(none.crop(0, 0, 2, 2)[0]) == 0
    assert len(CropMasks.from_rle([], (5, 6))) == len(CropMasks.from_kaggle_rle([], (5, 6))) == 0
    assert len(CropMasks.from_labels(np.zeros((5, 6), int))[0]) == 0
    assert len(CropMasks.from_labels(np.zeros((0, 6), int))[0]) == 0


@pytest.mark.parametrize(
    "bits, boxes, message",
    [
        (4, [(0, 0, 2, 3)], "6 pixels"),
        (2, [(-1, 0, 1, 1)], "inside the image"),
        (4, [(0, 0, 2, 2), (3, 3, 2, 4)], "inside the image"),
        (11, [(0, 0, 11, 1)], "inside the image"),
    ],
)
def test_impossible_masks_are_refused(
    bits: int, boxes: list[tuple[int, int, int, int]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        CropMasks(np.zeros(bits, np.uint8), boxes, (10, 10))


def test_misuse_is_refused() -> None:
    masks = CropMasks.from_full(np.ones((2, 3, 3), bool))
    with pytest.raises(ValueError, match="one image size"):
        masks.overlaps(CropMasks.empty((3, 4)))
    with pytest.raises(ValueError, match="one image size"):
        CropMasks.concatenate([masks, CropMasks.empty((3, 4))])
    with pytest.raises(ValueError, match="exactly once"):
        masks.remove_overlap([0, 0])
    with pytest.raises(ValueError, match="at least 1"):
        masks.to_labels([0, 1])
    with pytest.raises(ValueError, match="does not fit"):
        masks.to_labels([1, 300], dtype=np.uint8)
    with pytest.raises(ValueError, match="whole numbers"):
        CropMasks.from_labels(np.ones((3, 3)))
    with pytest.raises(IndexError):
        masks[2]
