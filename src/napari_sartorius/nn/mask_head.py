"""Third stage: the mask of each box."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn import functional

from napari_sartorius.nn.own_column import own_values
from napari_sartorius.nn.pyramid import conv_block
from napari_sartorius.nn.rectified import rectified
from napari_sartorius.nn.sub_pixel import doubled_logits

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sartorius.nn.config import MaskHeadConfig


class MaskHead(nn.Module):
    """3x3 convolutions, a 2x2 transposed convolution, one logit map per category."""

    rectified_layers = ("upsample",)

    def __init__(self, channels: int, num_classes: int, config: MaskHeadConfig) -> None:
        super().__init__()
        self.config = config
        blocks: list[nn.Module] = []
        for _ in range(config.layers):
            blocks.append(conv_block(channels, config.width, 3, config.norm, relu=True))
            channels = config.width
        self.blocks = nn.Sequential(*blocks)
        self.upsample = nn.ConvTranspose2d(channels, config.width, 2, stride=2)
        self.predictor = nn.Conv2d(config.width, 1 if config.class_agnostic else num_classes, 1)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.predictor.weight, std=0.001)

    def forward(self, pooled: Tensor) -> Tensor:
        """Mask logits (N, K or 1, 2 R, 2 R), float32."""
        return self.logits(self.blocks(pooled))

    def logits(self, hidden: Tensor) -> Tensor:
        """Mask logits (N, K or 1, 2 R, 2 R), float32, of what the convolutions made."""
        if self.training:
            return doubled_logits(hidden, self.upsample, self.predictor).float()
        hidden = rectified(self.upsample, hidden)
        logits: Tensor = self.predictor(hidden).float()
        return logits

    def loss(self, logits: Tensor, labels: Tensor, truth: Tensor) -> Tensor:
        """Mean binary cross-entropy of the true category's map against (N, 2R, 2R) truth."""
        if len(labels) == 0:
            return logits.sum() * 0
        return functional.binary_cross_entropy_with_logits(own_values(logits, labels), truth)
