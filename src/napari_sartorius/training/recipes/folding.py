"""A recipe for every fold of the target images, and what the folds give together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor, SubMonitor
from napari_sartorius.core.wording import agree, plural
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.io.coco import read_coco
from napari_sartorius.training.recipes.after_training import rescored, rescoring
from napari_sartorius.training.recipes.made import LeftOut, copied, finished, in_a_trial
from napari_sartorius.training.recipes.out_of_fold import OUT_OF_FOLD, join_folds, predict_held_out
from napari_sartorius.training.recipes.schema import (
    EnsembleStage,
    RescoreStage,
    TrainStage,
    references,
)
from napari_sartorius.training.recipes.sequence import label_of, result_of, run_stages
from napari_sartorius.training.recipes.stages import StageRunner
from napari_sartorius.training.rescoring.fitting import teach_on_samples
from napari_sartorius.training.rescoring.run_folder import TeachingFolder
from napari_sartorius.training.rescoring.samples import collect_samples
from napari_sartorius.training.run_files import MODEL_FOLDER
from napari_sartorius.training.splitting import most_folds, split_in_folds
from napari_sartorius.zoo import open_bundle
from napari_sartorius.zoo.bundle import ModelBundle
from napari_sartorius.zoo.combine import combine_bundles
from napari_sartorius.zoo.ensemble_options import EnsembleOptions, fusion_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_sartorius.io.coco import CocoDataset
    from napari_sartorius.training.recipes.data import RecipeData
    from napari_sartorius.training.recipes.schema import Recipe, Stage
    from napari_sartorius.zoo import AnyBundle

_LOCK = ".lock"
# Seconds between looks at what another job is doing.
_WAIT = 5.0


def run_folds(
    recipe: Recipe,
    data: RecipeData,
    folder: Path,
    init: str | None,
    fold: int | None,
    monitor: Monitor,
) -> AnyBundle | None:
    """Run the folds, join what they predict, and make one model of theirs; see `run_recipe`."""
    common = [stage for stage in recipe.stages if is_common(recipe, stage)]
    own = [s for s in recipe.stages if s not in common and not isinstance(s, RescoreStage)]
    usable = _usable(data.target)
    # Seed and groups make the same folds in every job.
    folds = [_marked(recipe, usable, number) for number in range(recipe.folds)]
    known = {key for image in usable.images for key in image.extra}
    missing = [name for name in recipe.group if name not in known]
    if missing:
        monitor.notice(
            f"no image tells its {', '.join(missing)}, by which the recipe keeps images together; "
            "they are grouped by what is known of them"
        )
    before = 0.3 if common else 0.0
    shared = StageRunner(recipe, data, folder, label_of(folder), init)
    with _alone(folder / _LOCK, monitor):
        run_stages(shared, common, SubMonitor(monitor, 0.0, before))
    wanted = range(recipe.folds) if fold is None else (fold,)
    runners = []
    for turn, number in enumerate(wanted):
        part = SubMonitor(
            monitor,
            before + (0.9 - before) * turn / len(wanted),
            before + (0.9 - before) * (turn + 1) / len(wanted),
        )
        runners.append(_run_fold(recipe, data, folds[number], number, own, shared, part))
    if fold is not None:
        done = sum(_predicted(folder, n).is_file() for n in range(recipe.folds))
        monitor.notice(
            f"{done} of {recipe.folds} folds {agree(done, 'is', 'are')} done; run without --fold "
            "to join them at the end"
        )
        return None
    parts = [read_coco(_predicted(folder, number)) for number in range(recipe.folds)]
    score = join_folds(usable, parts, folder, SubMonitor(monitor, 0.9, 0.92))
    monitor.notice(f"competition score of all images, out of fold: {score.competition_score:.4f}")
    earlier = finished(folder)
    if earlier is not None and earlier.bundle is not None:
        return earlier.bundle
    models = [open_bundle(runner.folder / MODEL_FOLDER) for runner in runners]
    result = _all_folds(recipe, models, folder, SubMonitor(monitor, 0.92, 0.97))
    for stage in recipe.stages:
        if isinstance(stage, RescoreStage):
            part = SubMonitor(monitor, 0.97, 1.0, f"{stage.name}: ")
            result = _with_second_level(stage, runners, folds, result, folder, part)
    metrics = result.card.metrics | {"out-of-fold": round(score.competition_score, 4)}
    return copied(result, folder / MODEL_FOLDER, label_of(folder), metrics=metrics)


def check_folds(recipe: Recipe, target: CocoDataset) -> None:
    """Look whether the images can be divided into the folds of the recipe.

    Raises
    ------
    UserError
        When they are too few, or belong to too few groups.
    """
    usable = _usable(target)
    possible = most_folds(usable, _groups(recipe, usable))
    if possible >= recipe.folds:
        return
    if not possible:
        raise UserError(
            f"{plural(len(usable), 'annotated image')} {agree(len(usable), 'is', 'are')} too few "
            f"for {recipe.folds} folds, which need five or more: give --folds 1, which trains one "
            "model and keeps a quarter of each image apart to measure it"
        )
    fewer = f"--folds {possible} or " if possible > 1 else ""
    raise UserError(
        f"{plural(len(usable), 'annotated image')} in {plural(possible, 'group')} that "
        f"{agree(possible, 'stays', 'stay')} together cannot be divided into {recipe.folds} folds: "
        f"give {fewer}--folds 1, which trains one model"
    )


def is_common(recipe: Recipe, stage: Stage) -> bool:
    """Whether a stage learns nothing from the target, so that all folds can share it."""
    if not isinstance(stage, TrainStage) or stage.data != "pretrain":
        return False
    return all(is_common(recipe, recipe.stage(name)) for name in references(stage))


def place_of(folder: Path, fold: int) -> Path:
    """The folder of a fold."""
    return folder / f"fold-{fold}"


def _predicted(folder: Path, fold: int) -> Path:
    return place_of(folder, fold) / f"{OUT_OF_FOLD}.json"


def _marked(recipe: Recipe, usable: CocoDataset, fold: int) -> CocoDataset:
    return split_in_folds(usable, recipe.folds, held_out=fold, group=_groups(recipe, usable))


def _usable(target: CocoDataset) -> CocoDataset:
    """All but a test set."""
    return target.select(lambda image: image.extra.get("split", "train") in ("train", "val"))


def _groups(recipe: Recipe, usable: CocoDataset) -> list[str] | None:
    known = {key for image in usable.images for key in image.extra}
    return [field for field in recipe.group if field in known] or None


def _run_fold(
    recipe: Recipe,
    data: RecipeData,
    target: CocoDataset,
    number: int,
    stages: Sequence[Stage],
    shared: StageRunner,
    monitor: Monitor,
) -> StageRunner:
    folder = place_of(shared.folder, number)
    runner = StageRunner(
        recipe,
        replace(data, target=target),
        folder,
        f"{shared.label}-{number}",
        shared.init,
        dict(shared.made),
    )
    prefix = f"fold {number}: "
    made = run_stages(runner, stages, SubMonitor(monitor, 0.0, 0.9), prefix)
    bundle = result_of(made, recipe, folder, runner.label)
    predict_held_out(
        bundle,
        target.split("val"),
        _predicted(shared.folder, number),
        SegmentConfig(device=_device(recipe), tile="off" if recipe.trial else "auto"),
        SubMonitor(monitor, 0.9, 1.0, prefix),
    )
    return runner


def _all_folds(
    recipe: Recipe, models: Sequence[AnyBundle], folder: Path, monitor: Monitor
) -> AnyBundle:
    """One model of those of all folds: each looks, and the cell type is told as in the first."""
    known = finished(folder / "all-folds")
    if known is not None and known.bundle is not None:
        return known.bundle
    members: list[ModelBundle] = []
    classifier = None
    for model in models:
        for one in [model] if isinstance(model, ModelBundle) else model.members:
            if not one.card.is_classifier:
                members.append(one)
            elif classifier is None:
                classifier = one
    joined = next((s for s in recipe.stages if isinstance(s, EnsembleStage)), None)
    options = EnsembleOptions(title=f"{recipe.title}: {len(models)} folds")
    if joined is not None:
        options = replace(options, fusion=fusion_of(joined.strategy, joined.options))
    return combine_bundles(
        members,
        folder / "all-folds" / MODEL_FOLDER,
        options,
        name=f"{label_of(folder)}-folds",
        classifier=classifier,
        measure=not recipe.trial,
        monitor=monitor,
    )


def _with_second_level(
    stage: RescoreStage,
    runners: Sequence[StageRunner],
    folds: Sequence[CocoDataset],
    together: AnyBundle,
    folder: Path,
    monitor: Monitor,
) -> AnyBundle:
    """The model of all folds with a second level, taught on what each fold found in its images.

    Without it where it cannot be taught and the recipe allows that.
    """
    place = folder / stage.name
    known = finished(place)
    if known is not None and known.bundle is not None:
        return known.bundle
    samples, kept = [], None
    try:
        for runner, target in zip(runners, folds, strict=True):
            bundle, config = rescoring(runner, stage)
            kept = TeachingFolder(place, bundle.card.sha256, config)
            samples += collect_samples(bundle, target.split("val"), config, monitor, kept)
        with in_a_trial(runners[0].recipe):
            taught = teach_on_samples(together, samples, config, monitor, kept)
    except LeftOut as reason:
        if not stage.skip_if_missing:
            raise UserError(f"the stage {stage.name} cannot run: {reason}") from reason
        monitor.notice(f"left out: {reason}")
        return together
    return rescored(together, f"{label_of(folder)}-{stage.name}", taught, place)


def _alone(path: Path, monitor: Monitor) -> Any:
    """A lock, for jobs of several folds that begin with the same stages at the same time."""
    lock = FileLock(path)
    told = False
    while True:
        monitor.check()
        try:
            return lock.acquire(timeout=0 if not told else _WAIT)
        except Timeout:
            if not told:
                monitor.notice("another job does the stages that all folds share: waiting for it")
            told = True


def _device(recipe: Recipe) -> str:
    return str(recipe.settings.get("device", "auto"))
