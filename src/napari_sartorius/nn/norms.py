"""Every normalisation that a layer of a network can have, by the name that the trees use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from napari_sartorius.nn.config.norms import GROUPS

if TYPE_CHECKING:
    from napari_sartorius.nn.config.norms import Norm


class FrozenBatchNorm(nn.BatchNorm2d):
    """Batch normalisation that never learns: its statistics and its scale stay as loaded.

    Batches of one or two crops have no useful statistics of their own. Names, shapes and results in
    evaluation are those of batch normalisation.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.weight.requires_grad_(False)
        self.bias.requires_grad_(False)
        super().train(False)

    def train(self, mode: bool = True) -> FrozenBatchNorm:
        """Stay in evaluation mode."""
        del mode
        return self


def normalisation(kind: Norm, channels: int) -> nn.Module:
    """Layer that normalises maps of so many channels.

    Parameters
    ----------
    kind
        ``batch``, ``frozen``, ``group`` or ``none``.
    channels
        A multiple of 32 for ``group``.
    """
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "frozen":
        return FrozenBatchNorm(channels)
    if kind == "group":
        return nn.GroupNorm(GROUPS, channels)
    return nn.Identity()
