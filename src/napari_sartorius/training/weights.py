"""Start a network from another one's weights where names and shapes fit, and say what did not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sartorius.zoo.checkpoints.partial import fit_channels

if TYPE_CHECKING:
    from torch import Tensor, nn

# Layers that are named; a whole trunk of other sizes need not be listed.
_SHOWN = 8


@dataclass(frozen=True)
class TransferReport:
    """What became of the tensors of a network that starts from another one's.

    Attributes
    ----------
    used, reshaped
        Taken over as they are, and adapted to another number of input channels.
    missing
        Not in the source, or of another shape there.
    unused
        Of the source, which the network does not have or has in another shape.
    other_shape
        Those of `missing` that the source has in another shape: mostly last layers with as many
        outputs as there are categories.
    """

    used: tuple[str, ...]
    reshaped: tuple[str, ...]
    missing: tuple[str, ...]
    unused: tuple[str, ...]
    other_shape: tuple[str, ...] = ()

    def sentence(self) -> str:
        """One line for people."""
        text = (
            f"{len(self.used)} tensors taken over, {len(self.reshaped)} adapted, "
            f"{len(self.missing)} start at random, {len(self.unused)} of the source not used"
        )
        layers = list(dict.fromkeys(name.rpartition(".")[0] for name in self.other_shape))
        if not layers:
            return text
        shown = ", ".join(layers[:_SHOWN]) + (" ..." if len(layers) > _SHOWN else "")
        return f"{text}; of other sizes, as for other categories, and so begun anew: {shown}"


def transfer_weights(network: nn.Module, source: dict[str, Tensor]) -> TransferReport:
    """Copy every tensor whose name and shape fit.

    The first convolution is adapted between 3 and 1 input channels.
    """
    target = network.state_dict()
    used: list[str] = []
    reshaped: list[str] = []
    missing: list[str] = []
    other_shape: list[str] = []
    for name, tensor in target.items():
        given = source.get(name)
        fitted = None if given is None else fit_channels(given, tuple(tensor.shape))
        if given is None or fitted is None:
            missing.append(name)
            if given is not None:
                other_shape.append(name)
            continue
        tensor.copy_(fitted.to(tensor.dtype))
        (used if given.shape == tensor.shape else reshaped).append(name)
    unused = tuple(sorted(set(source) - set(used) - set(reshaped)))
    return TransferReport(tuple(used), tuple(reshaped), tuple(missing), unused, tuple(other_shape))
