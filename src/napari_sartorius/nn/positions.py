"""Coordinate channels: how a convolution, which is the same everywhere, can know where it is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sartorius.nn.config import GridConfig


def channel_count(wavelengths: tuple[float, ...]) -> int:
    """Number of channels that `coordinate_channels` gives."""
    return 4 * len(wavelengths) if wavelengths else 2


def coordinate_channels(
    like: Tensor,
    stride: float,
    wavelengths: tuple[float, ...],
    origin: tuple[float, float] = (0.0, 0.0),
) -> Tensor:
    """Channels that tell the place of each element of a map.

    Sines and cosines of a few wavelengths, as attention networks use them (Vaswani et al. 2017):
    a weighted sum of them can be large around any one place and small elsewhere, with the same
    sharpness in images of any size. Without wavelengths the two ramps of CoordConv (Liu et al.
    2018), which stretch with the image.

    Parameters
    ----------
    like
        (B, C, H, W): size, device and type of the result.
    stride
        Input pixels per element.
    wavelengths
        In input pixels.
    origin
        (x, y) of the map's corner, input pixels; not read by the ramps.

    Returns
    -------
    Tensor
        (B, 4 * number of wavelengths, H, W), or (B, 2, H, W) with x and y from -1 to 1.
    """
    batch, _, rows, columns = like.shape
    if not wavelengths:
        x, y = (torch.linspace(-1, 1, n, device=like.device)[None] for n in (columns, rows))
    else:
        x, y = (
            _waves((torch.arange(n, device=like.device) + 0.5) * stride + start, wavelengths)
            for n, start in ((columns, origin[0]), (rows, origin[1]))
        )
    along_x = x[:, None, :].expand(-1, rows, -1)
    along_y = y[:, :, None].expand(-1, -1, columns)
    return torch.cat([along_x, along_y]).to(like.dtype).expand(batch, -1, -1, -1)


def _waves(place: Tensor, wavelengths: tuple[float, ...]) -> Tensor:
    """Sines and cosines (2 * number of wavelengths, N) of places (N,)."""
    phase = place * (2 * math.pi / place.new_tensor(wavelengths))[:, None]
    return torch.cat([phase.sin(), phase.cos()])


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
