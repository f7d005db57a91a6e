"""Runs one stage of a recipe in its own folder; a finished one is only read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor
from napari_sartorius.core.wording import plural
from napari_sartorius.io.coco import read_coco
from napari_sartorius.training.classifier.config import ClassifierConfig
from napari_sartorius.training.classifier.run import train_classifier
from napari_sartorius.training.data import split_dataset
from napari_sartorius.training.finetune import BUDGETS, finetune, finetune_config
from napari_sartorius.training.finetune_schedule import in_proportion
from napari_sartorius.training.mixture import FurtherImages, in_categories_of
from napari_sartorius.training.recipes.after_training import (
    join_models,
    label_unlabelled,
    teach_second_level,
)
from napari_sartorius.training.recipes.data import RecipeData, kinds_told_by
from napari_sartorius.training.recipes.made import LeftOut, Made, finished
from napari_sartorius.training.recipes.processes import processes_of
from napari_sartorius.training.recipes.reading import merged
from napari_sartorius.training.recipes.schema import (
    STAGE,
    ClassifierStage,
    EnsembleStage,
    FineTuneStage,
    PseudoLabelStage,
    Recipe,
    RescoreStage,
    TrainStage,
)
from napari_sartorius.training.recipes.settings import checked, share_of, train_config
from napari_sartorius.training.recipes.starts import described, start_of
from napari_sartorius.training.run import train
from napari_sartorius.training.terms import in_terms_of
from napari_sartorius.zoo import AnyBundle, Thresholds, find_bundle, find_single
from napari_sartorius.zoo.bundle import ModelBundle

if TYPE_CHECKING:
    from napari_sartorius.io.coco import CocoDataset
    from napari_sartorius.training.config import TrainConfig


_ALL = Thresholds(score=0.02, mask=0.3, nms=0.5, min_size=1)


@dataclass(eq=False)
class StageRunner:
    """Runs the stages of a recipe on the same images, one after the other.

    Parameters
    ----------
    recipe
        What is to be done.
    data
        Images; the records of `target` say which side they are on, or the stages decide.
    folder
        Each stage gets a folder of its own in it.
    label
        What makes the names of the models unlike those of other runs.
    init
        Start instead of the models from outside that the recipe names; ``none`` begins at random.
    made
        What earlier stages have made; None for those left out.
    """

    recipe: Recipe
    data: RecipeData
    folder: Path
    label: str
    init: str | None = None
    made: dict[str, Made | None] = field(default_factory=dict)

    def run(self, stage: Any, monitor: Monitor) -> Made | None:
        """Do a stage, or read what it has made; None when it is left out.

        Raises
        ------
        UserError
            When it cannot run, and the recipe does not say that it may be left out.
        """
        folder = self.folder / stage.name
        made = finished(folder)
        if made is None:
            try:
                made = self._do(stage, folder, monitor)
            except LeftOut as reason:
                if not stage.skip_if_missing:
                    raise UserError(f"the stage {stage.name} cannot run: {reason}") from reason
                monitor.notice(f"left out: {reason}")
        self.made[stage.name] = made
        return made

    def bundle(self, name: str) -> AnyBundle | None:
        """A model by its name or that of the stage which makes it; None when that is left out."""
        if not name.startswith(STAGE):
            return find_bundle(name)
        made = self.made.get(name.removeprefix(STAGE))
        return made.bundle if made is not None else None

    def _do(self, stage: Any, folder: Path, monitor: Monitor) -> Made:
        if isinstance(stage, TrainStage):
            return Made(self._train(stage, folder, monitor))
        if isinstance(stage, FineTuneStage):
            return Made(self._finetune(stage, folder, monitor))
        if isinstance(stage, ClassifierStage):
            return Made(self._classifier(stage, folder, monitor))
        if isinstance(stage, PseudoLabelStage):
            return Made(labels=label_unlabelled(self, stage, folder, monitor))
        if isinstance(stage, EnsembleStage):
            return Made(join_models(self, stage, folder, monitor))
        assert isinstance(stage, RescoreStage)
        return Made(teach_second_level(self, stage, folder, monitor))

    # -- training ------------------------------------------------------------------------------

    def _train(self, stage: TrainStage, folder: Path, monitor: Monitor) -> ModelBundle:
        dataset = self.data.target if stage.data == "target" else self.data.pretrain
        if dataset is None:
            raise LeftOut("it needs --pretrain-data")
        if stage.categories_from is not None:
            dataset = kinds_told_by(dataset, stage.categories_from, monitor)
        names = dataset.category_names
        start = start_of(self, stage, monitor)
        told = described(start)
        plain = train_config(self.recipe, stage, len(names), 1, told)
        images = len(split_dataset(dataset, plain, Monitor())[0])
        processes = processes_of(folder)
        config = train_config(self.recipe, stage, len(names), images, told, processes)
        further = self._further(stage, config, names, images, processes, monitor)
        card: dict[str, Any] = {
            "name": f"{self.label}-{stage.name}",
            "title": f"{self.recipe.title}: {stage.name}",
            "description": f"Trained as the recipe {self.recipe.name} says, stage {stage.name}, on "
            f"{plural(images, 'image')}"
            + "".join(f" and {plural(len(one.dataset), 'further one')}" for one in further)
            + ".",
            "licence": self._licence(start),
            "training_data": plural(images, "image"),
        }
        if self.recipe.trial:
            # Whatever it finds will do, so that the stages after it have something to work on.
            card["thresholds"] = dict.fromkeys(names, _ALL)
        if isinstance(start, ModelBundle):
            config = config.model_copy(update={"initial_weights": str(start.path)})
            card["parent"] = start.card.name
            if start.card.training_data:
                card["training_data"] += f"; before that: {start.card.training_data}"
        elif start is not None:
            config = config.model_copy(update={"initial_weights": start})
        return train(
            dataset,
            folder,
            config,
            monitor,
            further=further,
            input_size=stage.input_size,
            card=card,
        )

    def _further(
        self,
        stage: TrainStage,
        config: TrainConfig,
        names: list[str],
        own: int,
        processes: int,
        monitor: Monitor,
    ) -> list[FurtherImages]:
        result = []
        for mixture in stage.mix:
            dataset: CocoDataset | None
            if mixture.images.startswith(STAGE):
                made = self.made.get(mixture.images.removeprefix(STAGE))
                dataset = read_coco(made.labels) if made is not None and made.labels else None
            else:
                dataset = self.data.pretrain
            if dataset is None:
                reason = f"there are no images of {mixture.images}"
                if stage.skip_if_missing:
                    raise LeftOut(reason)
                monitor.notice(f"{reason}, so it learns without them")
                continue
            if mixture.categories_from is not None:
                dataset = kinds_told_by(dataset, mixture.categories_from, monitor)
            dataset = in_categories_of(dataset, names, mixture.categories)
            if not len(dataset):
                monitor.notice(
                    f"no image of {mixture.images} shows {', '.join(names)} alone, so it learns "
                    "without them"
                )
                continue
            monitor.notice(f"{plural(len(dataset), 'further image')} of {mixture.images}")
            share = share_of(mixture, config, own, len(dataset), processes)
            result.append(FurtherImages(dataset, share))
        return result

    def _licence(self, start: ModelBundle | str | None) -> str:
        parts = ["as its training data"]
        if isinstance(start, ModelBundle):
            parts += start.card.licence.split("; ")
        if self.recipe.licence:
            parts.append(self.recipe.licence)
        return "; ".join(dict.fromkeys(parts))

    def _finetune(self, stage: FineTuneStage, folder: Path, monitor: Monitor) -> ModelBundle:
        if self.init is None or self.init == "none":
            raise UserError(
                f"the recipe {self.recipe.name} trains a model further: name it with --init, for "
                "example neurons"
            )
        start = find_single(self.init)
        dataset = in_terms_of(self.data.target, start.card.category_names)
        settings = merged(self.recipe.settings, stage.settings)
        config = None
        if settings or stage.scale != 1:
            usual = finetune_config(start.card, dataset.category_names, stage.effort, stage.scale)
            config = checked(type(usual), merged(usual.model_dump(), settings), stage.name)
            config = in_proportion(config, usual, settings)
        result = finetune(
            start,
            dataset,
            folder,
            effort=stage.effort,
            name=self.label,
            config=config,
            # Whoever sets the number of steps wants those, however long they take.
            budget=None if "steps" in settings else BUDGETS[stage.effort] * stage.scale,
            recipe_name=self.recipe.name,
            monitor=monitor,
        )
        if not result.improved:
            monitor.notice("it is no better than before: more corrected images help most")
        return result.bundle

    def _classifier(self, stage: ClassifierStage, folder: Path, monitor: Monitor) -> ModelBundle:
        if len(self.data.target.categories) < 2:
            raise LeftOut("there is one kind of cell only, so there is nothing to tell apart")
        config = checked(ClassifierConfig, stage.settings, stage.name)
        taught = train_classifier(
            self.data.target,
            folder,
            config,
            monitor,
            unlabelled=self._named(config) if stage.unlabelled else None,
            card={"name": f"{self.label}-{stage.name}", "licence": self._licence(None)},
        )
        monitor.notice(taught.text().splitlines()[0])
        return taught.bundle

    def _named(self, config: ClassifierConfig) -> CocoDataset | None:
        """Unlabelled images, when their names tell a type that the target has."""
        from napari_sartorius.training.classifier.data import type_names, typed_by_name

        if self.data.unlabelled is None:
            return None
        names = type_names(self.data.target, config.type_field)
        try:
            return typed_by_name(
                self.data.unlabelled, config.name_pattern, names, config.type_field
            )
        except UserError:
            return None
