"""How much each loss of a network counts, and how that changes during a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sartorius.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from napari_sartorius.training.config import TrainConfig

EPOCHS = 40
"""Equal parts of a run, for each of which `decayed` has one weight: the number of epochs of the
system that it comes from, whatever a run's number of steps."""

_CLASSES = ("class", "category", "image_class")
_MASKS = ("mask", "semantic")


def decayed(name: str, epoch: int, epochs: int = EPOCHS) -> float:
    """Weight of a loss that lets a run end on masks (11th place of the Sartorius challenge).

    With E = epochs + 1 classes weigh (E + 2 - e) / (E + 1), boxes and proposals
    (E + 1 - e // 2) / (E + 1), and masks 1. The original left out the semantic loss of a Hybrid
    Task Cascade, as it had no name for it; here it counts as the masks, which it serves.

    Parameters
    ----------
    name
        Of the loss, such as ``class_2`` or ``proposal_box``.
    epoch
        e, from 1 to `epochs`.
    epochs
        Of the run.
    """
    end = epochs + 1
    if name.startswith(_MASKS):
        return 1.0
    if name.startswith(_CLASSES):
        return (end + 2 - epoch) / (end + 1)
    return (end + 1 - epoch // 2) / (end + 1)


class LossWeights:
    """Joins the losses of a network to the one number that is minimised.

    Parameters
    ----------
    config
        Its `loss_weights` and `loss_decay`, and the number of steps.
    """

    def __init__(self, config: TrainConfig) -> None:
        self._factors, self._decay, self._steps = (
            config.loss_weights,
            config.loss_decay,
            config.steps,
        )

    def at(self, step: int, names: tuple[str, ...]) -> dict[str, float]:
        """Weight of each loss at a 0-based step.

        With `loss_decay` they are divided by their sum, as in the original. That makes gradients
        smaller by about the number of losses, which AdamW does not notice and SGD does.

        Raises
        ------
        UserError
            When a factor is given for a loss that the network does not have, or all are 0.
        """
        unknown = set(self._factors) - set(names)
        if unknown:
            raise UserError(
                f"loss_weights names {', '.join(sorted(unknown))}, but the losses of this network "
                f"are {', '.join(names)}"
            )
        weights = {name: self._factors.get(name, 1.0) for name in names}
        if not any(weights.values()):
            raise UserError("loss_weights are 0 for every loss: nothing would be learnt")
        if not self._decay:
            return weights
        epoch = 1 + min(EPOCHS - 1, step * EPOCHS // self._steps)
        weights = {name: weight * decayed(name, epoch) for name, weight in weights.items()}
        total = sum(weights.values())
        return {name: weight / total for name, weight in weights.items()}

    def total(self, step: int, losses: Mapping[str, Tensor]) -> Tensor:
        """Weighted sum at a step; a loss of weight 0 is left out, so that it has no gradients."""
        weights = self.at(step, tuple(losses))
        terms = [losses[name] * weight for name, weight in weights.items() if weight]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total
