"""Annotated images that a finished model is judged and adjusted on: which, and which together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sartorius.core.errors import UserError

if TYPE_CHECKING:
    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.io.coco import CocoDataset, CocoImage


def choose_images(
    dataset: CocoDataset,
    split: str | None,
    monitor: Monitor,
    harm: str = "the rescorer trusts it too much",
) -> CocoDataset:
    """The images of a split, and a word of warning where the model may know them.

    Parameters
    ----------
    dataset
        All images.
    split
        The one that is wanted; None takes all images.
    monitor
        Hears the warning.
    harm
        What happens when the model was trained on them, as the end of a sentence.

    Raises
    ------
    UserError
        When the file has splits but not this one, or there are no images.
    """
    known = {str(image.extra["split"]) for image in dataset.images if "split" in image.extra}
    if split is not None and not known:
        monitor.notice(
            "the annotations name no splits, so all images are used; the model must not have been "
            f"trained on them, or {harm}"
        )
    elif split is not None:
        if split not in known:
            raise UserError(
                f"no annotated image belongs to the split {split!r}: choose from "
                f"{', '.join(sorted(known))}"
            )
        dataset = dataset.split(split)
    if split == "train" or (split is None and "train" in known):
        monitor.notice(
            "images of the split train are used; where the model was trained on them its outlines "
            f"fit better than on new images, and {harm}"
        )
    if not dataset.images:
        raise UserError("there is no annotated image to learn from; add some")
    return dataset


def group_of(record: CocoImage, key: str) -> str:
    """Which images an image belongs with, by a key of its record; alone when that says nothing."""
    return str(record.extra.get(key, record.file_name))
