"""The job of the Train tab: a model learns from corrected images, in a folder that remembers."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import psutil

from napari_sartorius.core.errors import UserError
from napari_sartorius.engine.chronicle import Chronicle
from napari_sartorius.engine.train_pace import FRESH_S, checkpoint_every, seconds_per_step
from napari_sartorius.engine.trained_model import TrainedModel, outcome_of
from napari_sartorius.io.atomic import atomic_folder, write_text
from napari_sartorius.io.coco import read_coco
from napari_sartorius.io.coco_writing import write_coco
from napari_sartorius.io.project.chosen import chosen_images
from napari_sartorius.io.rebasing import rebased
from napari_sartorius.io.sources import read_dataset
from napari_sartorius.training.finetune_limits import BUDGETS, Effort
from napari_sartorius.training.run_files import (
    CANCEL_FILE,
    DATA_FOLDER,
    LAST_FILE,
    PAUSE_FILE,
    RECIPE_COPY,
    SETTINGS_FILE,
    STOP_FILE,
)
from napari_sartorius.training.run_state import RunKeeper, RunState
from napari_sartorius.zoo import find_single, list_bundles, user_models_folder

if TYPE_CHECKING:
    from napari_sartorius.engine.context import WorkerContext
    from napari_sartorius.io.coco import CocoDataset
    from napari_sartorius.training.config import TrainConfig
    from napari_sartorius.training.recipe_file import RecipeFile
    from napari_sartorius.zoo import ModelBundle


@dataclass(frozen=True)
class FineTuneJob:
    """Train a model further on corrected images; returns a `TrainedModel`.

    Attributes
    ----------
    data
        A project's folder, or anything that `read_dataset` takes.
    folder
        The run's folder: the annotations it began with, checkpoints, ``state.json``,
        ``curve.csv``, pictures, the finished model. A run that was killed goes on when the same
        job is given again, whatever has become of `data` meanwhile.
    model
        Name of the model to start from.
    name
        Of the new model.
    effort
        ``quick`` or ``thorough``; under a recipe what it does not say itself.
    recipe
        A file of settings that go before those of `effort`; a copy of it is kept in `folder`.
    statuses
        Which images of a project are learnt from.
    device
        As in `SegmentConfig`.
    """

    data: Path
    folder: Path
    model: str
    name: str
    effort: Effort = "quick"
    recipe: Path | None = None
    statuses: tuple[str, ...] = ("done",)
    device: str = "auto"

    outlives_viewer: ClassVar[bool] = True
    """All that it makes lies in `folder`, and the model where the others are."""
    after_crash: ClassVar[str] = (
        "what was learnt until the last checkpoint is kept: continue the run under “Train "
        "another”, with other programs closed if memory was the cause"
    )
    after_memory: ClassVar[str] = (
        "close other programs, or set a smaller batch or crop in a recipe file, then continue the "
        "run under “Train another”"
    )

    def run(self, context: WorkerContext) -> TrainedModel:
        """Train, and put the model where the others are when it is better than its start."""
        from napari_sartorius.training.finetune import finetune

        if self.name in {bundle.card.name for bundle in list_bundles()}:
            raise UserError(f"there is a model called {self.name} already: choose another name.")
        context.cache.clear()
        if (self.folder / LAST_FILE).exists():  # what was asked of it before it goes on now
            for name in (STOP_FILE, PAUSE_FILE, CANCEL_FILE):
                (self.folder / name).unlink(missing_ok=True)
        state = RunState(name=self.name, job=self._as_json())
        with RunKeeper(self.folder, state, context.monitor) as keeper:
            frozen = self.frozen_dataset()
            asked = self._freeze_recipe()
            start, dataset, config = self.prepared(frozen, asked)
            for sentence in self.left_out(start, asked):
                keeper.notice(sentence)
            write_text(self._settings, config.model_dump_json(indent=1))
            keeper.state.steps = config.steps
            config = config.model_copy(update={"checkpoint_every": checkpoint_every(config)})
            result = finetune(
                start,
                dataset,
                self.folder,
                effort=(asked and asked.effort) or self.effort,
                name=self.name,
                config=config,
                budget=self.budget(asked),
                recipe_name=asked.name if asked is not None else "",
                step_seconds=seconds_per_step(config, FRESH_S),
                monitor=keeper,
                on_validated=Chronicle(self.folder, config, keeper.state),
            )
            made = outcome_of(
                self.folder,
                self.name,
                result,
                config,
                dataset.category_names,
                start.card.category_names,
            )
            if made.name is not None:
                with atomic_folder(user_models_folder() / self.name) as place:
                    shutil.copytree(result.bundle.path, place, dirs_exist_ok=True)
            keeper.state.result = asdict(made)
        return made

    def dataset(self) -> CocoDataset:
        """What is learnt from: what the run began with, else what `data` holds now.

        Raises
        ------
        UserError
            When it cannot be read.
        """
        if self._frozen.is_file():
            return read_coco(self._frozen)
        dataset = read_dataset(self.data)
        is_project = self.data.is_dir() and isinstance(dataset.info.get("sartorius"), dict)
        return chosen_images(dataset, self.statuses) if is_project else dataset

    def frozen_dataset(self) -> CocoDataset:
        """As `dataset`, kept in the run's folder from now on; images stay where they are."""
        if self._frozen.is_file():
            return read_coco(self._frozen)
        dataset = self.dataset()
        write_coco(self._frozen, rebased(dataset, self._frozen.parent))
        return replace(read_coco(self._frozen), left_out=dataset.left_out)

    def prepared(
        self, dataset: CocoDataset, asked: RecipeFile | None
    ) -> tuple[ModelBundle, CocoDataset, TrainConfig]:
        """The start, the data in its terms, and the settings. Imports torch.

        Parameters
        ----------
        dataset, asked
            As `dataset` and `asked` give them.

        Raises
        ------
        UserError
            When there is no such model, or the recipe asks for what this job cannot do.
        """
        from napari_sartorius.training.config import TrainConfig
        from napari_sartorius.training.recipes.data import kinds_told_by
        from napari_sartorius.training.terms import in_terms_of

        start = find_single(self.model)
        if asked is not None and asked.categories_from is not None:
            dataset = kinds_told_by(dataset, asked.categories_from)

        def in_terms(keep: bool) -> CocoDataset:
            return in_terms_of(dataset, start.card.category_names, keep=keep)

        if self._settings.is_file():
            config = TrainConfig.read(self._settings)
            return start, in_terms(config.replay is not None), config

        def configured(terms: CocoDataset) -> TrainConfig:
            usual = self._usual(start, terms.category_names, asked)
            return usual if asked is None else asked.applied(usual, terms)

        terms = in_terms(True)
        config = configured(terms)
        if config.replay is None:  # it shall know these cells and nothing else
            terms = in_terms(False)
            config = configured(terms)
        changes: dict[str, Any] = {"device": self.device}
        cores = psutil.cpu_count(logical=False) or 1
        if config.threads is None and cores > 2:
            changes["threads"] = cores - 1  # one for the viewer and what else is going on
        return start, terms, config.model_copy(update=changes)

    def asked(self) -> RecipeFile | None:
        """What the recipe's file asks for, as it was when the run began; None without one.

        Reads the file: it is asked for once, and what it says is handed on.

        Raises
        ------
        UserError
            When it cannot be read, or asks for what this job cannot do.
        """
        from napari_sartorius.training.recipe_file import read_recipe_file

        copy = self._recipe_copy if self._recipe_copy.is_file() else None
        if self.recipe is None or (copy is None and self._settings.is_file()):
            return None  # a run of an earlier version kept the settings only
        return read_recipe_file(self.recipe, copy)

    def budget(self, asked: RecipeFile | None) -> float | None:
        """Seconds in which all should be done; None where the recipe's steps are made."""
        if self.recipe is None:
            return BUDGETS[self.effort]
        return asked.budget if asked is not None else None

    def left_out(self, start: ModelBundle, asked: RecipeFile | None) -> tuple[str, ...]:
        """Sentences on what of the recipe has no effect here; none without one."""
        if asked is None:
            return ()
        return asked.notes(self._usual(start, start.card.category_names, asked), start.card.name)

    def _usual(self, start: ModelBundle, names: list[str], asked: RecipeFile | None) -> TrainConfig:
        """The settings before a recipe's file changes them."""
        from napari_sartorius.training.finetune import finetune_config

        if asked is None or asked.effort is None:
            return finetune_config(start.card, names, self.effort)
        return finetune_config(start.card, names, asked.effort, asked.scale)

    def _freeze_recipe(self) -> RecipeFile | None:
        """As `asked`, kept in the run's folder from now on."""
        asked = self.asked()
        if asked is not None and not self._recipe_copy.is_file():
            write_text(self._recipe_copy, asked.path.read_text(encoding="utf-8"))
        return asked

    @property
    def _recipe_copy(self) -> Path:
        return self.folder / RECIPE_COPY

    @property
    def _settings(self) -> Path:
        return self.folder / SETTINGS_FILE

    @property
    def _frozen(self) -> Path:
        return self.folder / DATA_FOLDER / "annotations.json"

    def _as_json(self) -> dict[str, Any]:
        values = asdict(self)
        del values["folder"]  # it may be moved, together with its state
        return {k: str(v) if isinstance(v, Path) else v for k, v in values.items()}


def continued(folder: Path, state: RunState) -> FineTuneJob:
    """The job that goes on with a run.

    Raises
    ------
    UserError
        When the run is of another kind.
    """
    known = {field.name for field in fields(FineTuneJob)} - {"folder"}
    given = {name: value for name, value in state.job.items() if name in known}
    try:
        if given.get("recipe") is not None:
            given["recipe"] = Path(given["recipe"])
        given["data"] = Path(given["data"])
        given["statuses"] = tuple(given.get("statuses", ("done",)))
        return FineTuneJob(folder=folder, **given)
    except (KeyError, TypeError) as error:
        raise UserError(f"{folder} holds a run of another program: discard it.") from error
