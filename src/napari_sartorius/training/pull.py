"""Weights that are pulled back to those of the start, so that a model keeps what it knew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn


class Pull:
    """Moves weights back a little towards `start`, after each step of an optimiser (L2-SP).

    As decoupled weight decay, but towards the start in place of zero (Li et al. 2018): by
    `strength` times the learning rate of the distance. Tensors that `start` lacks, or has in
    another shape, are left alone, and so are weights that do not learn.

    Parameters
    ----------
    start
        Weights by name.
    network
        On its device.
    strength
        0 pulls nothing.
    """

    def __init__(self, start: Mapping[str, Tensor], network: nn.Module, strength: float) -> None:
        self._strength = strength
        self._anchors = {
            id(parameter): start[name].detach().to(parameter)
            for name, parameter in network.named_parameters()
            if strength and name in start and start[name].shape == parameter.shape
        }

    @torch.no_grad()
    def apply(self, optimiser: torch.optim.Optimizer) -> None:
        """Pull the weights of an optimiser that has just made a step."""
        if not self._anchors:
            return
        for group in optimiser.param_groups:
            share = min(1.0, self._strength * group["lr"])
            for parameter in group["params"]:
                anchor = self._anchors.get(id(parameter))
                if anchor is not None and parameter.grad is not None:
                    parameter.lerp_(anchor, share)
