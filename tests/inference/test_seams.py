"""Tiled equals whole: no cell cut, none doubled, wherever the seams fall."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.paste import paste
from napari_sartorius.inference.seams import join_tiles, to_image_tile
from napari_sartorius.inference.tiling import Rectangle, Tile, plan_tiles
from napari_sartorius.nn.detector import DetectLimits

MARGIN = 3.0


def _find(detector: Any, image: Any, tile: Tile) -> Instances:
    window = tile.window
    crop = image[window.y0 : window.y1, window.x0 : window.x1]
    found = detector.detect(
        torch.from_numpy(crop.copy())[None, None], DetectLimits(max_detections=9999)
    )[0]
    boxes = found.boxes.numpy() + np.array([window.x0, window.y0] * 2, np.float32)
    masks = paste(found.mask_probs.numpy(), boxes, image.shape)
    return Instances(image.shape, boxes, found.scores.numpy(), found.labels.numpy(), masks)


def _tiled(detector: Any, image: Any, largest: int, overlap: int) -> Instances:
    plan = plan_tiles(image.shape, (largest, largest), overlap, 16)
    assert len(plan.tiles) > 1
    parts = [_find(detector, image, tile) for tile in plan.tiles]
    return join_tiles(parts, plan.tiles, MARGIN)


def _whole(detector: Any, image: Any) -> Instances:
    full = Rectangle(0, 0, *image.shape)
    return _find(detector, image, Tile(full, full, (False,) * 4))


def _same(tiled: Instances, whole: Instances) -> bool:
    """Every object has a counterpart of nearly the same pixels, one to one."""
    if len(tiled) != len(whole):
        return False
    rows, columns, shared = tiled.masks.overlaps(whole.masks)
    union = tiled.masks.area()[rows] + whole.masks.area()[columns] - shared
    matched = shared / union > 0.9
    return len(set(rows[matched])) == len(set(columns[matched])) == len(whole)


@settings(max_examples=6)
@given(seed=st.integers(0, 1000), largest=st.sampled_from([96, 112, 128, 160]))
def test_scattered_discs(
    disc_detector: Any, discs: Any, scattered: Any, seed: int, largest: int
) -> None:
    size = (300, 410)
    image = discs(size, *scattered(size, 26, (4, 10), seed))
    detector = disc_detector()
    whole = _whole(detector, image)
    assert len(whole) > 150
    assert _same(_tiled(detector, image, largest, 32), whole)


def test_cells_on_every_seam_and_corner(disc_detector: Any, discs: Any) -> None:
    size = (300, 300)
    plan = plan_tiles(size, (128, 128), 32, 16)
    ys = sorted({y for t in plan.tiles for y in (t.window.y0, t.window.y1, t.core.y0)})
    centres = np.array([(y, x) for y in ys for x in ys], float)
    # Neighbouring lines lie at least 16 pixels apart: discs of radius 6 do not touch.
    image = discs(size, centres, np.full(len(centres), 6.0))
    detector = disc_detector()
    assert _same(_tiled(detector, image, 128, 32), _whole(detector, image))


def test_cells_larger_than_the_overlap_are_merged(disc_detector: Any, discs: Any) -> None:
    size = (320, 320)
    # One over a four-corner point, one over a vertical seam, one over a horizontal seam.
    centres = np.array([(100, 100), (100, 240), (240, 100)], float)
    image = discs(size, centres, np.array([45.0, 40.0, 40.0]))
    detector = disc_detector()
    detector.grid = 112
    whole = _whole(detector, image)
    tiled = _tiled(detector, image, 112, 32)
    assert _same(tiled, whole)


def test_a_cell_across_many_tiles_is_one(disc_detector: Any) -> None:
    image = np.zeros((96, 700), np.float32)
    image[40:52, 5:690] = 1
    detector = disc_detector()
    tiled = _tiled(detector, image, 96, 32)
    assert len(tiled) == 1
    assert tiled.masks.bounding_boxes().tolist() == [[5, 40, 690, 52]]


def test_crowded_image_keeps_its_count(disc_detector: Any, discs: Any, scattered: Any) -> None:
    size = (900, 900)
    image = discs(size, *scattered(size, 18, (3, 7), 5))
    detector = disc_detector()
    whole = _whole(detector, image)
    tiled = _tiled(detector, image, 256, 48)
    assert len(whole) > 2000
    assert abs(len(tiled) - len(whole)) <= 0.01 * len(whole)


def _instances(boxes: list[list[int]], scores: list[float], kinds: list[int]) -> Instances:
    bitmaps = [np.ones((y1 - y0, x1 - x0), bool) for x0, y0, x1, y1 in boxes]
    origins = np.array([box[:2] for box in boxes]).reshape(-1, 2)
    masks = CropMasks.from_bitmaps(bitmaps, origins, (50, 150))
    return Instances.from_masks(masks, scores, kinds)


TILES = (
    Tile(Rectangle(0, 0, 50, 80), Rectangle(0, 0, 50, 70), (False, False, False, True)),
    Tile(Rectangle(0, 60, 50, 150), Rectangle(0, 70, 50, 150), (False, True, False, False)),
)


def test_different_categories_are_not_the_same_cell() -> None:
    left = _instances([[64, 10, 74, 20]], [0.9], [0])
    right = _instances([[65, 10, 75, 20]], [0.8], [1])
    joined = join_tiles([left, right], TILES, MARGIN)
    assert sorted(joined.categories.tolist()) == [0, 1]


def test_unconfirmed_objects_stay_at_home_only() -> None:
    # Centre 66 is in the left core, centre 76 is the right tile's business.
    left = _instances([[62, 0, 70, 8], [73, 30, 79, 38]], [0.9, 0.9], [0, 0])
    joined = join_tiles([left, _instances([], [], [])], TILES, 1.0)
    assert joined.boxes[:, 0].tolist() == [62]


def test_a_cut_piece_gives_way_to_the_whole_cell_that_covers_it() -> None:
    left = _instances([[40, 10, 80, 14]], [0.9], [0])
    right = _instances([[62, 5, 95, 25]], [0.7], [0])
    joined = join_tiles([left, right], TILES, 1.0)
    assert joined.boxes.tolist() == [[62, 5, 95, 25]]


def test_pieces_cut_by_one_border_do_not_confirm_each_other() -> None:
    plan = plan_tiles((150, 150), (80, 80), 16, 16)
    upper = [i for i, tile in enumerate(plan.tiles) if tile.window.y0 == 0]
    border = plan.tiles[upper[0]].window.y1
    shared = plan.tiles[upper[0]].window.intersection(plan.tiles[upper[1]].window)
    assert shared is not None
    piece = CropMasks.from_bitmaps(
        [np.ones((5, 6), bool)], [(shared.x0 + 5, border - 5)], (150, 150)
    )
    nothing = Instances.empty((150, 150))
    parts = [nothing] * len(plan.tiles)
    parts[upper[0]] = parts[upper[1]] = Instances.from_masks(piece)
    assert len(join_tiles(parts, plan.tiles, 2.0)) == 0


def test_disagreeing_centres_lose_nobody() -> None:
    # Each tile thinks the centre is just on the other side of the line at 70.
    left = _instances([[67, 0, 77, 10]], [0.9], [0])
    right = _instances([[63, 12, 75, 22]], [0.9], [0])
    assert len(join_tiles([left, right], TILES, MARGIN)) == 2


def test_one_tile_changes_nothing() -> None:
    only = _instances([[3, 3, 9, 9]], [0.5], [0])
    assert join_tiles([only], TILES[:1], MARGIN) is only


def test_tile_in_image_pixels() -> None:
    tile = to_image_tile(TILES[1], (0.5, 2.0), (25, 299))
    assert tile.window == Rectangle(0, 120, 25, 299)
    assert tile.core == Rectangle(0, 140, 25, 299)
