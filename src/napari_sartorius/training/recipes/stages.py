"""Runs one stage of a recipe in its own folder; a finished one is only read."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sartorius.core.errors import MissingPackage, UserError
from napari_sartorius.core.progress import Monitor
from napari_sartorius.io.atomic import atomic_folder, write_text
from napari_sartorius.io.coco import read_coco, write_coco
from napari_sartorius.io.rebasing import rebased
from napari_sartorius.postprocess.second_level.rescorer import Rescorer
from napari_sartorius.training.classifier.config import ClassifierConfig
from napari_sartorius.training.classifier.run import train_classifier
from napari_sartorius.training.data import split_dataset
from napari_sartorius.training.finetune import finetune, finetune_config, in_terms_of
from napari_sartorius.training.mixture import FurtherImages, in_categories_of
from napari_sartorius.training.pseudo_labels import PseudoLabelConfig, label_images
from napari_sartorius.training.recipes.data import RecipeData, by_field
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
from napari_sartorius.training.rescoring.config import RescoreConfig
from napari_sartorius.training.rescoring.fitting import teach_rescorer
from napari_sartorius.training.run import train
from napari_sartorius.training.run_files import CONFIG_FILE, MODEL_FOLDER
from napari_sartorius.zoo import AnyBundle, find_bundle, find_single, open_bundle
from napari_sartorius.zoo.bundle import ModelBundle, single
from napari_sartorius.zoo.combine import combine_bundles
from napari_sartorius.zoo.ensemble_options import EnsembleOptions, fusion_of
from napari_sartorius.zoo.manage import renamed
from napari_sartorius.zoo.published import published_model

if TYPE_CHECKING:
    from napari_sartorius.io.coco import CocoDataset
    from napari_sartorius.training.config import TrainConfig
    from napari_sartorius.training.rescoring.fitting import TaughtRescorer

LABELS_FILE = "labels.json"
"""What a stage ``pseudo_labels`` leaves behind."""


class LeftOut(Exception):
    """A stage cannot run, and the recipe says that it may be left out; the message says why."""


@dataclass(frozen=True, eq=False)
class Made:
    """What a stage has made: a model, or a file with labels."""

    bundle: AnyBundle | None = None
    labels: Path | None = None


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
        made = _finished(folder)
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
            return Made(labels=self._pseudo_labels(stage, folder, monitor))
        if isinstance(stage, EnsembleStage):
            return Made(self._ensemble(stage, folder, monitor))
        assert isinstance(stage, RescoreStage)
        return Made(self._rescore(stage, folder, monitor))

    # -- training ------------------------------------------------------------------------------

    def _train(self, stage: TrainStage, folder: Path, monitor: Monitor) -> ModelBundle:
        dataset = self.data.target if stage.data == "target" else self.data.pretrain
        if dataset is None:
            raise LeftOut("it needs --pretrain-data")
        if stage.categories_from is not None:
            dataset = by_field(dataset, stage.categories_from)
        names = dataset.category_names
        plain = train_config(self.recipe, stage, len(names), 1)
        images = len(split_dataset(dataset, plain, Monitor())[0])
        config = train_config(self.recipe, stage, len(names), images)
        further = self._further(stage, config, names, images, monitor)
        start = self._start(stage, monitor)
        card: dict[str, Any] = {
            "name": f"{self.label}-{stage.name}",
            "title": f"{self.recipe.title}: {stage.name}",
            "description": f"Trained as the recipe {self.recipe.name} says, stage {stage.name}, on "
            f"{images} images"
            + "".join(f" and {len(one.dataset)} further ones" for one in further)
            + ".",
            "licence": self._licence(start),
            "training_data": f"{images} images",
        }
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
            dataset = in_categories_of(dataset, names, mixture.categories)
            if not len(dataset):
                monitor.notice(
                    f"no image of {mixture.images} shows {', '.join(names)} alone, so it learns "
                    "without them"
                )
                continue
            monitor.notice(f"{len(dataset)} further images of {mixture.images}")
            share = share_of(mixture, config, own, len(dataset))
            result.append(FurtherImages(dataset, share))
        return result

    def _start(self, stage: TrainStage, monitor: Monitor) -> ModelBundle | str | None:
        """The model or checkpoint to start from."""
        name = stage.init
        while name is not None and name.startswith(STAGE):
            earlier = name.removeprefix(STAGE)
            bundle = self.bundle(name)
            if bundle is not None:
                monitor.notice(f"starts from what the stage {earlier} has learnt")
                return single(bundle)
            name = self.recipe.stage(earlier).init
        if self.init is not None:
            name = None if self.init == "none" else self.init
        elif self.recipe.trial and name is not None:
            monitor.notice(f"a trial begins at random, not from {name}")
            return None
        if name is None:
            return None
        return _outside(name)

    def _licence(self, start: ModelBundle | str | None) -> str:
        parts = ["as its training data"]
        if isinstance(start, ModelBundle) and start.card.licence not in parts:
            parts.append(f"and as its start ({start.card.licence})")
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
        usual = finetune_config(start.card, dataset.category_names, stage.effort)
        tree = merged(usual.model_dump(), stage.settings)
        config = checked(type(usual), tree, stage.name)
        result = finetune(
            start,
            dataset,
            folder,
            effort=stage.effort,
            name=self.label,
            config=config,
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

    # -- what comes after training -------------------------------------------------------------

    def _pseudo_labels(self, stage: PseudoLabelStage, folder: Path, monitor: Monitor) -> Path:
        if self.data.unlabelled is None:
            raise LeftOut("it needs --unlabelled")
        models = [one for one in map(self.bundle, stage.models) if one is not None]
        if not models:
            raise LeftOut(f"there is no model of {', '.join(stage.models)}")
        config = checked(PseudoLabelConfig, stage.settings, stage.name)
        try:
            labelled = label_images(models, self.data.unlabelled, config, monitor)
        except UserError as error:
            if self.recipe.trial:  # a trial's network knows nothing
                raise LeftOut(str(error)) from error
            raise
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / CONFIG_FILE, config.model_dump_json(indent=1))
        write_coco(folder / LABELS_FILE, rebased(labelled, folder))
        return folder / LABELS_FILE

    def _ensemble(self, stage: EnsembleStage, folder: Path, monitor: Monitor) -> AnyBundle:
        found = [self.bundle(name) for name in stage.members]
        if not any(found) and stage.otherwise is not None:
            found = [self.bundle(stage.otherwise)]
        members = [single(one) for one in found if one is not None]
        if not members:
            raise LeftOut(f"there is no model of {', '.join(stage.members)}")
        classifier = None if stage.classifier is None else self.bundle(stage.classifier)
        if len(members) == 1 and classifier is None:
            return copied(members[0], folder / MODEL_FOLDER, f"{self.label}-{stage.name}")
        options = EnsembleOptions(
            fusion=fusion_of(stage.strategy, stage.options),
            views=stage.views,
            title=self.recipe.title,
        )
        return combine_bundles(
            members,
            folder / MODEL_FOLDER,
            options,
            name=f"{self.label}-{stage.name}",
            classifier=None if classifier is None else single(classifier),
            monitor=monitor,
        )

    def _rescore(self, stage: RescoreStage, folder: Path, monitor: Monitor) -> AnyBundle:
        bundle, config = self.rescoring(stage)
        splits = target_sides(self.recipe, self.data.target)
        try:
            taught = teach_rescorer(bundle, splits[1], config, monitor)
        except UserError as error:
            if self.recipe.trial:
                raise LeftOut(str(error)) from error
            raise
        return self.rescored(stage, bundle, taught, folder)

    def rescoring(self, stage: RescoreStage) -> tuple[AnyBundle, RescoreConfig]:
        """The model that is to get a second level, and how.

        Raises
        ------
        LeftOut
            When there is none, or catboost or OpenCV is missing.
        """
        try:
            Rescorer.check_available()
        except MissingPackage as error:
            raise LeftOut(str(error)) from error
        bundle = self.bundle(stage.model)
        if bundle is None:
            raise LeftOut(f"there is no model of {stage.model}")
        return bundle, checked(RescoreConfig, stage.settings, stage.name)

    def rescored(
        self, stage: RescoreStage, bundle: AnyBundle, taught: TaughtRescorer, folder: Path
    ) -> AnyBundle:
        """A copy of a model with the second level that it was taught."""
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / CONFIG_FILE, taught.config.model_dump_json(indent=1))
        write_text(folder / "figures.txt", taught.figures.to_text(taught.config.rank) + "\n")
        with atomic_folder(folder / MODEL_FOLDER) as place:
            shutil.copytree(bundle.path, place, dirs_exist_ok=True)
            copy = renamed(open_bundle(place), f"{self.label}-{stage.name}", place)
            taught.save(copy)
        return open_bundle(folder / MODEL_FOLDER)


def target_sides(recipe: Recipe, dataset: CocoDataset) -> tuple[CocoDataset, CocoDataset]:
    """Training and validation images of the target as the stages ``train`` see them."""
    stage = next((s for s in recipe.stages if isinstance(s, TrainStage)), TrainStage(name="any"))
    return split_dataset(
        dataset, train_config(recipe, stage, len(dataset.categories), 1), Monitor()
    )


def copied(bundle: AnyBundle, place: Path, name: str) -> AnyBundle:
    """A copy of a model under another name."""
    with atomic_folder(place) as folder:
        shutil.copytree(bundle.path, folder, dirs_exist_ok=True)
        renamed(replace(bundle, path=folder), name, folder)  # type: ignore[type-var]
    return open_bundle(place)


def _finished(folder: Path) -> Made | None:
    if (folder / MODEL_FOLDER / "model.json").is_file():
        return Made(open_bundle(folder / MODEL_FOLDER))
    if (folder / LABELS_FILE).is_file():
        return Made(labels=folder / LABELS_FILE)
    return None


def _outside(name: str) -> ModelBundle | str:
    """A model that is here, or the path of a checkpoint."""
    from napari_sartorius.zoo.checkpoints.partial import is_checkpoint

    if is_checkpoint(name):
        return name
    try:
        return find_single(name)
    except UserError as error:
        if published_model(name) is None:
            raise
        raise UserError(
            f"the recipe begins with the model {name}, which is not on this computer: get it with "
            f"'napari-sartorius models download {name}', or give another start with --init, or "
            "--init none to begin at random"
        ) from error
