"""Which object each grid cell of SOLOv2 stands for, and the masks of those objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from napari_sartorius.nn.targets import truth_at

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sartorius.nn.config import GridConfig
    from napari_sartorius.nn.targets import Target

NOBODY = -1


def mass_centres(target: Target) -> Tensor:
    """Centres of mass (G, 2), x and y in network pixels, of an image's objects."""
    place = target.bitmap_boxes
    width = place[:, 2] - place[:, 0]
    sizes = width * (place[:, 3] - place[:, 1])
    owner, within = _ragged(sizes)
    bit = target.bits[target.offsets[owner] + within].float()
    x = (within % width[owner] + place[owner, 0]).float() + 0.5
    y = (torch.div(within, width[owner], rounding_mode="floor") + place[owner, 1]).float() + 0.5
    sums = bit.new_zeros(len(sizes), 3)
    sums = sums.index_add(0, owner, torch.stack([x * bit, y * bit, bit], dim=1))
    centre = sums[:, :2] / sums[:, 2:].clamp(min=1) * bit.new_tensor(target.scale)
    box_centre = (target.boxes[:, :2] + target.boxes[:, 2:]) / 2
    return torch.where(sums[:, 2:] > 0, centre, box_centre)


def assign_cells(
    target: Target,
    grids: tuple[GridConfig, ...],
    shapes: list[tuple[int, int]],
    centre_region: float,
) -> list[Tensor]:
    """Object of every cell of every grid (Wang et al. 2020).

    A cell belongs to an object of the grid's sizes when it touches the middle of the object's box
    placed on its centre of mass, and is the cell of that centre or a neighbour of it. Where
    several objects want a cell, one whose centre lies in it wins, then the smaller one; the
    paper leaves that open.

    Parameters
    ----------
    target
        The truth of the image.
    grids, shapes
        Grids and their (rows, columns).
    centre_region
        Side of the middle as a share of the box's.

    Returns
    -------
    list of Tensor
        (rows * columns,) int64 for each grid: index of the object or `NOBODY` (-1).
    """
    centre = mass_centres(target)
    sides = target.boxes[:, 2:] - target.boxes[:, :2]
    size = sides.prod(dim=1).sqrt()
    by_size = torch.argsort(size, stable=True)
    rank = torch.empty_like(by_size)
    rank[by_size] = torch.arange(len(size), device=size.device)
    steps = torch.cartesian_prod(torch.arange(-1, 2), torch.arange(-1, 2)).to(size.device)
    owners = []
    for grid, (rows, columns) in zip(grids, shapes, strict=True):
        limit = centre.new_tensor([columns, rows]).long() - 1
        middle = torch.minimum((centre / grid.stride).floor().long().clamp(min=0), limit)
        low = ((centre - sides * centre_region / 2) / grid.stride).floor().long()
        high = ((centre + sides * centre_region / 2) / grid.stride).floor().long()
        cell = middle[:, None] + steps  # (G, 9, 2)
        wanted = (cell >= low[:, None]) & (cell <= high[:, None]) & (cell >= 0) & (cell <= limit)
        is_middle = (steps == 0).all(dim=1)
        fits = (size >= grid.objects[0]) & (size <= grid.objects[1])
        taken = (wanted.all(dim=2) | is_middle) & fits[:, None]
        # A cell's own objects come before its neighbours', small ones before large ones.
        order = torch.where(is_middle, rank[:, None], rank[:, None] + len(rank))
        flat = (cell[..., 1] * columns + cell[..., 0])[taken]
        best = torch.full((rows * columns,), 2 * len(rank), device=size.device)
        best = best.scatter_reduce(0, flat, order[taken], "amin")
        owner = torch.full_like(best, NOBODY)
        won = best < 2 * len(rank)
        owner[won] = by_size[best[won] % max(len(rank), 1)]
        owners.append(owner)
    return owners


def map_masks(target: Target, objects: Tensor, shape: tuple[int, int], stride: int) -> Tensor:
    """Share of each element of a map of `shape` (H, W) that lies in each of `objects` (N,).

    Shares, where the paper thresholds them: interpolated between elements they put the outline
    where it is to a fraction of an element, and cells are only a few elements wide. Only elements
    that touch an object's box are looked at.

    Returns
    -------
    Tensor
        (N, H * W) float32, 0..1.
    """
    rows, columns = shape
    boxes = target.boxes[objects] / stride
    low = boxes[:, :2].floor().long().clamp(min=0)
    high = torch.minimum(boxes[:, 2:].ceil().long(), low.new_tensor([columns, rows]))
    sides = (high - low).clamp(min=0)
    owner, within = _ragged(sides.prod(dim=1))
    width = sides[owner, 0].clamp(min=1)
    column = low[owner, 0] + within % width
    row = low[owner, 1] + torch.div(within, width, rounding_mode="floor")
    steps = (torch.arange(stride, device=boxes.device) + 0.5) / stride
    share = truth_at(
        target,
        objects[owner][:, None, None],
        ((column[:, None] + steps) * stride)[:, None, :],
        ((row[:, None] + steps) * stride)[:, :, None],
    ).mean(dim=(1, 2))
    masks = share.new_zeros(len(objects), rows * columns)
    masks[owner, row * columns + column] = share
    return masks


def _ragged(sizes: Tensor) -> tuple[Tensor, Tensor]:
    """Owner and index within the owner of every element of rows with these sizes."""
    owner = torch.repeat_interleave(torch.arange(len(sizes), device=sizes.device), sizes)
    start = sizes.cumsum(0) - sizes
    return owner, torch.arange(len(owner), device=sizes.device) - start[owner]
