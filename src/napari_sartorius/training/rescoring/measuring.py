"""How good a second level is on images that it was not taught on, and what it does to the score."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import numpy as np

from napari_sartorius.evaluation.competition import competition_score
from napari_sartorius.postprocess.second_level.rescorer import FitSettings, fit_rescorer
from napari_sartorius.postprocess.second_level.rescoring import Rank, rescore
from napari_sartorius.training.folds import assign_folds
from napari_sartorius.training.rescoring.figures import FALSE_BELOW, RescoreFigures
from napari_sartorius.training.rescoring.samples import join_tables

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.core.instances import Instances
    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.training.rescoring.config import RescoreConfig
    from napari_sartorius.training.rescoring.run_folder import TeachingFolder
    from napari_sartorius.training.rescoring.samples import ImageSample


def fit_settings(config: RescoreConfig) -> FitSettings:
    """Settings of the regressor."""
    return FitSettings(config.trees, config.depth, config.learning_rate, config.l2, config.seed)


def predict_out_of_fold(
    samples: list[ImageSample],
    config: RescoreConfig,
    monitor: Monitor,
    folder: TeachingFolder | None = None,
) -> list[NDArray[np.float32]]:
    """Predicted IoUs of each image's objects, by a second level taught on other images.

    A `folder` is told how each of them does with ever more trees.

    Raises
    ------
    UserError
        When there are too few images for so many folds, or a package is missing.
    """
    fold = assign_folds(
        [s.group for s in samples], [s.category for s in samples], config.folds, config.seed
    )
    predicted = [np.zeros(0, np.float32)] * len(samples)
    for number in range(config.folds):
        monitor.check()
        monitor.progress(f"fold {number + 1} of {config.folds}", number / config.folds)
        taught = [s for s, f in zip(samples, fold, strict=True) if f != number]
        rescorer = fit_rescorer(*join_tables(taught), fit_settings(config))
        for i in np.flatnonzero(fold == number).tolist():
            predicted[i] = rescorer.predict(samples[i].table)
            if folder is not None:
                folder.note(rescorer, samples[i].table, samples[i].iou)
    return predicted


def measure(
    samples: list[ImageSample],
    predicted: list[NDArray[np.float32]],
    names: list[str],
    config: RescoreConfig,
) -> RescoreFigures:
    """Compare predictions with the truth, and scores of images with and without them.

    Parameters
    ----------
    samples, predicted
        Images, and the predicted IoUs of their objects.
    names
        Categories.
    config
        What is dropped.
    """
    limits = list(config.limits(names).values())
    scores: dict[str, list[float]] = {"before": [], **{rank: [] for rank in get_args(Rank)}}
    for sample, values in zip(samples, predicted, strict=True):
        scores["before"].append(_score(sample, sample.found))
        for rank in get_args(Rank):
            kept = rescore(sample.found, values, limits, rank)
            scores[rank].append(_score(sample, kept))
    truth = np.concatenate([sample.iou for sample in samples])
    values = np.concatenate(predicted).astype(np.float64)
    limit = np.concatenate([np.asarray(limits)[sample.found.categories] for sample in samples])
    low, false = values < limit, truth < FALSE_BELOW
    spread = float(((truth - truth.mean()) ** 2).sum())
    by_category = {
        name: _by_category([s.category for s in samples], column) for name, column in scores.items()
    }
    return RescoreFigures(
        images=len(samples),
        objects=len(truth),
        mae=float(np.abs(values - truth).mean()),
        r2=1 - float(((values - truth) ** 2).sum()) / spread if spread else float("nan"),
        mae_of_mean=float(np.abs(truth - truth.mean()).mean()),
        dropped=int(low.sum()),
        dropped_false=int((low & false).sum()),
        false=int(false.sum()),
        before=by_category.pop("before"),
        after=by_category,
    )


def _score(sample: ImageSample, objects: Instances) -> float:
    return competition_score(sample.truth, sample.settle(objects)).score


def _by_category(categories: list[str], scores: list[float]) -> dict[str, float]:
    """Mean score of the images of each category, and of all."""
    table = {
        name: float(np.mean([s for s, c in zip(scores, categories, strict=True) if c == name]))
        for name in sorted(set(categories) - {""})
    }
    return table | {"all": float(np.mean(scores))}
