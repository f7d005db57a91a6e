"""What lies over what, and which objects are still taught afterwards."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sartorius.core.masks import CropMasks
from napari_sartorius.training.augment.config import (
    CopyPasteConfig,
    FlipPasteConfig,
    MixUpConfig,
)
from napari_sartorius.training.augment.copy_paste import copy_paste
from napari_sartorius.training.augment.flip_paste import flip_paste, may_flip_paste
from napari_sartorius.training.augment.mixup import mix
from napari_sartorius.training.augment.piece import Piece

Rectangle = tuple[int, int, int, int]


def piece(
    level: float, *rectangles: Rectangle, category: int = 0, size: tuple[int, int] = (40, 40)
) -> Piece:
    """A plain picture with rectangular objects, which are brighter by 1."""
    full = np.zeros((len(rectangles), *size), bool)
    for one, (x0, y0, x1, y1) in zip(full, rectangles, strict=True):
        one[y0:y1, x0:x1] = True
    masks = CropMasks.from_full(full) if len(full) else CropMasks.empty(size)
    pixels = np.full((*size, 1), level, np.float32)
    pixels[full.any(axis=0)] += 1
    return Piece(pixels, masks, np.full(len(masks), category), masks.area())


def test_pasted_objects_hide_what_is_under_them() -> None:
    below = piece(0, (0, 0, 10, 10), (20, 20, 30, 30), (0, 30, 10, 40))
    above = piece(5, (6, 0, 16, 10), (21, 19, 31, 31), category=1)
    config = CopyPasteConfig(share=1, min_visibility=0.25)
    result = copy_paste(np.random.default_rng(0), below, above, config)
    # The second old object kept 1 of 10 columns and is gone, the first kept 6 of 10.
    np.testing.assert_array_equal(result.categories, [0, 0, 1, 1])
    np.testing.assert_array_equal(
        result.masks.boxes,
        [[0, 0, 6, 10], [0, 30, 10, 40], [6, 0, 16, 10], [21, 19, 31, 31]],
    )
    for i, level in enumerate((1, 1, 6, 6)):
        assert (result.pixels[..., 0][result.masks.full(i)] == level).all()
    rows, _, _ = result.masks.overlaps()
    assert len(rows) == 0
    # What was hidden is still counted as part of the whole object.
    assert result.whole[0] == 100


@pytest.mark.parametrize(("least", "kept"), [(0.05, 2), (0.1, 2), (0.11, 1)])
def test_hidden_objects_are_dropped_below_the_least_visibility(least: float, kept: int) -> None:
    below = piece(0, (20, 20, 30, 30))
    above = piece(5, (21, 20, 30, 30))
    config = CopyPasteConfig(share=1, min_visibility=least)
    result = copy_paste(np.random.default_rng(0), below, above, config)
    assert len(result.masks) == kept
    fully = copy_paste(np.random.default_rng(0), below, piece(5, (19, 19, 31, 31)), config)
    assert len(fully.masks) == 1


def test_only_named_categories_are_pasted_and_not_all_objects() -> None:
    below, above = piece(0), piece(5, (0, 0, 5, 5), category=1)
    config = CopyPasteConfig(share=1, categories=(0, 2))
    assert copy_paste(np.random.default_rng(0), below, above, config) is below
    many = piece(5, *[(x, y, x + 3, y + 3) for x in range(0, 40, 4) for y in range(0, 40, 4)])
    counts = [
        len(copy_paste(np.random.default_rng(s), below, many, CopyPasteConfig(share=0.3)).masks)
        for s in range(8)
    ]
    assert 15 < np.mean(counts) < 45


def test_pasting_a_smaller_picture_stays_inside_it() -> None:
    below, above = piece(0, (30, 30, 40, 40)), piece(5, (5, 5, 15, 15), size=(20, 24))
    result = copy_paste(np.random.default_rng(0), below, above, CopyPasteConfig(share=1))
    assert result.pixels.shape == (40, 40, 1)
    assert len(result.masks) == 2
    wide = copy_paste(np.random.default_rng(0), above, below, CopyPasteConfig(share=1))
    assert wide.size == (20, 24)
    assert len(wide.masks) == 1


def test_flip_paste_is_the_mean_with_the_mirror_image_and_both_truths() -> None:
    before = piece(0, (0, 0, 10, 10), (25, 20, 30, 35))
    after = flip_paste(before, FlipPasteConfig(probability=1))
    np.testing.assert_allclose(after.pixels, (before.pixels + before.pixels[:, ::-1]) / 2)
    np.testing.assert_array_equal(
        after.masks.boxes, [[0, 0, 10, 10], [25, 20, 30, 35], [30, 0, 40, 10], [10, 20, 15, 35]]
    )
    assert len(after.categories) == 4


def test_flip_paste_leaves_out_what_is_cut_and_asks_for_the_category() -> None:
    cut = piece(0, (0, 0, 10, 10), (20, 0, 30, 10))
    cut = Piece(cut.pixels, cut.masks, cut.categories, np.array([401, 400]))
    assert len(flip_paste(cut, FlipPasteConfig()).masks) == 2
    cort = FlipPasteConfig(probability=0.3, categories=(2,))
    assert may_flip_paste(piece(0, (0, 0, 5, 5), category=2), cort)
    assert not may_flip_paste(piece(0, (0, 0, 5, 5), category=1), cort)
    assert not may_flip_paste(piece(0), FlipPasteConfig())


def test_mixing_keeps_objects_that_can_be_seen() -> None:
    first, second = piece(0, (0, 0, 10, 10)), piece(4, (20, 20, 30, 30), category=1)
    config = MixUpConfig(probability=1, alpha=1.0, least_share=0.25)
    kinds = set()
    for seed in range(40):
        result = mix(np.random.default_rng(seed), first, second, config)
        share = 1 - float(result.pixels[39, 39, 0]) / 4
        np.testing.assert_allclose(
            result.pixels, share * first.pixels + (1 - share) * second.pixels, atol=1e-5
        )
        wanted = [0] * (share >= 0.25) + [1] * (1 - share >= 0.25)
        assert result.categories.tolist() == wanted
        kinds.add(tuple(wanted))
    assert kinds == {(0,), (1,), (0, 1)}
    smaller = mix(np.random.default_rng(3), first, piece(4, size=(20, 20)), config)
    np.testing.assert_array_equal(smaller.pixels[20:], first.pixels[20:])
