"""Bilinear samples of maps at scattered points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor


def sample_map(maps: Tensor, image: Tensor, at: Tensor) -> Tensor:
    """Features of points of several images; beyond its border a map goes on unchanged.

    On the processor as one weighted gather of channels-last vectors, whose kernel is faster there
    than that of `grid_sample`, which walks one channel at a time.

    Parameters
    ----------
    maps
        (B, C, H, W).
    image
        (N,) int64, the image of each row of points.
    at
        (N, P, 2) x and y in elements of the map from its edge: 0.5 is the centre of the first.

    Returns
    -------
    Tensor
        (N, P, C).
    """
    _, channels, rows, columns = maps.shape
    if maps.device.type != "cpu":
        return _by_grid(maps, image, at)
    x = (at[..., 0] - 0.5).clamp(0, columns - 1)
    y = (at[..., 1] - 0.5).clamp(0, rows - 1)
    x0, y0 = x.floor(), y.floor()
    share_x, share_y = x - x0, y - y0
    left, top = x0.long(), y0.long()
    right, bottom = (left + 1).clamp(max=columns - 1), (top + 1).clamp(max=rows - 1)
    start = image[:, None] * (rows * columns)
    upper, lower = start + top * columns, start + bottom * columns
    index = torch.stack([upper + left, upper + right, lower + left, lower + right], dim=-1)
    weight = torch.stack(
        [
            (1 - share_x) * (1 - share_y),
            share_x * (1 - share_y),
            (1 - share_x) * share_y,
            share_x * share_y,
        ],
        dim=-1,
    )
    table = maps.permute(0, 2, 3, 1).reshape(-1, channels).float()
    sampled = functional.embedding_bag(
        index.view(-1, 4), table, per_sample_weights=weight.view(-1, 4), mode="sum"
    )
    return sampled.view(*at.shape[:2], channels)


def sample_squares(squares: Tensor, places: Tensor) -> Tensor:
    """Values (N, P, C) of squares (N, C, S, S) at places (N, P, 2), x and y from 0 to 1."""
    grid = (places * 2 - 1)[:, None]
    sampled = functional.grid_sample(
        squares, grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    return sampled[:, :, 0].transpose(1, 2)


def _by_grid(maps: Tensor, image: Tensor, at: Tensor) -> Tensor:
    """What `sample_map` gives, by `grid_sample`; rows of one image must be side by side."""
    size = at.new_tensor([maps.shape[3], maps.shape[2]])
    counts = torch.bincount(image, minlength=len(maps)).tolist()
    parts = [
        functional.grid_sample(
            one[None].float(),
            (points / size * 2 - 1)[None],
            mode="bilinear",
            padding_mode="border",
            align_corners=False,
        )[0].permute(1, 2, 0)
        for one, points in zip(maps, torch.split(at, counts), strict=True)
        if len(points)
    ]
    return torch.cat([maps.new_zeros((0, *at.shape[1:2], maps.shape[1])).float(), *parts])
