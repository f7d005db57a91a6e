"""Which pixels lie within objects: the branch that tells a cascade about its surroundings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from napari_sartorius.nn.pyramid import conv_block

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sartorius.nn.config import SemanticConfig
    from napari_sartorius.nn.targets import Target


class SemanticHead(nn.Module):
    """All pyramid levels brought to one size and added, then convolutions (Chen et al. 2019)."""

    def __init__(self, width: int, levels: int, config: SemanticConfig) -> None:
        super().__init__()
        self.config = config
        self.lateral = nn.ModuleList(
            conv_block(width, width, 1, "none", relu=True) for _ in range(levels)
        )
        self.blocks = nn.Sequential(
            *(conv_block(width, width, 3, "none", relu=True) for _ in range(config.layers))
        )
        self.embedding = conv_block(width, width, 1, "none", relu=True)
        self.predictor = nn.Conv2d(width, config.classes, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, levels: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Features (B, width, H, W) for boxes and logits (B, classes, H, W) of one level's size."""
        size = levels[self.config.level].shape[-2:]
        total: Tensor | None = None
        for level, lateral in zip(levels, self.lateral, strict=True):
            if level.shape[-2:] != size:
                level = functional.interpolate(
                    level, size=size, mode="bilinear", align_corners=True
                )
            total = lateral(level) if total is None else total + lateral(level)
        hidden = self.blocks(total)
        return self.embedding(hidden), self.predictor(hidden)

    def loss(self, logits: Tensor, targets: list[Target], stride: int) -> Tensor:
        """Weighted cross-entropy against the union of the true objects."""
        size = int(logits.shape[-2]), int(logits.shape[-1])
        truth = torch.stack([foreground(one, size, stride) for one in targets])
        return functional.cross_entropy(logits.float(), truth) * self.config.loss_weight


def foreground(target: Target, size: tuple[int, int], stride: int) -> Tensor:
    """Which cells of a map have their centre within an object.

    Parameters
    ----------
    target
        The true objects of an image.
    size
        (rows, columns) of the map.
    stride
        Network pixels per cell.

    Returns
    -------
    Tensor
        (rows, columns) int64, 1 within an object and 0 elsewhere.
    """
    place, device = target.bitmap_boxes, target.bits.device
    step_x, step_y = stride / target.scale[0], stride / target.scale[1]  # source pixels per cell
    height, width = int(size[0] * step_y) + 1, int(size[1] * step_x) + 1
    wide, high = place[:, 2] - place[:, 0], place[:, 3] - place[:, 1]
    count = wide * high
    owner = torch.repeat_interleave(torch.arange(len(place), device=device), count)
    within = torch.arange(len(owner), device=device) - (count.cumsum(0) - count)[owner]
    x = place[owner, 0] + within % wide[owner]
    y = place[owner, 1] + torch.div(within, wide[owner], rounding_mode="floor")
    painted = target.bits[target.offsets[owner] + within] > 0
    painted &= (x >= 0) & (x < width) & (y >= 0) & (y < height)
    canvas = torch.zeros(height, width, dtype=torch.int64, device=device)
    canvas[y[painted], x[painted]] = 1
    rows = ((torch.arange(size[0], device=device) + 0.5) * step_y).long()
    columns = ((torch.arange(size[1], device=device) + 0.5) * step_x).long()
    return canvas[rows][:, columns]
