"""Which object each grid cell learns, and the masks it compares itself with."""

from __future__ import annotations

import numpy as np
import torch

from napari_sartorius.core.masks import CropMasks
from napari_sartorius.nn.config import GridConfig
from napari_sartorius.nn.grid_targets import NOBODY, assign_cells, map_masks, mass_centres
from napari_sartorius.nn.targets import Target, mask_targets, truth_at

SIZE = (48, 64)


def _target(masks: list[np.ndarray], scale: tuple[float, float] = (1.0, 1.0)) -> Target:
    crops = CropMasks.from_full(np.stack(masks)).tight()
    factors = np.array([*scale, *scale], np.float32)
    return Target(
        boxes=torch.from_numpy(crops.bounding_boxes().astype(np.float32) * factors),
        labels=torch.zeros(len(crops), dtype=torch.int64),
        bits=torch.from_numpy(crops.bits.astype(np.uint8)),
        offsets=torch.from_numpy(np.asarray(crops.offsets[:-1], dtype=np.int64)),
        bitmap_boxes=torch.from_numpy(crops.boxes.astype(np.int64)),
        scale=scale,
    )


def _empty() -> Target:
    return Target(
        torch.zeros(0, 4),
        torch.zeros(0, dtype=torch.int64),
        torch.zeros(1, dtype=torch.uint8),
        torch.zeros(0, dtype=torch.int64),
        torch.zeros(0, 4, dtype=torch.int64),
    )


def _rectangle(y0: int, y1: int, x0: int, x1: int) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def test_centres_are_those_of_the_mass() -> None:
    corner = _rectangle(10, 40, 10, 13) | _rectangle(37, 40, 10, 40)
    masks = [corner, _rectangle(0, 4, 60, 64)]
    centre = mass_centres(_target(masks, (2.0, 0.5)))
    for given, mask in zip(centre, masks, strict=True):
        y, x = (axis.mean() + 0.5 for axis in np.nonzero(mask))
        np.testing.assert_allclose(given.numpy(), (2 * x, y / 2), rtol=1e-5)


def test_cells_in_the_middle_of_an_object_learn_it() -> None:
    masks = [_rectangle(8, 24, 8, 24), _rectangle(2, 46, 28, 62), _rectangle(40, 44, 4, 8)]
    grids = (GridConfig(stride=8, objects=(0, 20)), GridConfig(stride=16, objects=(16, 1000)))
    fine, coarse = assign_cells(_target(masks), grids, [(6, 8), (3, 4)], 0.2)
    fine, coarse = fine.view(6, 8), coarse.view(3, 4)
    # Centre (16, 16), middle 14.4 to 17.6: four cells meet there.
    wanted = torch.full((6, 8), NOBODY)
    wanted[1:3, 1:3] = 0
    wanted[5, 0] = 2
    assert torch.equal(fine, wanted)
    # Both grids learn the object of 16 pixels; the middle of the large one, x 41.6 to 48.4 and
    # y 19.6 to 28.4, touches two cells of the coarse grid.
    wanted = torch.full((3, 4), NOBODY)
    wanted[0:2, 0:2] = 0
    wanted[1, 2:4] = 1
    assert torch.equal(coarse, wanted)


def test_a_cell_goes_to_the_object_that_has_its_centre_there() -> None:
    # The middle of the wide object reaches the cell in which the small one lies.
    masks = [_rectangle(0, 48, 0, 64), _rectangle(18, 22, 42, 46), _rectangle(19, 21, 43, 45)]
    grids = (GridConfig(stride=8, objects=(0, 1000)),)
    owner = assign_cells(_target(masks), grids, [(6, 8)], 0.5)[0].view(6, 8)
    assert owner[2, 5] == 2  # the smaller of two centres
    assert owner[3, 4] == 0
    assert owner[2, 3] == 0


def test_nothing_to_learn_is_no_error() -> None:
    grids = (GridConfig(stride=8, objects=(0, 1000)),)
    assert (assign_cells(_empty(), grids, [(6, 8)], 0.2)[0] == NOBODY).all()
    assert map_masks(_empty(), torch.zeros(0, dtype=torch.int64), (6, 8), 4).shape == (0, 48)


def test_masks_are_shares_of_elements() -> None:
    rng = np.random.default_rng(0)
    masks = [rng.random(SIZE) < 0.5, _rectangle(1, 30, 3, 20)]
    given = map_masks(_target(masks), torch.tensor([1, 0, 1]), (12, 16), 4).view(3, 12, 16)
    for one, index in zip(given, (1, 0, 1), strict=True):
        wanted = masks[index].reshape(12, 4, 16, 4).mean(axis=(1, 3))
        np.testing.assert_allclose(one.numpy(), wanted, atol=1e-6)


def test_samples_of_scaled_bitmaps_agree_in_all_forms() -> None:
    target = _target([_rectangle(5, 20, 7, 30), _rectangle(0, 48, 0, 9)], (1.5, 0.75))
    objects = torch.tensor([1, 0])
    boxes = target.boxes[objects] + torch.tensor([[-3.0, 1, 2, 4]])
    square = mask_targets(target, boxes, objects, 14)
    steps = (torch.arange(14) + 0.5) / 14
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    x = boxes[:, :1] + (boxes[:, 2:3] - boxes[:, :1]) * x.flatten()
    y = boxes[:, 1:2] + (boxes[:, 3:4] - boxes[:, 1:2]) * y.flatten()
    points = truth_at(target, objects[:, None], x, y)
    assert torch.equal((points >= 0.5).float().view(2, 14, 14), square)
    assert 0.2 < square.mean() < 0.95
