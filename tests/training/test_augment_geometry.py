"""Masks go where the pixels go, whatever turns, moves or joins them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from napari_sartorius.core.masks import CropMasks
from napari_sartorius.training.augment.config import AugmentConfig
from napari_sartorius.training.augment.geometry import flip_and_turn, window_side
from napari_sartorius.training.augment.mosaic import (
    draw_mosaic,
    fixed_centre,
    random_centre,
    tiles_around,
)
from napari_sartorius.training.augment.source import PieceSource
from napari_sartorius.training.augment.warp import TurnedWindow, turned_masks, turned_pixels
from napari_sartorius.training.images import AnnotatedImage

SIDE = 72


def painted(seed: int, category: int = 0, count: int = 9) -> AnnotatedImage:
    """An image whose grey level is the number of the object there; objects do not overlap."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((SIDE, SIDE), np.uint8)
    yy, xx = np.mgrid[:SIDE, :SIDE]
    for number in range(1, count + 1):
        y, x, a, b = (
            rng.uniform(0, SIDE),
            rng.uniform(0, SIDE),
            rng.uniform(3, 9),
            rng.uniform(3, 9),
        )
        labels[(((yy - y) / a) ** 2 + ((xx - x) / b) ** 2 < 1) & (labels == 0)] = number
    masks, ids = CropMasks.from_labels(labels)
    levels = labels.astype(np.float16)[..., None]
    levels[levels > 0] = np.searchsorted(ids, levels[levels > 0]) + 1
    return AnnotatedImage(
        f"{seed}", levels, masks, np.full(len(masks), category), {"ids": len(masks)}
    )


