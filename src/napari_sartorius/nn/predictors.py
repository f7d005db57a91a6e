"""Last layers that answer in full precision, whatever arithmetic the network runs in.

Rounding a score to bfloat16 makes ties of what differed, and ties are what suppression and top-k
limits turn into other objects. The layers are tiny, so exactness costs nothing here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LinearPredictor(nn.Linear):
    """Fully connected layer computed in float32 also under autocast."""

    def forward(self, given: Tensor) -> Tensor:
        """(N, inputs) of any floating type -> (N, outputs) float32."""
        with torch.autocast(given.device.type, enabled=False):
            answer: Tensor = super().forward(given.float())
        return answer


class ConvPredictor(nn.Conv2d):
    """Convolution computed in float32 also under autocast."""

    def forward(self, given: Tensor) -> Tensor:
        """(B, inputs, H, W) of any floating type -> (B, outputs, H, W) float32."""
        with torch.autocast(given.device.type, enabled=False):
            answer: Tensor = super().forward(given.float())
        return answer
