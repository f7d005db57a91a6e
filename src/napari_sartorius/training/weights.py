"""Start a network from another one's weights where names and shapes fit, and say what did not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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
            f"{len(self.used)} tensors taken over, {len(self.reshaped)} adapted, "
            f"{len(self.missing)} start at random, {len(self.unused)} of the source not used"
        )


def transfer_weights(network: nn.Module, source: dict[str, Tensor]) -> TransferReport:
    """Copy every tensor whose name and shape fit.

    The first convolution is adapted between 3 and 1 input channels: a grey network sees the sum of
    the colour weights, which answers to a grey image as the colour network did.
    """
    target = network.state_dict()
    used, reshaped, missing = [], [], []
    for name, tensor in target.items():
        given = source.get(name)
        if given is None:
            missing.append(name)
        elif given.shape == tensor.shape:
            tensor.copy_(given.to(tensor.dtype))
            used.append(name)
        elif given.ndim == 4 and given.shape[1] == 3 and tensor.shape[1] == 1:
            tensor.copy_(given.to(tensor.dtype).sum(dim=1, keepdim=True))
            reshaped.append(name)
        elif given.ndim == 4 and given.shape[1] == 1 and tensor.shape[1] == 3:
            tensor.copy_((given.to(tensor.dtype) / 3).expand_as(tensor))
            reshaped.append(name)
        else:
            missing.append(name)
    unused = tuple(sorted(set(source) - set(used) - set(reshaped)))
    return TransferReport(tuple(used), tuple(reshaped), tuple(missing), unused)
