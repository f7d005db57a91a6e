"""Stages of recipes that use trained models: pseudo-labels, ensembles, second levels."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from napari_sartorius.core.errors import MissingPackage
from napari_sartorius.core.progress import Monitor
from napari_sartorius.io.atomic import atomic_folder, write_text
from napari_sartorius.io.coco import write_coco
from napari_sartorius.io.rebasing import rebased
from napari_sartorius.postprocess.second_level.rescorer import Rescorer
from napari_sartorius.training.data import split_dataset
from napari_sartorius.training.pseudo_labels import PseudoLabelConfig, label_images
from napari_sartorius.training.recipes.made import LABELS_FILE, LeftOut, copied, in_a_trial
from napari_sartorius.training.recipes.schema import TrainStage
from napari_sartorius.training.recipes.settings import checked, train_config
from napari_sartorius.training.rescoring.config import RescoreConfig
from napari_sartorius.training.rescoring.fitting import teach_rescorer
from napari_sartorius.training.run_files import CONFIG_FILE, MODEL_FOLDER
from napari_sartorius.zoo import open_bundle
from napari_sartorius.zoo.bundle import single
from napari_sartorius.zoo.combine import combine_bundles
from napari_sartorius.zoo.ensemble_options import EnsembleOptions, fusion_of
from napari_sartorius.zoo.manage import renamed

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.io.coco import CocoDataset
    from napari_sartorius.training.recipes.schema import (
        EnsembleStage,
        PseudoLabelStage,
        Recipe,
        RescoreStage,
    )
    from napari_sartorius.training.recipes.stages import StageRunner
    from napari_sartorius.training.rescoring.fitting import TaughtRescorer
    from napari_sartorius.zoo import AnyBundle


def label_unlabelled(
    runner: StageRunner, stage: PseudoLabelStage, folder: Path, monitor: Monitor
) -> Path:
    """Let models label the unlabelled images; gives the file."""
    if runner.data.unlabelled is None:
        raise LeftOut("it needs --unlabelled")
    models = [one for one in map(runner.bundle, stage.models) if one is not None]
    if not models:
        raise LeftOut(f"there is no model of {', '.join(stage.models)}")
    config = checked(PseudoLabelConfig, stage.settings, stage.name)
    with in_a_trial(runner.recipe):
        labelled = label_images(models, runner.data.unlabelled, config, monitor)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / CONFIG_FILE, config.model_dump_json(indent=1))
    write_coco(folder / LABELS_FILE, rebased(labelled, folder))
    return folder / LABELS_FILE


def join_models(
    runner: StageRunner, stage: EnsembleStage, folder: Path, monitor: Monitor
) -> AnyBundle:
    """Make one model of several."""
    found = [runner.bundle(name) for name in stage.members]
    if not any(found) and stage.otherwise is not None:
        found = [runner.bundle(stage.otherwise)]
    members = [single(one) for one in found if one is not None]
    if not members:
        raise LeftOut(f"there is no model of {', '.join(stage.members)}")
    classifier = None if stage.classifier is None else runner.bundle(stage.classifier)
    if len(members) == 1 and classifier is None:
        return copied(members[0], folder / MODEL_FOLDER, f"{runner.label}-{stage.name}")
    options = EnsembleOptions(
        fusion=fusion_of(stage.strategy, stage.options),
        views=stage.views,
        title=runner.recipe.title,
    )
    return combine_bundles(
        members,
        folder / MODEL_FOLDER,
        options,
        name=f"{runner.label}-{stage.name}",
        classifier=None if classifier is None else single(classifier),
        measure=not runner.recipe.trial,
        monitor=monitor,
    )


def teach_second_level(
    runner: StageRunner, stage: RescoreStage, folder: Path, monitor: Monitor
) -> AnyBundle:
    """Give a model a second level that is taught on the validation images of the target."""
    bundle, config = rescoring(runner, stage)
    splits = target_sides(runner.recipe, runner.data.target)
    if not len(splits[1]):
        raise LeftOut("no whole image is kept apart, on which it could be taught")
    with in_a_trial(runner.recipe):
        taught = teach_rescorer(bundle, splits[1], config, monitor, folder)
    return rescored(bundle, f"{runner.label}-{stage.name}", taught, folder)


def rescoring(runner: StageRunner, stage: RescoreStage) -> tuple[AnyBundle, RescoreConfig]:
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
    bundle = runner.bundle(stage.model)
    if bundle is None:
        raise LeftOut(f"there is no model of {stage.model}")
    return bundle, checked(RescoreConfig, stage.settings, stage.name)


def rescored(bundle: AnyBundle, name: str, taught: TaughtRescorer, folder: Path) -> AnyBundle:
    """A copy of a model, under another name, with the second level that it was taught."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_folder(folder / MODEL_FOLDER) as place:
        shutil.copytree(bundle.path, place, dirs_exist_ok=True)
        copy = renamed(open_bundle(place), name, place)
        taught.save(copy)
    return open_bundle(folder / MODEL_FOLDER)


def target_sides(recipe: Recipe, dataset: CocoDataset) -> tuple[CocoDataset, CocoDataset]:
    """Training and validation images of the target as the stages ``train`` see them."""
    stage = next((s for s in recipe.stages if isinstance(s, TrainStage)), TrainStage(name="any"))
    return split_dataset(
        dataset, train_config(recipe, stage, len(dataset.categories), 1), Monitor()
    )
