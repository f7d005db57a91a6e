"""A recipe that somebody wrote down: the settings of a training for whatever model learns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from napari_sartorius.core.errors import UserError
from napari_sartorius.training.config import TrainConfig
from napari_sartorius.training.recipes.reading import merged

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
        A training configuration as every run writes one (``config.json``), or a recipe (YAML or
        JSON) of a single stage; what is left out of it stays as it is in `config`.

    Raises
    ------
    UserError
        When the file cannot be read, has several stages, or a setting is unknown or out of range.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{path} cannot be read as a recipe ({reason}): choose a config.json of a run."
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is no recipe, expected settings by name: choose another file.")
    if "stages" in content:
        content = _of_stages(content, path)
    own: dict[str, Any] = config.model_dump(mode="json")
    kept = {name: own[name] for name in (*_OF_THE_MODEL, "validate_first", "device")}
    try:
        return TrainConfig.model_validate(merged(own, content) | kept)
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


def _of_stages(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """Settings of a recipe's only stage, with those for all stages."""
    stages = content["stages"]
    if not isinstance(stages, list) or len(stages) != 1 or not isinstance(stages[0], dict):
        raise UserError(
            f"{path} has several stages, and the window trains in one: run it with "
            f"`napari-sartorius train --recipe {path.name}`."
        )
    settings: dict[str, Any] = {}
    for level in (content, stages[0]):
        if isinstance(level.get("settings"), dict):
            settings = merged(settings, level["settings"])
    return settings
