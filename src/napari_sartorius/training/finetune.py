"""A model that has learnt from corrected images: few images, few minutes, never worse than before.

The start is validated too. When training does not improve on it, the start is the result, and
whoever asked is told. The number of steps is made to fit the time (`training.pace`), the images are
brought to the scale at which the model works best (`training.zoom`), and the model is kept from
forgetting what it knew (`training.replay`).
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor
from napari_sartorius.nn.build import refuse_untrainable
from napari_sartorius.training.config import ReplayConfig
from napari_sartorius.training.doctor.before_training import examine
from napari_sartorius.training.finetune_card import finetuned_card
from napari_sartorius.training.finetune_images import new_images, with_old_images
from napari_sartorius.training.finetune_limits import FEW_IMAGES
from napari_sartorius.training.finetune_plan import InTime, Plan, Stopwatch, make_plan, read_plan
from napari_sartorius.training.finetune_result import FineTuned
from napari_sartorius.training.finetune_schedule import BUDGETS, Effort, finetune_config
from napari_sartorius.training.joint_trainer import joint_trainer
from napari_sartorius.training.leading import by_the_first
from napari_sartorius.training.new_kind_votes import new_kind_votes
from napari_sartorius.training.new_kinds import in_doubt, knowing_all
from napari_sartorius.training.provenance import learnt_images, total_corrected
from napari_sartorius.training.recipes.fingerprint import hold_to_images
from napari_sartorius.training.replay import (
    Blend,
    between,
    choose_blend,
    mixed_sampling,
)
from napari_sartorius.training.run_files import STOP_FILE
from napari_sartorius.training.step import arithmetic_of
from napari_sartorius.training.terms import in_terms_of
from napari_sartorius.training.untaught import tell_untaught
from napari_sartorius.training.validate import ValidationResult, validate
from napari_sartorius.training.zoom import zoomed
from napari_sartorius.zoo import save_bundle
from napari_sartorius.zoo.learnt_from import LearntFrom

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from napari_sartorius.io.coco import CocoDataset
    from napari_sartorius.training.config import TrainConfig
    from napari_sartorius.training.finetune_images import FineTuningImages
    from napari_sartorius.training.fit import Trainer
    from napari_sartorius.training.fit_results import FitResult, ValidationEvent
    from napari_sartorius.zoo import ModelBundle
    from napari_sartorius.zoo.learnt_from import Kept

__all__ = ["BUDGETS", "Effort", "FineTuned", "finetune", "finetune_config"]


@by_the_first
def finetune(
    start: ModelBundle,
    dataset: CocoDataset,
    folder: Path,
    *,
    effort: Effort = "quick",
    name: str = "fine-tuned",
    config: TrainConfig | None = None,
    device: str | None = None,
    old_data: Path | None = None,
    budget: float | None = None,
    step_seconds: float | None = None,
    recipe_name: str = "",
    clock: Callable[[], float] = time.perf_counter,
    monitor: Monitor | None = None,
    on_validated: Callable[[ValidationEvent], None] | None = None,
) -> FineTuned:
    """Train a model further on corrected images.

    Parameters
    ----------
    start
        The model to start from.
    dataset
        Corrected images; all cells of an image must be there, what is missing is learnt as
        background. With fewer than eight images a strip of each is kept apart for validation.
    folder
        Run folder; a run that was killed goes on when started again. The model is made in its
        folder ``model``.
    effort
        ``quick`` for a quarter of an hour, ``thorough`` for an hour.
    name
        Of the model.
    config
        The whole configuration instead of that of `effort`; its steps are the most that are made.
    device
        As in `SegmentConfig`; None leaves it to the configuration.
    old_data
        Annotated images of the kinds that the start knows, where there are any: they keep it from
        forgetting better than generated pictures do.
    budget
        Seconds in which all should be done; the number of steps is made to fit. None: that of
        `effort`, or none with a `config`.
    step_seconds
        Of `clock` for a step, where they were measured just now; None measures them.
    recipe_name
        For the card: of the recipe or file that `config` comes from.
    clock
        Seconds that the budget is counted in.
    monitor
        Progress, notices, cancel.
    on_validated
        Called after each validation, as by `Trainer`.

    Raises
    ------
    UserError
        When there is nothing to learn from, an image cannot be read, or the folder's run began
        with other images.
    """
    monitor = monitor or Monitor()
    if not len(dataset) or not dataset.object_count:
        raise UserError(
            "there is no corrected image to learn from: mark images as done first, or choose others"
        )
    stopwatch = Stopwatch(
        budget or (BUDGETS[effort] if config is None else None), clock, step_seconds
    )
    recipe: Literal["quick", "thorough", "own"] = (
        effort if config is None or budget is not None else "own"
    )
    keep = config is None or config.replay is not None
    terms = in_terms_of(dataset, start.card.category_names, keep=keep)
    if config is None or config.architecture.num_classes == len(terms.categories):
        dataset = terms
    config = config or finetune_config(start.card, dataset.category_names, effort)
    if device is not None:
        config = config.model_copy(update={"device": device})
    if old_data is not None:
        replay = (config.replay or ReplayConfig()).model_copy(update={"data": str(old_data)})
        config = config.model_copy(update={"replay": replay})
    refuse_untrainable(config.architecture)
    examine(
        dataset,
        monitor,
        model_diameter=start.card.cell_diameter,
        sides=(None if len(dataset) < FEW_IMAGES else config.train_split, config.validation_split),
    )
    sides = new_images(dataset, config, monitor)
    names = dataset.category_names
    network = start.load_network(str(arithmetic_of(config)[0]))
    sides = with_old_images(sides, start, network, config, names, monitor)
    tell_untaught(dataset, [*sides.training, *sides.old], monitor)
    network = knowing_all(names, start.card, network, config, sides.training, monitor)
    initial = {key: value.cpu().clone() for key, value in network.state_dict().items()}
    plan = read_plan(folder)
    hold_to_images(folder, plan is not None, target=dataset)
    plan = plan or make_plan(
        folder, start.card, network, config, sides.training, sides.validation, stopwatch, monitor
    )
    del network
    initial = in_doubt(initial, len(start.card.categories))
    learnt = _learn(config, plan, sides, initial, folder, stopwatch, monitor, on_validated)
    learnt_from = LearntFrom(
        parent=start.card.name,
        parent_sha256=start.card.sha256,
        images=(images := learnt_images(dataset, *sides.ids, monitor)),
        cells=sum(image.cells for image in images),
        corrected_cells=total_corrected(images),
        recipe=recipe,
        recipe_name=recipe_name,
        steps=learnt.fit.best_step,
        seconds=round(stopwatch.seconds(), 1),
        zoom=learnt.zoom,
        kept=learnt.kept,
        before={} if plan.before is None else {"validation": round(plan.before, 4)},
        after={"validation": round(learnt.score, 4)},
    )
    measured = sides.validation or sides.training
    votes = new_kind_votes(
        learnt.weights, start.card, names, config, measured, learnt.zoom, monitor
    )
    card = finetuned_card(start.card, name, dataset, config, learnt_from, learnt.thresholds, votes)
    bundle = save_bundle(folder / "model", card, learnt.weights)
    fit = learnt.fit
    return FineTuned(bundle, plan.before, learnt.score, learnt.scores, fit.steps, fit.stopped_early)


class _Learnt(NamedTuple):
    """Weights to hand out, how well they do on what was kept apart, and how they came about."""

    weights: dict[str, Tensor]
    score: float
    scores: dict[int, float]
    thresholds: dict[int, float]
    zoom: float
    kept: Kept | None
    fit: FitResult


def _learn(
    config: TrainConfig,
    plan: Plan,
    sides: FineTuningImages,
    initial: dict[str, Tensor],
    folder: Path,
    stopwatch: Stopwatch,
    monitor: Monitor,
    on_validated: Callable[[ValidationEvent], None] | None,
) -> _Learnt:
    """Train as planned, then choose between the start, what was learnt, and what lies between."""
    config, replay = plan.applied_to(config), config.replay
    validation = [zoomed(image, plan.zoom) for image in sides.validation]
    trainer = joint_trainer(
        config,
        [*sides.training, *sides.old],
        validation,
        folder,
        InTime(monitor, stopwatch, folder / STOP_FILE),
        initial,
        mixed_sampling(len(sides.training), *sides.old_parts, sides.old_share(replay))
        if replay and sides.old
        else None,
        on_validated,
        pull=replay.pull if replay else 0.0,
    )
    if trainer.resume():
        monitor.notice(f"resumed at step {trainer.progress.step} of {config.steps}")
    fit = trainer.fit()
    row = trainer.progress.row_of_best()
    weights: dict[str, Tensor] = torch.load(fit.best, map_location="cpu", weights_only=True)
    score, share = row.get("score", 0.0), 1.0
    if plan.before is not None and score <= plan.before:
        # Not even the scale helped: the start as it is.
        return _Learnt(initial, plan.before, {}, {}, plan.own_zoom, None, replace(fit, best_step=0))
    kinds = config.architecture.num_classes
    scores = {i: row[f"score_{i}"] for i in range(kinds) if f"score_{i}" in row}
    thresholds = {i: row[f"threshold_{i}"] for i in range(kinds) if f"threshold_{i}" in row}
    if replay and replay.blends and validation and config.validate_first and fit.best_step:
        floor = max(plan.before or 0.0, trainer.progress.rows[0].get("score", 0.0))
        blend, found = _blend(config, replay, floor, trainer, initial, weights, sides, monitor)
        score, share = blend.new, blend.share
        scores, thresholds = dict(found.per_category), found.thresholds
        weights = between(initial, weights, share)
    kept = sides.kept(config, share if fit.best_step else 0.0)
    return _Learnt(weights, score, scores, thresholds, plan.zoom, kept, fit)


def _blend(
    config: TrainConfig,
    replay: ReplayConfig,
    before: float,
    trainer: Trainer,
    initial: dict[str, Tensor],
    weights: dict[str, Tensor],
    sides: FineTuningImages,
    monitor: Monitor,
) -> tuple[Blend, ValidationResult]:
    """Try weights on the way from the start to what was learnt, on new cells and on old ones."""
    device, dtype = trainer.device, trainer.dtype
    vessel = trainer.average.network
    found: dict[Blend, ValidationResult] = {}
    for share in sorted({*replay.blends, 1.0}):
        monitor.progress("choosing between old and new weights", 1.0)
        vessel.load_state_dict(between(initial, weights, share))
        new = validate(vessel, trainer.validation, monitor, device, dtype)
        old = 0.0
        if sides.remembered:
            old = validate(vessel, sides.remembered, monitor, device, dtype).score
        monitor.notice(f"with {share:.0%} of what was learnt: {new.score:.4f}, old cells {old:.4f}")
        found[Blend(share, new.score, old)] = new
    chosen = choose_blend(list(found), before, replay.give_up)
    return chosen, found[chosen]
