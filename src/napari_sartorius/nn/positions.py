"""Coordinate channels: how a convolution, which is the same everywhere, can know where it is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sartorius.nn.config import GridConfig


def ramps(like: Tensor) -> Tensor:
    """Two channels (B, 2, H, W), x and y from -1 to 1 across a map (Liu et al. 2018, CoordConv)."""
    batch, _, rows, columns = like.shape
    x, y = (torch.linspace(-1, 1, n, device=like.device) for n in (columns, rows))
    both = torch.stack([x.expand(rows, -1), y[:, None].expand(-1, columns)])
    return both.to(like.dtype).expand(batch, -1, -1, -1)


def waves(like: Tensor, stride: float, wavelengths: tuple[float, ...]) -> Tensor:
    """Cosines and sines (B, 4 L, H, W) of x and y for L wavelengths in input pixels.

    Order: cosines of x for all wavelengths, cosines of y, sines of x, sines of y.

    Parameters
    ----------
    like
        (B, C, H, W): size, device and type of the result.
    stride
        Input pixels per element.
    wavelengths
        In input pixels.
    """
    batch, _, rows, columns = like.shape
    x, y = (
        (torch.arange(n, device=like.device) + 0.5)
        * stride
        * (2 * math.pi / torch.tensor(wavelengths, device=like.device))[:, None]
        for n in (columns, rows)
    )
    phase = torch.cat([x[:, None, :].expand(-1, rows, -1), y[:, :, None].expand(-1, -1, columns)])
    both = torch.cat([phase.cos(), phase.sin()])
    return both.to(like.dtype).expand(batch, -1, -1, -1)


def anchored(weights: Tensor, places: Tensor) -> Tensor:
    """Weights of waves that are counted from a place, as weights of waves counted from the corner.

    With them, sum(result * waves) is the function of the distance from the place that `weights`
    describe: cos(x - p) = cos(x) cos(p) + sin(x) sin(p), and so on.

    Parameters
    ----------
    weights, places
        (B, 4 L, ...) in the order of `waves`; `places` are the waves at the places.
    """
    cosine, sine = weights.chunk(2, dim=1)
    at_cosine, at_sine = places.chunk(2, dim=1)
    return torch.cat(
        [cosine * at_cosine - sine * at_sine, cosine * at_sine + sine * at_cosine], dim=1
    )


def cell_places(
    grids: tuple[GridConfig, ...],
    reaches: tuple[float, ...],
    shapes: list[tuple[int, int]],
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """Centres (N, 2), x and y, and reaches (N,) of the cells of all grids, row by row, in pixels.

    Parameters
    ----------
    grids, reaches, shapes
        The grids, how far a mask of each may reach, and their (rows, columns).
    device
        Where the result is wanted.
    """
    centres, reach = [], []
    for grid, far, (rows, columns) in zip(grids, reaches, shapes, strict=True):
        index = torch.arange(rows * columns, device=device)
        row = torch.div(index, columns, rounding_mode="floor")
        centres.append((torch.stack([index % columns, row], dim=1) + 0.5) * grid.stride)
        reach.append(centres[-1].new_full((len(index),), far))
    return torch.cat(centres), torch.cat(reach)


def in_reach(centres: Tensor, reach: Tensor, shape: tuple[int, int], stride: int) -> Tensor:
    """Which elements of a map (N, H, W) bool are near each centre, along both axes.

    Parameters
    ----------
    centres, reach
        (N, 2) x and y, and (N,), input pixels.
    shape, stride
        (H, W) of the map, and input pixels per element.
    """
    near_x, near_y = (
        ((torch.arange(side, device=centres.device) + 0.5) * stride - centres[:, axis, None]).abs()
        <= reach[:, None]
        for axis, side in ((0, shape[1]), (1, shape[0]))
    )
    return near_y[:, :, None] & near_x[:, None, :]
