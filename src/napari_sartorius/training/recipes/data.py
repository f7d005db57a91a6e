"""The images that a recipe gets, by the part they play."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.categories import categories_from_names
from napari_sartorius.core.errors import UserError
from napari_sartorius.io.coco import CocoDataset

if TYPE_CHECKING:
    from napari_sartorius.core.instances import Instances
    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.io.coco import CocoImage, ImageId

_TRIAL_IMAGES = 8


@dataclass(frozen=True, eq=False)
class RecipeData:
    """What a recipe learns from.

    Attributes
    ----------
    target
        Annotated images of the kind that the model is for.
    pretrain
        Annotated images of another kind to learn from first.
    unlabelled
        Images without annotations, as records without objects.
    """

    target: CocoDataset
    pretrain: CocoDataset | None = None
    unlabelled: CocoDataset | None = None

    def few(self, count: int = _TRIAL_IMAGES) -> RecipeData:
        """A few images of each part, for a trial."""
        return RecipeData(
            few(self.target, count),
            None if self.pretrain is None else few(self.pretrain, count // 2),
            None if self.unlabelled is None else few(self.unlabelled, count // 4),
        )


def few(dataset: CocoDataset, count: int) -> CocoDataset:
    """At most `count` images, of every split and kind of cell in turn."""
    heaps: dict[tuple[str, str], list[CocoImage]] = {}
    for image in dataset.images:
        kinds = dataset.instances[image.id].categories
        kind = str(np.bincount(kinds).argmax()) if len(kinds) else ""
        heaps.setdefault((kind, str(image.extra.get("split", ""))), []).append(image)
    turns = chain.from_iterable(zip_longest(*heaps.values()))
    chosen = {image.id for image in [one for one in turns if one is not None][:count]}
    return dataset.select(lambda image: image.id in chosen)


def kinds_told_by(dataset: CocoDataset, field: str, monitor: Monitor | None = None) -> CocoDataset:
    """As `by_field` for a file that knows one kind of object; files that know several keep theirs.

    Parameters
    ----------
    dataset
        Annotated images; LIVECell's own files call everything ``cell``.
    field
        As in `by_field`.
    monitor
        Hears which kinds there are now.

    Raises
    ------
    UserError
        As `by_field`.
    """
    if len({kind for one in dataset.instances.values() for kind in one.categories.tolist()}) > 1:
        return dataset
    told = by_field(dataset, field)
    if monitor is not None and told.category_names != dataset.category_names:
        names = told.category_names
        monitor.notice(
            f"the annotations know one kind of object; by their {field} the images show "
            f"{len(names)}: {', '.join(names)}"
        )
    return told


def by_field(dataset: CocoDataset, field: str) -> CocoDataset:
    """The same objects with the category that a field of their image's record names.

    Parameters
    ----------
    dataset
        Annotated images, whatever the categories of their objects are.
    field
        For example ``cell_type``, which the names of LIVECell's images tell.

    Raises
    ------
    UserError
        When an image with objects does not have the field.
    """
    lacking = [
        image
        for image in dataset.images
        if field not in image.extra and len(dataset.instances[image.id])
    ]
    if lacking:
        raise UserError(
            f"{lacking[0].file_name} has no field {field}, which is to name the category of its "
            "objects; add it to the records, or take categories_from out of the recipe (--set "
            "STAGE.categories_from=null)"
        )
    names = sorted({str(image.extra[field]) for image in dataset.images if field in image.extra})
    instances: dict[ImageId, Instances] = {}
    for image in dataset.images:
        one = dataset.instances[image.id]
        number = names.index(str(image.extra[field])) if field in image.extra else 0
        instances[image.id] = replace(one, categories=np.full(len(one), number, np.int64))
    return replace(dataset, categories=categories_from_names(names), instances=instances)
