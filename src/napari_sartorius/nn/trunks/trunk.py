"""What every trunk offers to the pyramid above it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class Trunk(nn.Module):
    """Four maps of a batch, each of half the size of the one before.

    Attributes
    ----------
    strides, channels
        Stride and number of channels of each map, finest first.
    """

    strides: tuple[int, ...]
    channels: tuple[int, ...]

    def forward(self, batch: Tensor) -> list[Tensor]:
        """Four feature maps of a (B, C, H, W) batch, finest first."""
        raise NotImplementedError

    def first_parts(self, count: int) -> list[nn.Module]:
        """Layers from the input on that belong together.

        Parameters
        ----------
        count
            0 for none, 1 for the stem, 2 for what leads to the first map too, and so on up to 5.
        """
        raise NotImplementedError
