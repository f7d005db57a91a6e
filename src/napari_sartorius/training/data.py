"""From an annotated dataset on disk to packed images, with a sensible validation share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.sampling import spread_over
from napari_sartorius.core.wording import plural
from napari_sartorius.io.images import read_image
from napari_sartorius.io.planes import planes, read_plane
from napari_sartorius.training.images import AnnotatedImage, pack_image
from napari_sartorius.training.keep_apart import keep_apart
from napari_sartorius.training.splitting import FEWEST_IMAGES, needs_care, split_in_two

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.io.coco import CocoDataset, CocoImage
    from napari_sartorius.io.images import ImageData
    from napari_sartorius.training.config import TrainConfig

_VALIDATION_SHARE = 0.2


class Sides(NamedTuple):
    """Who learns and who measures.

    Attributes
    ----------
    training, validation
        Images of each side.
    strips
        Whether there are too few images to spare one: a strip of each is to be kept apart, as
        `keep_apart` does.
    """

    training: CocoDataset
    validation: CocoDataset
    strips: bool = False


def sides_of(dataset: CocoDataset, config: TrainConfig, monitor: Monitor) -> Sides:
    """Divide annotated images into those that are trained on and those that validate.

    The images' own ``split`` decides where it is there and `config.train_split` names one. Else,
    and where no image is marked for validation, one image in five validates, chosen by the seed:
    whole groups (see `splitting.GROUP_FIELDS`) and every kind of cell in its share. Fewer than five
    images are not divided, whatever their marks are. The user is told of all that but the usual.

    With `config.validation_split` None nothing of marked images validates, as it was asked for.

    Raises
    ------
    UserError
        When the file has splits but none with the configured name.
    """
    marks = {str(image.extra["split"]) for image in dataset.images if "split" in image.extra}
    nobody = dataset.select(lambda _: False)
    unequal = ""
    if marks and config.train_split is not None:
        if config.train_split not in marks:
            raise UserError(
                f"no image of the dataset is marked split '{config.train_split}'; "
                f"it has {', '.join(sorted(marks))}: name one of them as train_split"
            )
        training = dataset.split(config.train_split)
        if config.validation_split is None:
            return Sides(training, nobody)
        names = (config.train_split, config.validation_split)
        dataset = dataset.select(lambda image: image.extra.get("split") in names)
        validation = dataset.split(config.validation_split)
        if len(dataset) >= FEWEST_IMAGES:
            if len(validation):
                return Sides(training, validation)
            monitor.notice(
                f"no image is marked '{config.validation_split}': one in five of those marked "
                f"'{config.train_split}' measures the result and is not learnt from; mark some "
                f"'{config.validation_split}' to choose which"
            )
        else:
            unequal = f", so whether they are marked '{names[0]}' or '{names[1]}' does not count"
    if len(dataset) < FEWEST_IMAGES:
        monitor.notice(
            f"only {plural(len(dataset), 'annotated image')}{unequal}: a quarter of each is kept "
            "apart to measure the result; annotate at least five to measure it better"
        )
        return Sides(dataset, nobody, strips=True)
    return Sides(*_one_in_five(dataset, config.seed, monitor))


def sides_sparing_few(
    dataset: CocoDataset, config: TrainConfig, monitor: Monitor, few: int
) -> Sides:
    """As `sides_of`; with fewer than `few` images a strip of each, whatever their marks are.

    Raises
    ------
    UserError
        As `sides_of`.
    """
    if len(dataset) < few:
        return Sides(dataset, dataset, strips=True)
    return sides_of(dataset, config, monitor)


def split_dataset(
    dataset: CocoDataset, config: TrainConfig, monitor: Monitor
) -> tuple[CocoDataset, CocoDataset]:
    """Training and validation part as `sides_of` makes them; the second is empty with strips."""
    return sides_of(dataset, config, monitor)[:2]


def _one_in_five(
    dataset: CocoDataset, seed: int, monitor: Monitor
) -> tuple[CocoDataset, CocoDataset]:
    for group in (None, ()) if needs_care(dataset) else ():
        try:
            marked = split_in_two(dataset, share=_VALIDATION_SHARE, seed=seed, group=group)
        except UserError:  # all images belong together, or are planes of one file
            if group is None:
                monitor.notice(
                    "all images are of one group: those that validate are like those trained on, "
                    "so the score will flatter"
                )
        else:
            return marked.split("train"), marked.split("val")
    order = np.random.default_rng(seed).permutation(len(dataset))
    count = max(2, round(len(dataset) * _VALIDATION_SHARE))
    held_out = {dataset.images[i].id for i in order[:count]}
    return (
        dataset.select(lambda image: image.id not in held_out),
        dataset.select(lambda image: image.id in held_out),
    )


def train_and_validation(
    dataset: CocoDataset, config: TrainConfig, monitor: Monitor
) -> tuple[list[AnnotatedImage], list[AnnotatedImage]]:
    """Packed images to train on and to validate with, as `sides_of` divides them.

    With fewer than five images a strip of each is kept apart.

    Raises
    ------
    UserError
        As `sides_of` and `pack_dataset`.
    """
    sides = sides_of(dataset, config, monitor)
    training = pack_dataset(sides.training, config, monitor)
    if sides.strips:
        return keep_apart(training)
    return training, pack_dataset(sides.validation, config, monitor, config.validate_images)


def pack_dataset(
    dataset: CocoDataset,
    config: TrainConfig,
    monitor: Monitor,
    most: int | None = None,
) -> list[AnnotatedImage]:
    """Read, normalise and pack the images; at most `most` of them, spread evenly over the list.

    Raises
    ------
    UserError
        When an image is missing, unreadable, or not of the size its record says.
    """
    images = spread_over(dataset.images, most)
    packed = []
    depths: set[str] = set()
    crowds = 0
    for number, record in enumerate(images):
        monitor.check()
        monitor.progress("reading images", number / max(1, len(images)))
        plane = read_annotated(dataset, record)
        depths.add(str(plane.dtype))
        objects = dataset.instances[record.id]
        if (crowd := objects.columns.get("iscrowd")) is not None:
            crowds += int(np.count_nonzero(crowd))
            objects = objects[np.asarray(crowd) == 0]
        packed.append(
            pack_image(
                record.file_name,
                plane,
                objects.masks,
                objects.categories.astype(np.int64),
                config.normalisation,
                config.architecture.trunk.in_channels,
                record.extra,
            )
        )
    if crowds:
        monitor.notice(
            f"regions marked as a crowd (iscrowd) are no single cells, left out: {crowds}"
        )
    if len(depths) > 1:
        monitor.notice(
            f"images of different bit depths ({', '.join(sorted(depths))}): save all in one depth "
            "if their grey levels should compare"
        )
    return packed


def read_annotated(dataset: CocoDataset, record: CocoImage) -> NDArray[Any]:
    """Pixels (Y, X) or (Y, X, C) of an annotated image.

    Raises
    ------
    UserError
        When the image is missing, unreadable, or not of the size its record says.
    """
    path = dataset.image_path(record)
    plane = _plane(read_image(path), tuple(record.extra.get("plane", ())))
    if plane.shape[:2] != record.size:
        raise UserError(
            f"{path} is {plane.shape[1]} x {plane.shape[0]} pixels, its annotations are for "
            f"{record.width} x {record.height}; export the annotations again"
        )
    return plane


def _plane(image: ImageData, index: tuple[int, ...]) -> NDArray[Any]:
    """The annotated plane of a stack, else the picture itself."""
    return read_plane(image, index) if index else next(iter(planes(image)))[1]
