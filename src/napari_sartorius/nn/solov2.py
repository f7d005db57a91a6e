"""SOLOv2: every grid cell says what lies in it and makes the kernel that draws its mask."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torchvision.ops import sigmoid_focal_loss

from napari_sartorius.nn.detector import Detections, DetectLimits
from napari_sartorius.nn.dynamic_masks import find_objects
from napari_sartorius.nn.grid_head import Grid, GridHead, MaskFeature
from napari_sartorius.nn.grid_targets import assign_cells, map_masks
from napari_sartorius.nn.network import Network
from napari_sartorius.nn.positions import cell_places, in_reach
from napari_sartorius.nn.pyramid import Pyramid
from napari_sartorius.nn.trunks.build import build_trunk

if TYPE_CHECKING:
    from napari_sartorius.nn.config import SOLOv2Config
    from napari_sartorius.nn.targets import Target


class SOLOv2(Network):
    """Trunk, pyramid, grid head, mask feature (Wang et al. 2020).

    It looks for no boxes, so no stage of it can be given any: it offers `detect` alone. Boxes of
    its detections are those of their masks.

    Parameters
    ----------
    config
        The architecture tree; its docstrings name the departures from the paper.
    """

    def __init__(self, config: SOLOv2Config) -> None:
        super().__init__()
        self.config = config
        self.trunk = build_trunk(config.trunk)
        self.pyramid = Pyramid(self.trunk.channels, config.pyramid)
        self.strides = self.trunk.strides
        if config.pyramid.extra_level:
            self.strides = (*self.strides, self.strides[-1] * 2)
        self.grid_head = GridHead(config)
        self.stride = self.trunk.strides[0]
        self.mask_feature = MaskFeature(self.trunk.strides, config)
        self.size_divisibility = math.lcm(
            self.trunk.strides[-1], *(grid.stride for grid in config.grids)
        )

    def features(self, batch: Tensor) -> list[Tensor]:
        """Pyramid of a (B, C, H, W) normalised batch, finest first."""
        levels: list[Tensor] = self.pyramid(self.trunk(batch))
        return levels

    def grids(self, features: list[Tensor], size: tuple[int, int]) -> list[Grid]:
        """All grids of a batch of this (height, width).

        Each reads the level whose stride is at most half of its own, as the paper's grids do.
        """
        made: list[Grid] = []
        for grid in self.config.grids:
            level = sum(2 * stride <= grid.stride for stride in self.strides[1:])
            shape = (size[0] // grid.stride, size[1] // grid.stride)
            made.append(self.grid_head(features[level], shape, grid.stride))
        return made

    @torch.inference_mode()
    def detect(
        self,
        batch: Tensor,
        limits: DetectLimits | None = None,
        image_sizes: list[tuple[int, int]] | None = None,
    ) -> list[Detections]:
        """Find the objects of each image; parameters as in `Network.detect`."""
        limits = limits or DetectLimits()
        whole = (batch.shape[2], batch.shape[3])
        features = self.features(batch)
        grids = self.grids(features, whole)
        feature = self.mask_feature(features)
        return [
            find_objects(
                [Grid(grid.logits[i], grid.kernels[i]) for grid in grids],
                feature[i],
                self.stride,
                size,
                limits,
                self.config,
            )
            for i, size in enumerate(image_sizes or [whole] * len(batch))
        ]

    def losses(self, batch: Tensor, targets: list[Target]) -> dict[str, Tensor]:
        """Focal loss of the categories and Dice loss of the masks."""
        config = self.config
        features = self.features(batch)
        grids = self.grids(features, (batch.shape[2], batch.shape[3]))
        feature = self.mask_feature(features)
        shapes = [(int(g.logits.shape[2]), int(g.logits.shape[3])) for g in grids]
        logits = torch.cat([g.logits.flatten(2) for g in grids], dim=2).transpose(1, 2)
        kernels = torch.cat([g.kernels.flatten(2) for g in grids], dim=2).transpose(1, 2)
        centres, reach = cell_places(config.grids, config.reaches, shapes, batch.device)
        size = (int(feature.shape[2]), int(feature.shape[3]))
        wanted = torch.zeros_like(logits)
        mask_losses, positives = [], 0
        for image, target in enumerate(targets):
            owner = torch.cat(assign_cells(target, config.grids, shapes, config.centre_region))
            taken = torch.nonzero(owner >= 0).flatten()
            wanted[image, taken, target.labels[owner[taken]]] = 1
            positives += len(taken)
            taken = self._few(taken)
            near = in_reach(centres[taken], reach[taken], size, self.stride)
            truth = map_masks(target, owner[taken], size, self.stride)
            response = kernels[image, taken].to(feature.dtype) @ feature[image].flatten(1)
            mask_losses.append(_dice(response.float(), truth, near.flatten(1)))
        categories = sigmoid_focal_loss(logits, wanted, alpha=0.25, gamma=2.0, reduction="sum")
        masks = torch.cat(mask_losses)
        return {
            "category": categories / (positives + 1),
            "mask": config.mask_weight * masks.sum() / max(len(masks), 1),
        }

    def _few(self, cells: Tensor) -> Tensor:
        """Random choice of as many cells as one image may compare with the truth."""
        most = self.config.kernels_per_image
        if len(cells) <= most:
            return cells
        return cells[torch.randperm(len(cells), device=cells.device)[:most]]


def _dice(response: Tensor, truth: Tensor, near: Tensor) -> Tensor:
    """Dice losses (n,) of logits (N, P) within reach of their cells.

    Objects too small to have a whole element of the map have no mask there that could be learnt.
    """
    seen = torch.nonzero((truth * near).sum(dim=1) >= 1).flatten()
    given, truth = response[seen].sigmoid() * near[seen], truth[seen] * near[seen]
    shared = (given * truth).sum(dim=1)
    total = given.square().sum(dim=1) + truth.square().sum(dim=1)
    return 1 - 2 * shared / total
