"""Last layers that answer in full precision, whatever arithmetic the network runs in.

Rounding a score to bfloat16 makes ties of what differed, and ties are what suppression and top-k
limits turn into other objects. The layers are tiny, so exactness costs nothing here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


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


def both(given: Tensor, one: ConvPredictor, other: ConvPredictor) -> tuple[Tensor, Tensor]:
    """What two 1x1 predictors make of a large map, which is converted and read only once.

    Parameters
    ----------
    given
        (B, inputs, H, W) of any floating type; best channels last in memory.
    one, other
        With a bias each.

    Returns
    -------
    tuple of Tensor
        (B, H, W, outputs) float32 of each.
    """
    with torch.autocast(given.device.type, enabled=False):
        weight = torch.cat([one.weight, other.weight]).flatten(1)
        assert one.bias is not None
        assert other.bias is not None
        # A product of places and channels is what a 1x1 convolution is, without its preparations.
        places = given.permute(0, 2, 3, 1).float()
        answer = functional.linear(places, weight, torch.cat([one.bias, other.bias]))
    return answer[..., : one.out_channels], answer[..., one.out_channels :]
