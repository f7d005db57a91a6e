"""Which image of a prediction belongs to which annotated image, and what to say when none does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.wording import plural
from napari_sartorius.io.image_names import match_images, title_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.io.coco import CocoDataset, CocoImage


def pair_images(
    truth: CocoDataset, predicted: CocoDataset, *, partial: bool = False
) -> list[tuple[CocoImage, CocoImage]]:
    """Find the prediction of every annotated image.

    Goes by file name and, in stacks, by plane (see `match_images`). Predictions of other images are
    left out, with `partial` also images without a prediction.

    Raises
    ------
    UserError
        If an image has no prediction (with `partial`: all), or several, or several images have the
        same one, or the sizes differ.
    """
    if not truth.images:
        raise UserError("The truth holds no images to evaluate: choose another file or split.")
    found = match_images(truth.images, predicted.images, ours="the truth", theirs="the prediction")
    pairs = []
    missing = []
    for image in truth.images:
        match = found.get(image.id)
        if match is None:
            missing.append(title_of(image))
            continue
        if (image.height, image.width) != (match.height, match.width):
            raise UserError(
                f"{title_of(image)} is {image.height} x {image.width} pixels in the truth but "
                f"{match.height} x {match.width} in the prediction: segment the original image."
            )
        pairs.append((image, match))
    if missing and not (partial and pairs):
        raise UserError(
            f"The prediction lacks {len(missing):,} of "
            f"{plural(len(truth.images), 'annotated image')}, such as {missing[0]}: segment these "
            "too, or evaluate only a split of the truth or what was predicted (--partial)."
        )
    return pairs


def to_true_categories(
    objects: Instances, predicted_names: Sequence[str], true_names: Sequence[str]
) -> Instances:
    """Return predictions with the categories numbered as in the truth, matched by name.

    Where both sides know a single category, it is the same whatever its name.

    Raises
    ------
    UserError
        If an object's category does not occur in the truth.
    """
    if len(predicted_names) == len(true_names) == 1:
        return objects
    place = {name.casefold(): i for i, name in enumerate(true_names)}
    table = np.array([place.get(name.casefold(), -1) for name in predicted_names], np.int64)
    categories = table[objects.categories] if len(objects) else objects.categories
    unknown = np.flatnonzero(categories < 0)
    if unknown.size:
        name = predicted_names[int(objects.categories[unknown[0]])]
        raise UserError(
            f"The prediction holds the category {name!r} but the truth knows only "
            f"{', '.join(true_names)}: rename the category or use a model for these cells."
        )
    return Instances(
        objects.image_size,
        objects.boxes,
        objects.scores,
        categories,
        objects.masks,
        dict(objects.columns),
    )
