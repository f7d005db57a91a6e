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
        pairs = [(mine, theirs[name].detach()) for name, mine in self.network.state_dict().items()]
        averaged = [pair for pair in pairs if pair[0].dtype.is_floating_point]
        # One call for all tensors, which a graphics card does in a few kernels.
        torch._foreach_lerp_([a for a, _ in averaged], [b for _, b in averaged], 1 - decay)
        for mine, value in pairs:
            if not mine.dtype.is_floating_point:
                mine.copy_(value)
