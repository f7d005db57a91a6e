"""Second stage: the category and the refined box of each proposal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from napari_sartorius.nn.boxes import encode_deltas
from napari_sartorius.nn.predictors import LinearPredictor
from napari_sartorius.nn.pyramid import conv_block

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sartorius.nn.config import BoxHeadConfig


class BoxHead(nn.Module):
    """Convolutions and fully connected layers on pooled features.

    Flatten order is channel, row, column.

    Attributes
    ----------
    memory_order
        True once `flatten_in_memory_order` has changed the order to row, column, channel.
    """

    memory_order = False

    def __init__(self, channels: int, num_classes: int, config: BoxHeadConfig) -> None:
        super().__init__()
        self.config = config
        self.num_classes = num_classes
        blocks: list[nn.Module] = []
        for _ in range(config.convolutions):
            blocks.append(conv_block(channels, config.conv_width, 3, config.norm, relu=True))
            channels = config.conv_width
        self.blocks = nn.Sequential(*blocks)
        for module in self.blocks.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        inputs = channels * config.pooler.resolution**2
        layers: list[nn.Module] = []
        for _ in range(config.layers):
            layers += [nn.Linear(inputs, config.width), nn.ReLU(inplace=True)]
            inputs = config.width
        self.layers = nn.Sequential(*layers)
        self.class_logits = LinearPredictor(inputs, num_classes + 1)
        self.deltas = LinearPredictor(inputs, 4 * (1 if config.class_agnostic else num_classes))
        nn.init.normal_(self.class_logits.weight, std=0.01)
        nn.init.normal_(self.deltas.weight, std=0.001)
        nn.init.zeros_(self.class_logits.bias)
        nn.init.zeros_(self.deltas.bias)

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits (N, K + 1), background last, and deltas (N, 4 or 4 K), float32."""
        hidden = self.blocks(pooled)
        if self.memory_order:
            hidden = hidden.permute(0, 2, 3, 1)
        hidden = self.layers(hidden.flatten(1))
        return self.class_logits(hidden), self.deltas(hidden)

    def flatten_in_memory_order(self) -> None:
        """Change the first layer so that pooled features are read as they lie in memory.

        For inference only: the order of the weights is no longer that of a checkpoint.
        """
        first = next((layer for layer in self.layers if isinstance(layer, nn.Linear)), None)
        if first is None:
            return
        side = self.config.pooler.resolution
        weight = first.weight.detach()
        weight = weight.view(len(weight), -1, side, side).permute(0, 2, 3, 1)
        first.weight = nn.Parameter(weight.flatten(1).contiguous(), requires_grad=False)
        self.memory_order = True

    def losses(
        self, logits: Tensor, deltas: Tensor, labels: Tensor, proposals: Tensor, truth: Tensor
    ) -> dict[str, Tensor]:
        """Cross-entropy over all proposals, smooth L1 over the foreground.

        Parameters
        ----------
        logits, deltas
            Output of `forward` for N sampled proposals.
        labels
            (N,) int64, `num_classes` for background.
        proposals, truth
            (N, 4) xyxy; `truth` is read for the foreground only.
        """
        foreground = torch.nonzero(labels < self.num_classes).flatten()
        wanted = encode_deltas(proposals[foreground], truth[foreground], self.config.delta_weights)
        given = deltas[foreground].reshape(len(foreground), deltas.shape[1] // 4, 4)
        column = 0 if self.config.class_agnostic else labels[foreground]
        given = given[torch.arange(len(foreground), device=given.device), column]
        return {
            "class": functional.cross_entropy(logits, labels),
            "box": functional.smooth_l1_loss(given, wanted, beta=1.0, reduction="sum")
            / max(len(labels), 1),
        }