def nearest(levels: np.ndarray, window: TurnedWindow) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Grey level under the centre of each pixel, whether it is in the image, and on no edge."""
    found = np.zeros((window.height, window.width))
    inside = np.zeros((window.height, window.width), bool)
    sure = np.zeros((window.height, window.width), bool)
    cos, sin = np.cos(np.deg2rad(window.angle)), np.sin(np.deg2rad(window.angle))
    for v in range(window.height):
        for u in range(window.width):
            right, down = u + 0.5 - window.width / 2, v + 0.5 - window.height / 2
            place = window.x + cos * right - sin * down, window.y + sin * right + cos * down
            x, y = (int(np.floor(one)) for one in place)
            sure[v, u] = all(abs(one - round(one)) > 1e-6 for one in place)
            if 0 <= x < levels.shape[1] and 0 <= y < levels.shape[0]:
                inside[v, u] = True
                found[v, u] = levels[y, x]
    return found, inside, sure


@example(seed=0, angle=180.0, x=0.0, y=0.0)
@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 50),
    angle=st.floats(-180, 180),
    x=st.floats(-5, SIDE + 5),
    y=st.floats(-5, SIDE + 5),
)
def test_turned_masks_are_the_painted_picture_turned(
    seed: int, angle: float, x: float, y: float
) -> None:
    image = painted(seed)
    window = TurnedWindow(x, y, 40, 31, angle)
    masks, kept = turned_masks(image.masks, window)
    wanted, inside, sure = nearest(image.pixels[..., 0].astype(float), window)
    got = masks.to_labels(np.flatnonzero(kept) + 1) if len(masks) else np.zeros_like(wanted)
    # A centre on the very edge of a pixel may fall to either side.
    np.testing.assert_array_equal(got[sure], wanted[sure])
    assert not got[sure & ~inside].any()
    assert (masks.area() > 0).all()
    np.testing.assert_array_equal(masks.boxes, masks.tight().boxes)


def test_turned_pixels_lie_under_turned_masks() -> None:
    image = painted(3)
    for angle in (-171.0, -90.0, 17.0, 45.0, 133.0):
        window = TurnedWindow(30.2, 41.7, 48, 48, angle)
        pixels = turned_pixels(image.pixels, window)[..., 0]
        masks, kept = turned_masks(image.masks, window)
        assert kept.sum() > 3
        for i, number in enumerate(np.flatnonzero(kept) + 1):
            full = masks.full(i)
            core = full.copy()
            for axis in (0, 1):
                for step in (-1, 1):
                    core &= np.roll(full, step, axis)
            np.testing.assert_allclose(pixels[core], number, atol=number * 0.36)
            assert np.median(pixels[full]) == pytest.approx(number, abs=0.5)


@pytest.mark.parametrize(("angle", "quarters"), [(0.0, 0), (90.0, 1), (180.0, 2), (-90.0, 3)])
def test_quarter_turns_lose_nothing(angle: float, quarters: int) -> None:
    image = painted(5)
    window = TurnedWindow(SIDE / 2, SIDE / 2, SIDE, SIDE, angle)
    wanted = np.rot90(image.pixels.astype(np.float32), quarters)
    np.testing.assert_allclose(turned_pixels(image.pixels, window), wanted, atol=1e-4)
    masks, kept = turned_masks(image.masks, window)
    assert kept.all()
    np.testing.assert_array_equal(masks.area(), image.masks.area())
    np.testing.assert_array_equal(masks.to_labels(), wanted[..., 0])


def test_beyond_the_image_its_border_is_repeated() -> None:
    ramp = np.repeat(np.arange(20, dtype=np.float16)[None], 20, 0)[..., None]
    seen = turned_pixels(ramp, TurnedWindow(18.0, 10.0, 16, 8, 0.0))[..., 0]
    np.testing.assert_allclose(seen[0, :10], np.arange(10, 20), atol=1e-4)
    np.testing.assert_allclose(seen[:, 10:], 19, atol=1e-4)


def test_flips_and_turns_as_often_as_asked() -> None:
    piece = PieceSource([painted(1)]).window(np.random.default_rng(0), 0, 40, 40)
    still = AugmentConfig(flip=0, turn=0)
    same = flip_and_turn(np.random.default_rng(0), still, piece)
    np.testing.assert_array_equal(same.pixels, piece.pixels)
    seen = set()
    for seed in range(80):
        turned = flip_and_turn(np.random.default_rng(seed), AugmentConfig(), piece)
        np.testing.assert_array_equal(turned.masks.to_labels() > 0, turned.pixels[..., 0] > 0)
        seen.add(turned.pixels.tobytes())
    assert len(seen) == 8


def test_zoom_comes_from_an_interval_a_list_of_edges_or_a_share() -> None:
    rng = np.random.default_rng(0)
    sides = [window_side(rng, AugmentConfig(scale=(0.5, 2.0)), 256, (520, 704)) for _ in range(99)]
    assert min(sides) >= 128
    assert max(sides) <= 512
    assert max(sides) - min(sides) > 250
    # A short edge of 1040 shows 520 pixels twice as large, one of 260 half as large.
    edges = AugmentConfig(short_edges=(260, 1040))
    assert {window_side(rng, edges, 256, (520, 704)) for _ in range(40)} == {512, 128}
    share = AugmentConfig(relative_crop=0.8)
    assert window_side(rng, share, 832, (520, 704)) == 416


def test_mosaic_geometry_is_that_of_the_published_one() -> None:
    # 520 x 704 images: canvas 650 x 880 around (440, 325), or 715 x 968.
    assert fixed_centre(880, 650) == (440, 325)
    tiles = tiles_around(440, 325, 880, 650)
    assert {(x1 - x0, y1 - y0) for x0, y0, x1, y1 in tiles} == {(440, 325)}
    centres = np.array([random_centre(np.random.default_rng(i), 968, 715) for i in range(400)])
    assert centres[:, 0].min() in range(430, 434)
    assert centres[:, 0].max() in range(535, 539)
    assert centres[:, 1].min() in range(310, 314)
    assert centres[:, 1].max() in range(402, 406)
    area = sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in tiles_around(470, 390, 968, 715))
    assert area == 968 * 715


@pytest.mark.parametrize("fixed", [True, False])
def test_mosaics_take_four_pictures_of_one_category_and_keep_their_truth(fixed: bool) -> None:
    images = [painted(seed, category=seed % 2) for seed in range(8)]
    source, chances = PieceSource(images), np.full(8, 1 / 8)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        piece = draw_mosaic(rng, source, seed % 8, chances, 64, AugmentConfig(), fixed=fixed)
        assert piece.pixels.shape == (64, 64, 1)
        assert (piece.categories == seed % 2).all()
        assert len(piece.masks) > 4
        boxes = piece.masks.boxes
        assert ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) >= 30).all()
        for i in range(len(piece.masks)):
            level = piece.pixels[..., 0][piece.masks.full(i)]
            # One object, whose border is blended with its neighbours where the tile is turned.
            assert (abs(level - np.median(level)) < 0.5).mean() > 0.5
            assert np.median(level) > 0.7
    assert AugmentConfig().mosaic.angle == 175


def test_a_mosaic_of_images_smaller_than_its_tiles_repeats_their_borders() -> None:
    piece = draw_mosaic(
        np.random.default_rng(0), PieceSource([painted(2)]), 0, np.ones(1), 200, AugmentConfig(),
        fixed=False,
    )  # fmt: skip
    assert piece.pixels.shape == (200, 200, 1)
    assert np.isfinite(piece.pixels).all()
    for i in range(len(piece.masks)):
        assert piece.pixels[..., 0][piece.masks.full(i)].min() > 0.5
