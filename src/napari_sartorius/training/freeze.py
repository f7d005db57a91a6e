"""What of a network stays as it is while the rest learns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sartorius.core.errors import UserError
from napari_sartorius.nn.trunks.freeze import batch_norms, freeze
from napari_sartorius.nn.trunks.trunk import Trunk

if TYPE_CHECKING:
    from torch import nn

    from napari_sartorius.training.config import FreezeConfig


class Frozen:
    """Layers that do not learn: no gradients, and no statistics of batches in training mode.

    Parameters
    ----------
    network
        Its parameters are marked, so this comes before the optimiser is made.
    config
        What is frozen.

    Raises
    ------
    UserError
        When the network has no trunk whose stages could be frozen.
    """

    def __init__(self, network: nn.Module, config: FreezeConfig) -> None:
        self.modules: list[nn.Module] = []
        if config.trunk_stages:
            trunk = getattr(network, "trunk", None)
            if not isinstance(trunk, Trunk):
                raise UserError(
                    f"a network of the kind {type(network).__name__} has no trunk with stages: set "
                    "freeze.trunk_stages to 0"
                )
            self.modules += trunk.first_parts(config.trunk_stages)
        if config.normalisation:
            self.modules += batch_norms(network)
        freeze(self.modules)
        if config.statistics:
            self.modules += batch_norms(network)

    def train(self, network: nn.Module) -> None:
        """Training mode for all but the frozen layers, whose statistics stay."""
        network.train()
        for module in self.modules:
            module.eval()
