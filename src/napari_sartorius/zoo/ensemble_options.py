"""What can be chosen when an ensemble is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from napari_sartorius.core.errors import UserError
from napari_sartorius.ensemble.mean_of_looks import MeanOfLooks
from napari_sartorius.zoo.ensemble_card import AnyFusion

STRATEGIES = {
    "mean_of_looks": "the mean over all models and views",
    "weighted_boxes": "boxes joined by their overlap, masks averaged",
    "weighted_segments": "boxes joined by their overlap, pixels by vote",
    "weighted_masks": "masks joined by their overlap",
    "mask_clusters": "masks in groups, pixels by vote",
    "stage_means": "the networks decide together, step by step (11th place)",
    "boxes_then_masks": "boxes of all models, masks averaged on each (7th place)",
}
"""Every strategy, and what it does in a few words."""


@dataclass(frozen=True)
class EnsembleOptions:
    """How an ensemble is made.

    Parameters
    ----------
    fusion
        How what the members find becomes one.
    weights
        How much each member counts, in their order; all the same when empty.
    views
        How each member looks in the preset Best; those of the first member's card when empty.
    classifier
        Name of a model that decides the cell type of an image; the majority when None.
    title
        Line for a list.
    """

    fusion: AnyFusion = field(default_factory=MeanOfLooks)
    weights: tuple[float, ...] = ()
    views: tuple[str, ...] = ()
    classifier: str | None = None
    title: str | None = None


def fusion_of(strategy: str, options: dict[str, Any] | None = None) -> AnyFusion:
    """Options of a strategy by its name, and those that differ from what is usual.

    Raises
    ------
    UserError
        When there is no such strategy or option, or a value is out of its range.
    """
    if strategy not in STRATEGIES:
        raise UserError(f"there is no strategy {strategy}; choose one of: {', '.join(STRATEGIES)}")
    adapter: TypeAdapter[AnyFusion] = TypeAdapter(AnyFusion)
    try:
        return adapter.validate_python({"strategy": strategy} | (options or {}))
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(
            f"the option {first['loc'][-1]} of {strategy} cannot be used: {first['msg']}"
        ) from error
