"""Labels for images that nobody has labelled, made by the models that will learn from them.

As the seventh place of the Sartorius competition did it: every model segments the images, masks
that overlap become clusters, and the members of a cluster vote on each pixel (`ensemble.
mask_clusters`). What too few models found or found too unsurely is left out, and so is an image
with too few objects.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.progress import Monitor, SubMonitor
from napari_sartorius.core.sampling import spread_over
from napari_sartorius.core.wording import agree, plural
from napari_sartorius.ensemble.mask_clusters import MaskClusters
from napari_sartorius.inference.config import Preset, SegmentConfig
from napari_sartorius.inference.ensemble_segmenter import EnsembleSegmenter
from napari_sartorius.inference.segmenter import Segmenter
from napari_sartorius.training.data import read_annotated
from napari_sartorius.zoo.bundle import ModelBundle
from napari_sartorius.zoo.combine import combine_bundles
from napari_sartorius.zoo.ensemble_options import EnsembleOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.io.coco import CocoDataset, ImageId
    from napari_sartorius.zoo import AnyBundle

Fraction = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
_ASSEMBLED = 0.1


class PseudoLabelConfig(BaseModel):
    """How images are labelled by models.

    Parameters
    ----------
    preset
        How often each model looks; with several models ``best`` lets them all look once.
    views
        How each of several models looks.
    fusion
        Of what several models found.
    min_score
        Objects with a lower score (of several models: their mean, where a model that missed the
        object counts zero) are left out; one for all, or by category name. None takes the
        models' own thresholds.
    min_objects
        Images with fewer objects are left out.
    min_share
        Images are left out, too, when less than this share of what was found in them is sure
        enough: the other cells would be learnt as background.
    largest
        Most images that are labelled, spread over the list; None labels all.
    device
        As in `SegmentConfig`.
    """

    model_config = ConfigDict(extra="forbid")

    preset: Preset = "best"
    views: tuple[str, ...] = ("identity",)
    fusion: MaskClusters = MaskClusters()
    min_score: Fraction | dict[str, Fraction] | None = None
    min_objects: int = Field(default=1, ge=1)
    min_share: Fraction = 0.5
    largest: int | None = Field(default=None, ge=1)
    device: str = "auto"


def label_images(
    models: Sequence[AnyBundle],
    images: CocoDataset,
    config: PseudoLabelConfig | None = None,
    monitor: Monitor | None = None,
) -> CocoDataset:
    """Segment images and keep what can be learnt from.

    Parameters
    ----------
    models
        One, which may be an ensemble, or several single ones with the same categories.
    images
        Records whose objects are not looked at.
    config
        How.
    monitor
        Hears of progress, and may cancel.

    Returns
    -------
    CocoDataset
        The images with enough objects, with the categories of the first model. Records say
        ``pseudo: true`` and ``cell_type``; objects keep their scores.

    Raises
    ------
    UserError
        When models do not fit together, an image cannot be read, or nothing was found anywhere.
    """
    config, monitor = config or PseudoLabelConfig(), monitor or Monitor()
    some = {image.id for image in spread_over(images.images, config.largest)}
    records = images.select(lambda image: image.id in some)
    if not models or not len(records):
        raise UserError("there is nothing to label: give models and a folder with images")
    with tempfile.TemporaryDirectory() as folder:
        # An ensemble holds copies of its members, and is needed no longer than this takes.
        bundle = _labeller(models, Path(folder), config, SubMonitor(monitor, 0.0, _ASSEMBLED))
        segmenter = _segmenter(bundle, config)
        return _labelled(bundle, segmenter, records, config, SubMonitor(monitor, _ASSEMBLED, 1.0))


def _labelled(
    bundle: AnyBundle,
    segmenter: Segmenter | EnsembleSegmenter,
    images: CocoDataset,
    config: PseudoLabelConfig,
    monitor: Monitor,
) -> CocoDataset:
    names = bundle.card.category_names
    kept = []
    found: dict[ImageId, Instances] = {}
    for number, record in enumerate(images.images):
        monitor.check()
        share = SubMonitor(
            monitor,
            number / len(images),
            (number + 1) / len(images),
            f"image {number + 1} of {len(images)}: ",
        )
        result = segmenter.segment(read_annotated(images, record), monitor=share)
        objects = _sure(result.instances, result.categories, names, config)
        if len(objects) < max(config.min_objects, config.min_share * len(result.instances)):
            continue
        said: dict[str, Any] = {"pseudo": True}
        if result.cell_type in names:
            said["cell_type"] = result.cell_type
        kept.append(replace(record, extra={**record.extra, **said}))
        found[record.id] = objects
    if not kept:
        raise UserError(
            f"none of {plural(len(images), 'unlabelled image')} shows enough objects that are sure "
            "enough to learn from; lower min_score or min_share, or leave pseudo-labels out"
        )
    from napari_sartorius.core.categories import Category

    monitor.notice(
        f"{len(kept):,} of {plural(len(images), 'unlabelled image')} "
        f"{agree(len(kept), 'has', 'have')} pseudo-labels now, "
        f"{plural(sum(len(one) for one in found.values()), 'object')}"
    )
    kinds = [
        Category(i + 1, kind.name, kind.colour) for i, kind in enumerate(bundle.card.categories)
    ]
    return replace(images, images=kept, categories=kinds, instances=found)


def _sure(
    objects: Instances, said: list[str], names: list[str], config: PseudoLabelConfig
) -> Instances:
    """Objects above their score, in the order of categories of the labels."""
    place = np.array([names.index(name) for name in said], np.int64)
    kinds = place[objects.categories] if len(objects) else objects.categories
    plain = Instances.from_masks(objects.masks, objects.scores, kinds)
    limits = config.min_score
    if limits is None:
        return plain
    lowest = np.array(
        [limits.get(name, 0.0) if isinstance(limits, dict) else limits for name in names]
    )
    return plain[plain.scores >= lowest[kinds]] if len(plain) else plain


def _labeller(
    models: Sequence[AnyBundle], folder: Path, config: PseudoLabelConfig, monitor: Monitor
) -> AnyBundle:
    if len(models) == 1:
        return models[0]
    members = [_single(model) for model in models]
    options = EnsembleOptions(fusion=config.fusion, views=config.views)
    return combine_bundles(members, folder / "labeller", options, measure=False, monitor=monitor)


def _single(model: AnyBundle) -> ModelBundle:
    if isinstance(model, ModelBundle):
        return model
    raise UserError(
        f"{model.card.name} is an ensemble and cannot label images together with other models; "
        "name the models that it was made of"
    )


def _segmenter(bundle: AnyBundle, config: PseudoLabelConfig) -> Segmenter | EnsembleSegmenter:
    wish = SegmentConfig(
        model=bundle.card.name, preset=config.preset, device=config.device, rescore=False
    )
    if isinstance(bundle, ModelBundle):
        return Segmenter(bundle, wish)
    return EnsembleSegmenter(bundle, wish)
