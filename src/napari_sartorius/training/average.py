"""Running average of the weights: steadier than the last step, and what is shipped."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


class WeightAverage(Generic[Network]):
    """Exponential moving average of a network's parameters and buffers.

    Parameters
    ----------
    network
        The network that is trained.
    decay
        Share of the past that each step keeps; smaller during the first steps, so that the random
        start is forgotten quickly.
    """

    def __init__(self, network: Network, decay: float) -> None:
        self.network = copy.deepcopy(network).eval()
        for parameter in self.network.parameters():
            parameter.requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move the average towards the network after optimiser step number `step`."""
        decay = min(self.decay, (1 + step) / (10 + step))
        theirs = network.state_dict()
        for name, mine in self.network.state_dict().items():
            if mine.dtype.is_floating_point:
                mine.lerp_(theirs[name].detach().to(mine.dtype), 1 - decay)
            else:
                mine.copy_(theirs[name])
