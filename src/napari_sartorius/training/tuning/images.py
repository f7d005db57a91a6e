"""The annotated images that thresholds are tuned on, each with its category and true objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.wording import agree, plural
from napari_sartorius.evaluation.cases import apart
from napari_sartorius.io.coco import CocoImage
from napari_sartorius.postprocess.thresholds import majority_category
from napari_sartorius.training.held_out import group_of

if TYPE_CHECKING:
    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.io.coco import CocoDataset
    from napari_sartorius.training.tuning.config import TuningConfig
    from napari_sartorius.zoo.ensemble_card import AnyCard


@dataclass(frozen=True, eq=False)
class TuningImage:
    """An annotated image.

    Attributes
    ----------
    record
        Where it is.
    group
        Images of one group are not to be told apart by folds.
    category
        The model's name of what most true objects are.
    truth
        True objects; none is empty.
    """

    record: CocoImage
    group: str
    category: str
    truth: Instances


def tuning_images(
    dataset: CocoDataset, card: AnyCard, config: TuningConfig, monitor: Monitor
) -> list[TuningImage]:
    """Annotated images with objects, by the categories of a model.

    The names of a model with one category do not matter; else categories go by name.

    Raises
    ------
    UserError
        When no image has objects, or they are of categories that the model does not know.
    """
    names = card.category_names
    images, without = [], 0
    for record in dataset.images:
        truth, _ = apart(dataset.instances[record.id])
        truth = truth[truth.masks.area() > 0]
        number = majority_category(truth)
        if number is None:
            without += 1
            continue
        category = names[0] if len(names) == 1 else dataset.category_names[number]
        if category not in names:
            raise UserError(
                f"the annotations of {record.file_name} show {category!r}, but the model "
                f"{card.name} finds {', '.join(names)}; rename the categories of the annotations, "
                "or choose another model"
            )
        images.append(TuningImage(record, group_of(record, config.group), category, truth))
    if without:
        monitor.notice(
            f"{plural(without, 'image')} without annotated objects {agree(without, 'is', 'are')} "
            "left out"
        )
    if not images:
        raise UserError("no image has an annotated object to tune with; add some")
    missing = [name for name in names if name not in {image.category for image in images}]
    if missing:
        monitor.notice(
            f"no image shows {', '.join(missing)}: what the model has for it stays as it is"
        )
    return images
