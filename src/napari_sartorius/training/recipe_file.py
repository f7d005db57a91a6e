"""A recipe that somebody wrote down, for a model that learns further in the window.

The window trains one model in one stage on the images that are chosen there. What of a file has no
effect then is told, and a file that asks for something else is refused with the command that does
what it says.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import agree
from napari_sartorius.training.config import TrainConfig
from napari_sartorius.training.finetune_limits import BUDGETS, Effort, learnt_count
from napari_sartorius.training.finetune_schedule import in_proportion
from napari_sartorius.training.recipes.parts import Epochs
from napari_sartorius.training.recipes.reading import merged, recipe_of
from napari_sartorius.training.recipes.schema import FineTuneStage, Recipe, TrainStage
from napari_sartorius.training.recipes.settings import in_steps

if TYPE_CHECKING:
    from napari_sartorius.io.coco import CocoDataset

OF_THE_MODEL = ("architecture", "normalisation")
"""Settings that stay those of the model that learns."""
OF_THE_WINDOW = ("device", "validate_first", "initial_weights")
"""Settings that the window makes itself."""
FOR_PEOPLE = ("name", "title", "description", "source", "needs", "takes", "about", "kind")
"""Fields of a recipe that change nothing in a training."""
HONOURED = ("settings", "stages", "effort", "scale", "epochs", "categories_from")
"""Fields that do in the window what they do on the command line."""
LEFT_OUT = {
    "licence": "licence",
    "group": "group",
    "trial": "trial",
    "init": "init",
    "input_size": "input_size",
    "mix": "mix (further images)",
    "skip_if_missing": "skip_if_missing",
}
"""Fields without effect in the window, and how they are told where they say something."""
REFUSED = ("folds", "data")
"""Fields with which the window could not make what the file says."""


@dataclass(frozen=True)
class RecipeFile:
    """What a file asks of a training in the window.

    Attributes
    ----------
    path
        Of the file, as the user named it.
    name
        Of the recipe; of a configuration the file's.
    settings
        Fields of `TrainConfig` as a tree.
    effort
        Ready recipe that its stage ``finetune`` changes; None for others.
    scale
        How many times as long that one is made.
    epochs
        Length in passes over the images, instead of steps.
    categories_from
        See `recipes.schema.TrainStage`.
    init
        Model that it would start from; None where it does not say.
    left_out
        Fields that have no effect, in words.
    is_recipe
        Whether it has stages; otherwise it is a configuration.
    """

    path: Path
    name: str
    settings: dict[str, Any]
    effort: Effort | None = None
    scale: float = 1.0
    epochs: Epochs | None = None
    categories_from: str | None = None
    init: str | None = None
    left_out: tuple[str, ...] = ()
    is_recipe: bool = False

    @property
    def budget(self) -> float | None:
        """Seconds in which all should be done; None takes the steps as they are."""
        if self.effort is None or "steps" in self.settings:
            return None
        return BUDGETS[self.effort] * self.scale

    def applied(self, config: TrainConfig, dataset: CocoDataset | None = None) -> TrainConfig:
        """These settings on top of those for a model.

        Parameters
        ----------
        config
            For the model that learns: it keeps its network and how it looks at images. What the
            file does not name stays as it is here, and what is counted in steps goes with them.
        dataset
            What is learnt from, in the terms of the model; a file that counts in epochs needs it.

        Raises
        ------
        UserError
            When a setting is unknown or out of range, or nothing of a recipe would have an effect.
        """
        own: dict[str, Any] = config.model_dump(mode="json")
        kept = {name: own[name] for name in (*OF_THE_MODEL, *OF_THE_WINDOW)}
        made = self._checked(merged(own, self.settings) | kept)
        made = in_proportion(made, config, self.settings)
        if self.epochs is not None:
            if dataset is None:
                raise ValueError("epochs can be counted with images only")
            tree = made.model_dump(mode="json")
            made = self._checked(tree | in_steps(self.epochs, tree, learnt_count(dataset, made)))
        if self.is_recipe and self.effort is None and made == config:
            raise UserError(
                f"{self.path} says nothing that a model could be trained further by: run it with "
                f"`{self.command()}`."
            )
        return made

    def notes(self, config: TrainConfig, model: str) -> tuple[str, ...]:
        """What of the file has no effect, in sentences for people; none where all of it has.

        Parameters
        ----------
        config
            Of the training without the file.
        model
            Name of the model that learns.
        """
        told = [*self._without_effect(config, model), *self.left_out]
        sentences = []
        if told:
            sentences.append(
                f"{self.path.name}: {', '.join(told)} {agree(len(told), 'has', 'have')} no "
                f"effect here, where {model} is trained further; `{self.command()}` does all that "
                "the file says."
            )
        if self.is_recipe and self.effort is None:
            sentences.append(f"What {self.path.name} does not say is as in Quick.")
        return tuple(sentences)

    def command(self) -> str:
        """The command that does all that the file says."""
        option = "--recipe" if self.is_recipe else "--config"
        return _command(self.path, option, init=self.effort is not None)

    def _without_effect(self, config: TrainConfig, model: str) -> list[str]:
        own: dict[str, Any] = config.model_dump(mode="json")
        classes = {"num_classes": own["architecture"]["num_classes"]}
        told = []
        for name in (*OF_THE_MODEL, "validate_first"):
            given = self.settings.get(name, own[name])
            over = given | classes if name == "architecture" and isinstance(given, dict) else given
            if merged({name: own[name]}, {name: over})[name] != own[name]:
                told.append(name)
        if self.settings.get("device", "auto") not in ("auto", own["device"]):
            told.append("device")
        for name, start in (
            ("initial_weights", self.settings.get("initial_weights")),
            ("init", self.init),
        ):
            if start not in (None, model):
                told.append(f"{name} ({start})")
        replays = self.settings.get("replay", own["replay"]) is not None
        if replays and self.settings.get("balance", "image") != "image":
            told.append("balance (old and new images have shares of their own)")
        return told

    def _checked(self, tree: dict[str, Any]) -> TrainConfig:
        try:
            return TrainConfig.model_validate(tree)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            if first["type"] == "extra_forbidden":
                raise UserError(
                    f"{self.path} has the setting '{name}', which no recipe knows: remove it."
                ) from error
            reason = str(first["msg"])
            raise UserError(
                f"{self.path}: the setting '{name}' cannot be {first['input']!r} "
                f"({reason[:1].lower()}{reason[1:]}): correct it."
            ) from error


def with_recipe(config: TrainConfig, path: Path, dataset: CocoDataset | None = None) -> TrainConfig:
    """Settings of a file on top of those for a model; see `RecipeFile.applied`."""
    return read_recipe_file(path).applied(config, dataset)


def read_recipe_file(path: Path, copy: Path | None = None) -> RecipeFile:
    """Read a training configuration, as every run writes one (``config.json``), or a recipe.

    Parameters
    ----------
    path
        YAML or JSON.
    copy
        Where its content is read from instead, when the file may be gone.

    Raises
    ------
    UserError
        When the file cannot be read, or the window cannot make what it says; then the sentence
        names the command that can.
    """
    try:
        content = yaml.safe_load((copy or path).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{path} cannot be read as a recipe ({reason}): choose a config.json of a run."
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is no recipe, expected settings by name: choose another file.")
    if "stages" not in content:
        return RecipeFile(path, path.name, content)
    stages = content["stages"]
    if isinstance(stages, list) and len(stages) > 1:
        raise UserError(
            f"{path} has several stages, and the window trains in one: run it with "
            f"`{_command(path)}`."
        )
    # Words for people may be missing here.
    words = dict.fromkeys(("title", "description", "source"), "")
    return _of_recipe(recipe_of(words | content, str(path)), path)


def _of_recipe(recipe: Recipe, path: Path) -> RecipeFile:
    (stage,) = recipe.stages
    if not isinstance(stage, TrainStage | FineTuneStage):
        raise UserError(
            f"{path} has a stage '{stage.kind}', and the window trains models that find cells: run "
            f"it with `{_command(path)}`."
        )
    if recipe.folds > 1:
        raise UserError(
            f"{path} trains {recipe.folds} folds, and the window trains one model: run it with "
            f"`{_command(path)}`."
        )
    if isinstance(stage, TrainStage) and stage.data != "target":
        raise UserError(
            f"{path} learns from images to begin with (data: {stage.data}), and the window from "
            f"those that are chosen: run it with `{_command(path)}`."
        )
    told = [
        LEFT_OUT[name]
        for part in (recipe, stage)
        for name in type(part).model_fields
        if name in LEFT_OUT and name != "init" and getattr(part, name)
    ]
    settings = merged(recipe.settings, stage.settings)
    made = RecipeFile(path, recipe.name, settings, left_out=tuple(told), is_recipe=True)
    if isinstance(stage, FineTuneStage):
        return replace(made, effort=stage.effort, scale=stage.scale)
    return replace(
        made, epochs=stage.epochs, categories_from=stage.categories_from, init=stage.init
    )


def _command(path: Path, option: str = "--recipe", *, init: bool = False) -> str:
    start = " --init MODEL" if init else ""
    return (
        f"napari-sartorius train {option} {shlex.quote(str(path))} --data DATA --out FOLDER{start}"
    )
