"""A recipe that somebody wrote down: the settings of a training for whatever model learns."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from napari_sartorius.core.errors import UserError
from napari_sartorius.training.config import TrainConfig

if TYPE_CHECKING:
    from pathlib import Path

_OF_THE_MODEL = ("architecture", "normalisation")


def with_recipe(config: TrainConfig, path: Path) -> TrainConfig:
    """Settings of a file on top of those for a model.

    Parameters
    ----------
    config
        For the model that learns: it keeps its network and how it looks at images.
    path
        A training configuration as every run writes one (``config.json``); what is left out of it
        stays as it is in `config`.

    Raises
    ------
    UserError
        When the file cannot be read, or a setting is unknown or out of range.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read as a recipe ({error}): choose a config.json of a run."
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is no recipe, expected settings by name: choose another file.")
    own: dict[str, Any] = config.model_dump(mode="json")
    kept = {name: own[name] for name in (*_OF_THE_MODEL, "validate_first", "device")}
    try:
        return TrainConfig.model_validate(own | content | kept)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise UserError(
                f"{path} has the setting '{name}', which no recipe knows: remove it."
            ) from error
        reason = str(first["msg"])
        raise UserError(
            f"{path}: the setting '{name}' cannot be {first['input']!r} "
            f"({reason[:1].lower()}{reason[1:]}): correct it."
        ) from error
