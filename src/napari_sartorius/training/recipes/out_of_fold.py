"""Every image predicted by the model that has not seen it: what a k-fold run is good for."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.progress import Monitor, SubMonitor
from napari_sartorius.evaluation.dataset import evaluate_dataset
from napari_sartorius.evaluation.result_text import as_text
from napari_sartorius.inference.ensemble_segmenter import EnsembleSegmenter
from napari_sartorius.inference.segmenter import Segmenter
from napari_sartorius.io.atomic import write_text
from napari_sartorius.io.coco import read_coco, write_coco
from napari_sartorius.io.rebasing import rebased
from napari_sartorius.training.data import read_annotated
from napari_sartorius.zoo.bundle import ModelBundle

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_sartorius.evaluation.results import EvaluationResult
    from napari_sartorius.inference.config import SegmentConfig
    from napari_sartorius.io.coco import CocoDataset, ImageId
    from napari_sartorius.zoo import AnyBundle

OUT_OF_FOLD = "out-of-fold"
"""Name of the files: ``.json`` has predictions, ``-scores.json`` and ``-scores.txt`` figures."""


def predict_held_out(
    bundle: AnyBundle, held_out: CocoDataset, path: Path, config: SegmentConfig, monitor: Monitor
) -> CocoDataset:
    """What a model finds in the images that it has not seen, from the file where it is there.

    Parameters
    ----------
    bundle
        The model of a fold.
    held_out
        The fold's images.
    path
        COCO file, written when all images are done.
    config
        How; its model is not looked at.
    monitor
        Hears of progress, and may cancel.
    """
    if path.is_file():
        return read_coco(path)
    wish = config.model_copy(update={"model": bundle.card.name})
    segmenter = (
        Segmenter(bundle, wish)
        if isinstance(bundle, ModelBundle)
        else EnsembleSegmenter(bundle, wish)
    )
    names = held_out.category_names
    found: dict[ImageId, Instances] = {}
    for number, record in enumerate(held_out.images):
        share = SubMonitor(
            monitor,
            number / len(held_out),
            (number + 1) / len(held_out),
            f"image {number + 1} of {len(held_out)}: ",
        )
        result = segmenter.segment(read_annotated(held_out, record), monitor=share)
        place = np.array([names.index(name) for name in result.categories], np.int64)
        objects = result.instances
        kinds = place[objects.categories] if len(objects) else objects.categories
        found[record.id] = Instances.from_masks(objects.masks, objects.scores, kinds)
    predicted = replace(rebased(held_out, path.parent), instances=found, info={})
    write_coco(path, predicted)
    return predicted


def join_folds(
    truth: CocoDataset, parts: Sequence[CocoDataset], folder: Path, monitor: Monitor
) -> EvaluationResult:
    """Write the predictions of all folds as one file, and how good they are.

    Parameters
    ----------
    truth
        All images that are in a fold, with their objects.
    parts
        Predictions of the folds.
    folder
        Where ``out-of-fold.json`` and its figures go.
    monitor
        Hears of progress.
    """
    found = {image.id: part.instances[image.id] for part in parts for image in part.images}
    fold = {image.id: number for number, part in enumerate(parts) for image in part.images}
    images = [
        replace(image, extra=image.extra | {"fold": fold[image.id]})
        for image in truth.images
        if image.id in fold
    ]
    predicted = replace(truth, images=images, instances=found, info={})
    write_coco(folder / f"{OUT_OF_FOLD}.json", rebased(predicted, folder))
    result = evaluate_dataset(truth, predicted, monitor=monitor)
    figures = json.dumps(result.to_dict(), indent=1)
    write_text(folder / f"{OUT_OF_FOLD}-scores.json", figures)
    write_text(folder / f"{OUT_OF_FOLD}-scores.txt", as_text(result) + "\n")
    return result
