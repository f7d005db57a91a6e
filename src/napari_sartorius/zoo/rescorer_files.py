"""Gives a model a second level, or another one: into its own folder, or into a copy of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sartorius.zoo.bundle import RESCORER_FILE, AnyBundle
from napari_sartorius.zoo.changed_files import change, changed_copy, check_can_change

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_sartorius.zoo.rescorer_card import RescorerCard

_NEWS = "the rescorer"


def check_can_take_rescorer(bundle: AnyBundle) -> None:
    """Make sure that a model's own folder may be changed; errors as `check_can_change`."""
    check_can_change(bundle, _NEWS)


def put_rescorer(
    bundle: AnyBundle, data: bytes, card: RescorerCard, metrics: Mapping[str, float]
) -> AnyBundle:
    """Give a model in the user's own folder a second level; an older one is replaced.

    Parameters
    ----------
    bundle
        The model.
    data
        Content of ``rescorer.cbm``.
    card
        Its entry in the model's card.
    metrics
        Figures that are added to the card's.

    Raises
    ------
    UserError
        As in `check_can_take_rescorer`.
    """
    return change(bundle, _changes(bundle, card, metrics), {RESCORER_FILE: data}, _NEWS)


def copy_with_rescorer(
    bundle: AnyBundle, data: bytes, card: RescorerCard, metrics: Mapping[str, float], name: str
) -> AnyBundle:
    """Copy a model under a new name into the user's folder, with a second level.

    Parameters
    ----------
    bundle, data, card, metrics
        As for `put_rescorer`; the model may also have been shipped or be a zip file.
    name
        Of the copy.

    Raises
    ------
    UserError
        When the name is taken or no name, the weights are damaged, or the disk is full.
    """
    return changed_copy(bundle, _changes(bundle, card, metrics), {RESCORER_FILE: data}, name)


def _changes(bundle: AnyBundle, card: RescorerCard, metrics: Mapping[str, float]) -> dict[str, Any]:
    return {"rescorer": card.model_dump(), "metrics": bundle.card.metrics | dict(metrics)}
