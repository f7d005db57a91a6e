"""Start a network from another one's weights where names and shapes fit, and say what did not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sartorius.core.wording import agree, plural
from napari_sartorius.zoo.checkpoints.partial import fit_channels

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class TransferReport:
    """Names of tensors taken over, of a different shape, absent from the source, and unused."""

    used: tuple[str, ...]
    reshaped: tuple[str, ...]
    missing: tuple[str, ...]
    unused: tuple[str, ...]

    def sentence(self) -> str:
        """One line for people."""
        return (
            f"{plural(len(self.used), 'tensor')} taken over, {len(self.reshaped)} adapted, "
            f"{len(self.missing)} {agree(len(self.missing), 'starts', 'start')} at random, "
            f"{len(self.unused)} of the source not used"
        )


def transfer_weights(network: nn.Module, source: dict[str, Tensor]) -> TransferReport:
    """Copy every tensor whose name and shape fit.

    The first convolution is adapted between 3 and 1 input channels.
    """
    target = network.state_dict()
    used: list[str] = []
    reshaped: list[str] = []
    missing: list[str] = []
    for name, tensor in target.items():
        given = source.get(name)
        fitted = None if given is None else fit_channels(given, tuple(tensor.shape))
        if given is None or fitted is None:
            missing.append(name)
            continue
        tensor.copy_(fitted.to(tensor.dtype))
        (used if given.shape == tensor.shape else reshaped).append(name)
    unused = tuple(sorted(set(source) - set(used) - set(reshaped)))
    return TransferReport(tuple(used), tuple(reshaped), tuple(missing), unused)
