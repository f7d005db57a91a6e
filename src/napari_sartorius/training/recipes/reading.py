"""Finds recipes by name, reads their files, and changes what the user wants otherwise."""

from __future__ import annotations

import copy
import difflib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from napari_sartorius.core.errors import UserError
from napari_sartorius.training.recipes.schema import Recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER = Path(__file__).parent / "files"
_SUFFIXES = (".yaml", ".yml", ".json")
# Steps, and what is counted in them.
_COUNTED = ("steps", "warmup_steps", "validate_every", "checkpoint_every")


@cache
def recipe_names() -> tuple[str, ...]:
    """Names of the recipes that come with the program, in the order of the alphabet."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def recipe_file(name: str) -> Path:
    """The file of a recipe.

    Parameters
    ----------
    name
        Of a recipe that comes with the program, or a path.

    Raises
    ------
    UserError
        When there is none; the sentence names those that look alike.
    """
    path = Path(name)
    if path.suffix.lower() in _SUFFIXES:
        if not path.is_file():
            raise UserError(f"{path} does not exist: check the path of the recipe.")
        return path
    if name in recipe_names():
        return FOLDER / f"{name}.yaml"
    alike = difflib.get_close_matches(name, recipe_names(), 2, 0.5)
    hint = f"did you mean {' or '.join(alike)}? " if alike else ""
    raise UserError(
        f"there is no recipe '{name}'; {hint}see them with: napari-sartorius recipes list"
    )


def read_recipe(name: str) -> Recipe:
    """A recipe by its name or from a file.

    Raises
    ------
    UserError
        When there is none, or the file says what no recipe may say.
    """
    return recipe_of(_tree(recipe_file(name)), name)


def recipe_of(tree: dict[str, Any], name: str) -> Recipe:
    """The recipe that a tree describes; `name` is for errors and for recipes without one.

    Raises
    ------
    UserError
        Naming the first wrong entry.
    """
    try:
        return Recipe.model_validate({"name": Path(name).stem} | tree)
    except ValidationError as error:
        raise UserError(f"the recipe {name} cannot be used: {first_fault(error)}") from error


def first_fault(error: ValidationError) -> str:
    """Where a configuration is wrong first, and why."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    what = str(first["msg"]).removeprefix("Value error, ")
    return f"{place}: {what}" if place else what


def changed(recipe: Recipe, changes: Sequence[str]) -> Recipe:
    """The recipe with entries set as ``--set`` says.

    Parameters
    ----------
    recipe
        Stays as it is.
    changes
        ``PATH=VALUE``. A path that begins with a stage's name goes into that stage, ``folds``,
        ``group`` and ``title`` into the recipe, ``device`` into all stages, every other one into
        the settings of all training.
        In a stage the path may name an entry of the stage or, if there is none, of its settings.

    Raises
    ------
    UserError
        When a text is not such a change.
    """
    import yaml

    tree = recipe.model_dump(mode="json")
    stages = {stage["name"]: stage for stage in tree["stages"]}
    for text in changes:
        path, equals, value = text.partition("=")
        keys = path.strip().split(".")
        if keys[0] == "stages":
            keys = keys[1:]
        if not equals or not all(keys) or not keys:
            raise UserError(
                f"--set cannot be {text!r}: write PATH=VALUE, as in steps=500 or "
                f"{recipe.stages[-1].name}.learning_rate=0.001"
            )
        place, rest = tree["settings"], keys
        if keys[0] in stages and len(keys) > 1:
            place, rest = stages[keys[0]], keys[1:]
            if rest[0] not in place:
                if "settings" not in place:
                    raise UserError(f"--set {text}: the stage {keys[0]} has no {rest[0]}")
                place = place["settings"]
        elif keys[0] in ("folds", "group", "title"):
            place = tree
        try:
            parsed = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UserError(f"--set {text}: {value!r} is no value that can be read") from error
        put(place, rest, parsed)
        if keys == ["device"]:  # all that computes does so in one place
            for stage in stages.values():
                if stage["kind"] not in ("train", "ensemble"):
                    put(stage, ["settings", "device"], parsed)
    return recipe_of(tree, recipe.name)


def scaled(recipe: Recipe, factor: float) -> Recipe:
    """The recipe with every training so many times as long, validations and warm-up included.

    A fine-tuning that states no steps gets so many times the steps and the time of its effort.

    Raises
    ------
    UserError
        When the factor is not above zero.
    """
    if not factor > 0:
        raise UserError(f"--steps-scale cannot be {factor}: give a number above 0, such as 0.1")
    tree = recipe.model_dump(mode="json")
    for settings in [tree["settings"], *(stage.get("settings", {}) for stage in tree["stages"])]:
        for key in _COUNTED:
            if key in settings:
                settings[key] = max(1, round(settings[key] * factor))
        if "decay_steps" in settings:
            settings["decay_steps"] = [max(1, round(s * factor)) for s in settings["decay_steps"]]
    for stage in tree["stages"]:
        if "scale" in stage and "steps" not in merged(recipe.settings, stage["settings"]):
            stage["scale"] *= factor
        if stage.get("epochs"):
            epochs = stage["epochs"]
            for key in ("total", "validate_every"):
                epochs[key] *= factor
            epochs["decay"] = [epoch * factor for epoch in epochs["decay"]]
    return recipe_of(tree, recipe.name)


def put(tree: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    """Set an entry of a tree, with the branches that lead there."""
    for key in keys[:-1]:
        below = tree.get(key)
        if not isinstance(below, dict):
            below = tree[key] = {}
        tree = below
    tree[keys[-1]] = value


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Two trees as one; where both say something, the second is believed.

    Branches that name their `family` or `kind` are other things, which replace a branch of another
    kind as a whole.
    """
    result = copy.deepcopy(base)
    for key, value in over.items():
        below = result.get(key)
        if isinstance(value, dict) and isinstance(below, dict) and not _is_another(below, value):
            result[key] = merged(below, value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def _is_another(below: dict[str, Any], value: dict[str, Any]) -> bool:
    return any(key in value and value[key] != below.get(key) for key in ("family", "kind"))


def _tree(path: Path) -> dict[str, Any]:
    import yaml

    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): check the path.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no YAML file: {str(error).splitlines()[0]}") from error
    if not isinstance(tree, dict):
        raise UserError(f"{path} is no recipe: expected entries such as title and stages.")
    return tree
