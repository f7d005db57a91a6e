"""Running means and variances of batch normalisation, which a forward pass changes by the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from napari_sartorius.nn.trunks.freeze import batch_norms

if TYPE_CHECKING:
    from collections.abc import Collection

    from torch import Tensor, nn


class RunningStatistics:
    """Lets a step that fails leave no trace, and processes agree on one set of statistics.

    Parameters
    ----------
    network
        The network that is trained.
    frozen
        Layers whose statistics do not change.
    """

    def __init__(self, network: nn.Module, frozen: Collection[nn.Module]) -> None:
        still = {id(module) for module in frozen}
        self._buffers = [
            buffer
            for module in batch_norms(network)
            if id(module) not in still
            for buffer in module.buffers()
        ]
        self._kept = [buffer.clone() for buffer in self._buffers]

    @torch.no_grad()
    def keep(self) -> None:
        """Remember them as they are now."""
        if self._buffers:
            torch._foreach_copy_(self._kept, self._buffers)

    @torch.no_grad()
    def restore(self) -> None:
        """Put them back as they were remembered."""
        if self._buffers:
            torch._foreach_copy_(self._buffers, self._kept)

    def shared(self) -> list[Tensor]:
        """Means and variances, to be averaged over processes in place."""
        return [buffer for buffer in self._buffers if buffer.dtype.is_floating_point]
