"""Teaches a model's second level: segment, measure in folds, learn from all images, write."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_sartorius import __version__
from napari_sartorius.core.progress import Monitor, SubMonitor
from napari_sartorius.core.wording import plural
from napari_sartorius.postprocess.second_level.rescorer import Rescorer, fit_rescorer
from napari_sartorius.training.folds import assign_folds
from napari_sartorius.training.held_out import group_of
from napari_sartorius.training.rescoring.config import RescoreConfig
from napari_sartorius.training.rescoring.figures import RescoreFigures
from napari_sartorius.training.rescoring.measuring import (
    fit_settings,
    measure,
    predict_out_of_fold,
)
from napari_sartorius.training.rescoring.run_folder import TeachingFolder
from napari_sartorius.training.rescoring.samples import (
    ImageSample,
    collect_samples,
    join_tables,
)
from napari_sartorius.zoo.rescorer_card import RescorerCard
from napari_sartorius.zoo.rescorer_files import copy_with_rescorer, put_rescorer

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.io.coco import CocoDataset
    from napari_sartorius.zoo.bundle import AnyBundle

# Shares of progress after which images are segmented, and folds done.
_COLLECTED, _MEASURED = 0.85, 0.97


@dataclass(frozen=True, eq=False)
class TaughtRescorer:
    """A second level that is not in a model yet.

    Attributes
    ----------
    rescorer
        Taught on all images.
    figures
        Of others of its kind, taught in folds, on images that they did not learn from.
    config
        How it was taught.
    names
        Categories.
    """

    rescorer: Rescorer
    figures: RescoreFigures
    config: RescoreConfig
    names: list[str]

    def save(self, bundle: AnyBundle, name: str | None = None) -> AnyBundle:
        """Put it into the model's own folder, or, with a `name`, into a copy of the model.

        Raises
        ------
        UserError
            When the model cannot be changed, or the name is taken.
        """
        data = self.rescorer.to_bytes()
        card = RescorerCard(
            sha256=hashlib.sha256(data).hexdigest(),
            min_predicted_iou=self.config.limits(self.names),
            rank=self.config.rank,
        )
        metrics = {
            "rescorer_mae": self.figures.mae,
            "rescorer_score_before": self.figures.before["all"],
            "rescorer_score_after": self.figures.after[self.config.rank]["all"],
        }
        if name is None:
            return put_rescorer(bundle, data, card, metrics)
        return copy_with_rescorer(bundle, data, card, metrics, name)


def teach_rescorer(
    bundle: AnyBundle,
    dataset: CocoDataset,
    config: RescoreConfig,
    monitor: Monitor | None = None,
    folder: Path | None = None,
) -> TaughtRescorer:
    """Segment annotated images with a model and teach a second level on what it finds.

    Parameters
    ----------
    bundle
        The model; its own second level, if it has one, is not used.
    dataset
        Annotated images that the model was not trained on.
    config
        How to teach.
    monitor
        Hears of progress and notices, and may cancel.
    folder
        Run folder: settings, curve, figures, and what was found in each image, so that a run that
        was stopped goes on where it was. None leaves nothing behind.

    Raises
    ------
    UserError
        When there are too few images, one cannot be read, or catboost or OpenCV is missing.
    """
    monitor = monitor or Monitor()
    # What cannot be done is better refused before the images are segmented.
    Rescorer.check_available()
    groups = [group_of(record, config.group) for record in dataset.images]
    assign_folds(groups, [""] * len(groups), config.folds)
    kept = None if folder is None else TeachingFolder(folder, bundle.card.sha256, config)
    share = SubMonitor(monitor, 0.0, _COLLECTED)
    samples = collect_samples(bundle, dataset, config, share, kept)
    if kept is not None and kept.recalled:
        monitor.notice(
            f"{kept.recalled:,} of {plural(len(samples), 'image')} had been segmented before"
        )
    return teach_on_samples(bundle, samples, config, monitor, kept)


def teach_on_samples(
    bundle: AnyBundle,
    samples: list[ImageSample],
    config: RescoreConfig,
    monitor: Monitor,
    folder: TeachingFolder | None = None,
) -> TaughtRescorer:
    """Second half of `teach_rescorer`, on images that are segmented already."""
    names = bundle.card.category_names
    part = SubMonitor(monitor, _COLLECTED, _MEASURED)
    predicted = predict_out_of_fold(samples, config, part, folder)
    figures = measure(samples, predicted, names, config)
    if folder is not None:
        folder.write_curve()
        folder.write_figures(figures)
    monitor.check()
    monitor.progress("learning from all images", _MEASURED)
    rescorer = fit_rescorer(
        *join_tables(samples),
        fit_settings(config),
        facts=_facts(bundle, samples, config, figures),
    )
    monitor.progress("done", 1.0)
    return TaughtRescorer(rescorer, figures, config, names)


def _facts(
    bundle: AnyBundle, samples: list[ImageSample], config: RescoreConfig, figures: RescoreFigures
) -> dict[str, Any]:
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(sample.name.encode())
        digest.update(sample.iou.tobytes())
        for values in sample.table.values():
            digest.update(values.tobytes())
    return {
        "program": __version__,
        "model": bundle.card.name,
        "model_sha256": bundle.card.sha256,
        "data_sha256": digest.hexdigest(),
        "config": config.model_dump(mode="json"),
        "figures": figures.to_dict(),
    }
