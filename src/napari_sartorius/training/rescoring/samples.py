"""What a second level learns from: objects that a model found, and how well they fit the truth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.progress import Monitor, SubMonitor
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.ensemble_segmenter import EnsembleSegmenter
from napari_sartorius.inference.pass_sweep import selection_of
from napari_sartorius.inference.second_level import features_in
from napari_sartorius.inference.segmenter import Segmenter
from napari_sartorius.inference.selection import Selection
from napari_sartorius.postprocess.thresholds import majority_category
from napari_sartorius.training.data import read_annotated
from napari_sartorius.training.held_out import group_of
from napari_sartorius.training.rescoring.run_folder import SeenImage
from napari_sartorius.zoo import ModelBundle

if TYPE_CHECKING:
    from napari_sartorius.inference.prepare import PreparedImage
    from napari_sartorius.io.coco import CocoDataset
    from napari_sartorius.training.rescoring.config import RescoreConfig
    from napari_sartorius.training.rescoring.run_folder import TeachingFolder
    from napari_sartorius.zoo import AnyBundle

Table = dict[str, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class ImageSample:
    """The objects of one image on the way between mask NMS and overlap removal.

    Attributes
    ----------
    name
        File name of the image.
    group
        Images of one group are not to be told apart by folds.
    category
        Name of the most frequent true category; empty without objects.
    truth
        Annotated objects.
    found
        Confident objects, of which doubles are gone.
    table
        Their features.
    iou : (N,) float64
        Largest IoU of each with any true object, 0..1: what is to be predicted.
    selection
        What else is done to objects of such an image.
    area_factor
        Image pixels per network pixel (area).
    """

    name: str
    group: str
    category: str
    truth: Instances
    found: Instances
    table: Table
    iou: NDArray[np.float64]
    selection: Selection
    area_factor: float = 1.0

    def settle(self, objects: Instances) -> Instances:
        """What the user would get of these objects: filters are run and overlaps removed."""
        return self.selection.settle(objects, self.area_factor)


@dataclass
class _Recorder:
    """Stands in for a second level and keeps what it was shown."""

    found: Instances = field(default_factory=lambda: Instances.empty((0, 0)))
    table: Table = field(default_factory=dict)
    area_factor: float = 1.0

    def __call__(self, objects: Instances, prepared: PreparedImage) -> Instances:
        y, x = prepared.rescaler.to_image
        self.found, self.area_factor = objects, float(y * x)
        self.table = features_in(objects, prepared)
        return objects


def segment_config(bundle: AnyBundle, config: RescoreConfig) -> SegmentConfig:
    """How images are segmented while teaching: as with that preset, without a second level."""
    return SegmentConfig(
        model=bundle.card.name, preset=config.preset, device=config.device, rescore=False
    )


def _segmenter(
    bundle: AnyBundle, config: SegmentConfig, recorder: _Recorder
) -> Segmenter | EnsembleSegmenter:
    if isinstance(bundle, ModelBundle):
        return Segmenter(bundle, config, judge=recorder)
    return EnsembleSegmenter(bundle, config, judge=recorder)


def collect_samples(
    bundle: AnyBundle,
    dataset: CocoDataset,
    config: RescoreConfig,
    monitor: Monitor | None = None,
    folder: TeachingFolder | None = None,
) -> list[ImageSample]:
    """Segment annotated images and measure what was found.

    A `folder` remembers images that are done, which are not segmented again.

    Raises
    ------
    UserError
        When an image cannot be read or segmented, or OpenCV is missing.
    Cancelled
        When the monitor asked for it.
    """
    monitor = monitor or Monitor()
    recorder = _Recorder()
    segmenter = _segmenter(bundle, segment_config(bundle, config), recorder)
    samples = []
    count = len(dataset)
    for number, record in enumerate(dataset.images):
        monitor.check()
        share = SubMonitor(
            monitor, number / count, (number + 1) / count, f"image {number + 1} of {count}: "
        )
        seen = _look(segmenter, recorder, read_annotated(dataset, record), folder, share)
        truth = dataset.instances[record.id]
        category = majority_category(truth)
        samples.append(
            ImageSample(
                name=record.file_name,
                group=group_of(record, config.group),
                category="" if category is None else dataset.category_names[category],
                truth=truth,
                found=seen.found,
                table=seen.table,
                iou=best_iou(seen.found, truth),
                selection=selection_of(bundle.card, segmenter.config, seen.cell_type),
                area_factor=seen.area_factor,
            )
        )
    return samples


def _look(
    segmenter: Segmenter | EnsembleSegmenter,
    recorder: _Recorder,
    pixels: NDArray[Any],
    folder: TeachingFolder | None,
    monitor: Monitor,
) -> SeenImage:
    """What the model finds in an image, or is remembered to have found."""
    known = folder.recall(pixels) if folder is not None else None
    if known is not None:
        monitor.progress("known", 1.0)
        return known
    result = segmenter.segment(pixels, monitor=monitor)
    seen = SeenImage(recorder.found, recorder.table, recorder.area_factor, result.cell_type)
    if folder is not None:
        folder.keep(pixels, seen)
    return seen


def best_iou(found: Instances, truth: Instances) -> NDArray[np.float64]:
    """Largest IoU of each found object with any true one, (N,) float64, 0..1."""
    rows, cols, shared = found.masks.overlaps(truth.masks)
    iou = shared / (found.masks.area()[rows] + truth.masks.area()[cols] - shared)
    best = np.zeros(len(found))
    np.maximum.at(best, rows, iou)
    return best


def join_tables(samples: list[ImageSample]) -> tuple[Table, NDArray[np.float64]]:
    """One table and one target of all images' objects, in order.

    Raises
    ------
    UserError
        When there are no images.
    """
    if not samples:
        raise UserError("there is no annotated image to teach a rescorer with; add some")
    names = dict.fromkeys(name for sample in samples for name in sample.table)
    unknown = [np.full(len(sample.found), np.nan) for sample in samples]
    table = {
        name: np.concatenate(
            [s.table.get(name, nothing) for s, nothing in zip(samples, unknown, strict=True)]
        )
        for name in names
    }
    return table, np.concatenate([sample.iou for sample in samples])
