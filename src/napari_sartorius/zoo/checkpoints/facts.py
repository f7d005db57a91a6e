"""What the names and shapes of a checkpoint's tensors tell, whatever program wrote it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_sartorius.core.errors import UserError

if TYPE_CHECKING:
    from napari_sartorius.nn.config.norms import Norm


@dataclass(frozen=True)
class Facts:
    """Shapes by name; what is missing or odd becomes a sentence.

    Attributes
    ----------
    path
        The checkpoint, for errors.
    weights
        Its tensors by their names there.
    called
        The network, as in "a tensor that fits no ...".
    """

    path: Path
    weights: Mapping[str, NDArray[Any]]
    called: str

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor of two or more dimensions."""
        if name not in self.weights:
            raise UserError(
                f"{self.path} has no tensor {name}, which every {self.called} has; the "
                "checkpoint is incomplete or of another network"
            )
        shape = self.weights[name].shape
        if len(shape) < 2 or 0 in shape:
            raise self.odd(name)
        return tuple(int(n) for n in shape)

    def odd(self, name: str) -> UserError:
        """Sentence for a tensor whose shape tells nothing."""
        shape = "x".join(str(n) for n in self.weights[name].shape) or "of one number"
        return UserError(
            f"{self.path}: the tensor {name} has the shape {shape}, which fits no "
            f"{self.called}; the checkpoint is damaged or of another network"
        )

    def count(self, pattern: str) -> int:
        """How many different numbers the group of a pattern takes."""
        return len({m[1] for name in self.weights if (m := re.search(pattern, name))})

    def norm(self, layer: str) -> Norm:
        """What follows a convolution.

        Batch normalisation that has no counter was frozen in training: detectron2's frozen layers
        never have one.
        """
        if f"{layer}.norm.weight" not in self.weights:
            return "none"
        if f"{layer}.norm.running_mean" not in self.weights:
            return "group"
        return "batch" if f"{layer}.norm.num_batches_tracked" in self.weights else "frozen"
