"""Tunes a model's card: look once, search by category in folds, measure, choose from all."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.progress import Monitor, SubMonitor
from napari_sartorius.core.wording import plural
from napari_sartorius.evaluation.competition import competition_score
from napari_sartorius.postprocess.second_level.rescorer import Rescorer
from napari_sartorius.training.data import read_annotated
from napari_sartorius.training.folds import assign_folds
from napari_sartorius.training.tuning.collecting import collect_trials
from napari_sartorius.training.tuning.config import TuningConfig
from napari_sartorius.training.tuning.figures import TuningFigures
from napari_sartorius.training.tuning.images import TuningImage, tuning_images
from napari_sartorius.training.tuning.memory import LookMemory
from napari_sartorius.training.tuning.search import load_optuna
from napari_sartorius.training.tuning.segmenters import Segmenters, memory_folder
from napari_sartorius.training.tuning.spaces import SecondLevelSpace, Space, space_of
from napari_sartorius.training.tuning.tuner import Tuner
from napari_sartorius.zoo import AnyBundle
from napari_sartorius.zoo.changed_files import change, changed_copy
from napari_sartorius.zoo.ensemble_card import AnyCard

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_sartorius.evaluation.competition import Variant
    from napari_sartorius.io.coco import CocoDataset
    from napari_sartorius.training.tuning.trials import Choice

NEWS = "the tuned thresholds"
# Shares of progress after which the images are segmented, and the search is done.
_COLLECTED, _SEARCHED = 0.7, 0.85
_NOTE = re.compile(r"(; )?tuned on \d+ annotated images \([^)]*\)")


@dataclass(frozen=True, eq=False)
class TuningResult:
    """What was found; no model has it yet.

    Attributes
    ----------
    bundle
        The model that was tuned.
    card
        Its card with the values that were chosen on all images.
    figures
        Of images that were not tuned on.
    config
        How it was tuned.
    """

    bundle: AnyBundle
    card: AnyCard
    figures: TuningFigures
    config: TuningConfig

    def save(self, name: str | None = None) -> AnyBundle:
        """Change the model's own card, or, with a `name`, that of a copy of the model.

        Raises
        ------
        UserError
            When the model cannot be changed, or the name is taken.
        """
        if name is None:
            return change(self.bundle, self._changes(), {}, NEWS)
        return changed_copy(self.bundle, self._changes(), {}, name)

    def _changes(self) -> dict[str, Any]:
        new, old = self.card.model_dump(), self.bundle.card
        fields = ("thresholds", "passes", "presets", "rescorer")
        changes = {field: new[field] for field in fields if field in new}
        figures = {
            "tuning_score_before": self.figures.before["all"],
            "tuning_score_after": self.figures.expected,
        }
        note = (
            f"tuned on {plural(self.figures.images['all'], 'annotated image')} "
            f"({plural(self.figures.folds, 'fold')}, preset {self.config.preset})"
        )
        schedule = _NOTE.sub("", old.schedule)
        changes["metrics"] = old.metrics | figures
        changes["schedule"] = f"{schedule}; {note}" if schedule else note
        return changes


def tune(
    bundle: AnyBundle,
    dataset: CocoDataset,
    config: TuningConfig,
    monitor: Monitor | None = None,
    *,
    cache: Path | None = None,
    network: Any = None,
) -> TuningResult:
    """Find the values of a model's card that give the best competition score.

    Parameters
    ----------
    bundle
        The model. Where the preset uses its second level, the limit of that one is tuned, else
        the thresholds.
    dataset
        Annotated images that the model was not trained on.
    config
        How to tune.
    monitor
        Hears of progress and notices, and may cancel.
    cache
        Folder in which it is kept what networks find, for the next time; the user's cache when
        None.
    network
        Used instead of loading the model's; of an ensemble networks by member.

    Raises
    ------
    UserError
        When there are too few images, they show what the model does not know, one cannot be read,
        or optuna is missing.
    """
    monitor = monitor or Monitor()
    # What cannot be done is better refused before the images are segmented.
    load_optuna()
    space = space_of(bundle.card, config)
    if isinstance(space, SecondLevelSpace):
        Rescorer.check_available()
    images = tuning_images(dataset, bundle.card, config, monitor)
    fold = assign_folds(
        [i.group for i in images], [i.category for i in images], config.folds, config.seed
    )
    memory = LookMemory(memory_folder(bundle.card, cache))
    segmenters = Segmenters(bundle, config.preset, config.device, memory, network)
    part = SubMonitor(monitor, 0.0, _COLLECTED)
    trials = collect_trials(dataset, images, space, segmenters, memory, part)
    tuner = Tuner(space, images, trials, bundle.card.category_names, config)
    part = SubMonitor(monitor, _COLLECTED, _SEARCHED)
    by_fold, chosen = tuner.in_folds(fold, part)
    cards = [space.changed(choices) for choices in by_fold]
    part = SubMonitor(monitor, _SEARCHED, 1.0)
    new = [cards[f] for f in fold.tolist()]
    before, after = _measured(dataset, images, segmenters, memory, new, config.variant, part)
    worse = [name for name in chosen if after[name] <= before[name]] if config.only_better else []
    final = {name: choice for name, choice in chosen.items() if name not in worse}
    figures = TuningFigures(
        images=_counts(images),
        folds=config.folds,
        before=before,
        after=after,
        tuned=_by_category(images, tuner.scores(final)),
        old=_told(space, space.start),
        new=_told(space, space.start | final),
        kept=worse,
        trials=tuner.trials_made,
        trial_seconds=tuner.seconds / max(1, tuner.trials_made),
        looks=memory.looks,
        cache=str(memory.folder),
        cache_bytes=memory.bytes_on_disk,
    )
    monitor.progress("done", 1.0)
    return TuningResult(bundle, space.changed(final), figures, config)


def _measured(
    dataset: CocoDataset,
    images: Sequence[TuningImage],
    segmenters: Segmenters,
    memory: LookMemory,
    new: Sequence[AnyCard],
    variant: Variant,
    monitor: Monitor,
) -> tuple[dict[str, float], dict[str, float]]:
    """Scores by category, segmented as a user would: with the old card, and a new one for each."""
    scores: tuple[list[float], list[float]] = ([], [])
    for number, (image, card) in enumerate(zip(images, new, strict=True)):
        monitor.check()
        monitor.progress(f"measuring image {number + 1} of {len(images)}", number / len(images))
        pixels = read_annotated(dataset, image.record)
        with memory.of(pixels):
            for one, column in zip((segmenters.bundle.card, card), scores, strict=True):
                found = segmenters.whole(one).segment(pixels).instances
                column.append(competition_score(image.truth, found, variant).score)
    return _by_category(images, scores[0]), _by_category(images, scores[1])


def _by_category(images: Sequence[TuningImage], values: Sequence[float]) -> dict[str, float]:
    """Mean value of the images of each category, and of all."""
    kinds = [image.category for image in images]
    table = {
        name: float(np.mean([v for v, kind in zip(values, kinds, strict=True) if kind == name]))
        for name in sorted(set(kinds))
    }
    return table | {"all": float(np.mean(values))}


def _counts(images: Sequence[TuningImage]) -> dict[str, int]:
    """Images of each category, and of all."""
    counts = Counter(image.category for image in images)
    return dict(sorted(counts.items())) | {"all": len(images)}


def _told(space: Space, choices: Mapping[str, Choice]) -> dict[str, dict[str, float]]:
    return {name: dict(zip(space.grid, choice, strict=True)) for name, choice in choices.items()}
