"""Says before a download whether its file can be used, from what the importer knows today."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sartorius.core.errors import UserError
from napari_sartorius.zoo.checkpoints.formats import FORMATS
from napari_sartorius.zoo.checkpoints.settings import Settings

if TYPE_CHECKING:
    from napari_sartorius.zoo.checkpoints.checkpoint_format import CheckpointFormat
    from napari_sartorius.zoo.published.entries import PublishedModel


def why_not(model: PublishedModel) -> str | None:
    """One sentence on why a published model cannot be used here; None when it can."""
    if model.not_importable is not None:
        return f"{model.title} cannot be used here: {model.not_importable}."
    formats = [one for one in FORMATS if model.program.lower() in one.title.lower()]
    if not formats:
        return (
            f"{model.title} cannot be used yet: this version does not import checkpoints of "
            f"{model.program}; look for an update of napari-sartorius."
        )
    if not any(_accepts(one, model) for one in formats):
        return (
            f"{model.title} cannot be used yet: this version does not have such a network; look "
            "for an update of napari-sartorius."
        )
    return None


def _accepts(checkpoint_format: CheckpointFormat, model: PublishedModel) -> bool:
    if checkpoint_format.rules is None:
        return True
    try:
        checkpoint_format.rules.judged(Settings(values=_flat(model.settings)))
    except UserError:
        return False
    return True


def _flat(section: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in section.items():
        name = prefix + key
        values |= _flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return values
