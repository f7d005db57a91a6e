"""From an annotated dataset on disk to packed images, with a sensible validation share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.errors import UserError
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


def split_dataset(
    dataset: CocoDataset, config: TrainConfig, monitor: Monitor
) -> tuple[CocoDataset, CocoDataset]:
    """Training and validation part.

    The file's own ``split`` field decides when it is there; else one image in five, chosen by the
    seed, is kept for validation: whole groups (see `splitting.GROUP_FIELDS`) and every kind of
    cell in its share. Fewer than five images are not divided, which the user is told;
    `train_and_validation` keeps a strip of each apart instead.

    Raises
    ------
    UserError
        When the file has splits but none with the configured name.
    """
    names = {str(image.extra["split"]) for image in dataset.images if "split" in image.extra}
    if names and config.train_split is not None:
        if config.train_split not in names:
            raise UserError(
                f"no image of the dataset is marked split '{config.train_split}'; "
                f"it has {', '.join(sorted(names))}: name one of them as train_split"
            )
        validation = dataset.split(config.validation_split or "")
        return dataset.split(config.train_split), validation
    if len(dataset) < FEWEST_IMAGES:
        monitor.notice(
            f"only {len(dataset)} annotated images: a quarter of each is kept apart to measure the "
            "result; annotate at least five to measure it better"
        )
        return dataset, dataset.select(lambda _: False)
    if needs_care(dataset):
        try:
            marked = split_in_two(dataset, share=_VALIDATION_SHARE, seed=config.seed)
        except UserError:  # all images belong together
            monitor.notice(
                "all images are of one group: those that validate are like those trained on, so "
                "the score will flatter"
            )
        else:
            return marked.split("train"), marked.split("val")
    order = np.random.default_rng(config.seed).permutation(len(dataset))
    count = max(2, round(len(dataset) * _VALIDATION_SHARE))
    held_out = {dataset.images[i].id for i in order[:count]}
    return (
        dataset.select(lambda image: image.id not in held_out),
        dataset.select(lambda image: image.id in held_out),
    )


def train_and_validation(
    dataset: CocoDataset, config: TrainConfig, monitor: Monitor
) -> tuple[list[AnnotatedImage], list[AnnotatedImage]]:
    """Packed images to train on and to validate with, as `split_dataset` divides them.

    With fewer than five images and none to validate with, a strip of each is kept apart.

    Raises
    ------
    UserError
        As `split_dataset` and `pack_dataset`.
    """
    parts = split_dataset(dataset, config, monitor)
    training = pack_dataset(parts[0], config, monitor)
    if not len(parts[1]) and len(dataset) < FEWEST_IMAGES:
        return keep_apart(training)
    return training, pack_dataset(parts[1], config, monitor, config.validate_images)


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
    images = dataset.images
    if most is not None and len(images) > most:
        chosen = np.linspace(0, len(images) - 1, most).round().astype(int)
        images = [images[i] for i in chosen]
    packed = []
    depths: set[str] = set()
    for number, record in enumerate(images):
        monitor.check()
        monitor.progress("reading images", number / max(1, len(images)))
        plane = read_annotated(dataset, record)
        depths.add(str(plane.dtype))
        objects = dataset.instances[record.id]
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
