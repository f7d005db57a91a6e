"""From which images a model has learnt, in a form that can be checked later.

Checksums are of the files as they are and of the masks as they were shown, so that the same images
with other corrections are told apart.
"""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.zoo.learnt_from import LearntImage

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from napari_sartorius.core.instances import Instances
    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.io.coco_dataset import CocoDataset, CocoImage, ImageId

_CHUNK = 1 << 20


def learnt_images(
    dataset: CocoDataset,
    training: Collection[ImageId],
    validation: Collection[ImageId],
    monitor: Monitor,
) -> tuple[LearntImage, ...]:
    """Record of every image of a training.

    Parameters
    ----------
    dataset
        All images with their objects.
    training, validation
        Ids of those that were trained on and of those that measured; an image in both had a strip
        kept apart.
    monitor
        May cancel.

    Raises
    ------
    UserError
        When an image is missing.
    """
    sums: dict[Path, str] = {}
    records = []
    for image in dataset.images:
        monitor.check()
        path = Path(dataset.image_path(image))
        if path not in sums:  # planes of one stack share a file
            sums[path] = file_sha256(path)
        records.append(
            _record(image, dataset.instances[image.id], sums[path], training, validation)
        )
    return tuple(records)


def _record(
    image: CocoImage,
    cells: Instances,
    file_sum: str,
    training: Collection[ImageId],
    validation: Collection[ImageId],
) -> LearntImage:
    measured = image.id in validation
    return LearntImage(
        name=PurePath(image.file_name).name,
        plane=tuple(int(n) for n in image.extra.get("plane", ())),
        sha256=file_sum,
        annotations_sha256=annotations_sha256(cells),
        cells=len(cells),
        corrected_cells=corrected_cells(cells),
        used_for=("both" if measured else "training") if image.id in training else "validation",
    )


def total_corrected(images: Sequence[LearntImage]) -> int | None:
    """Corrected cells of all images; None when an image does not say."""
    counts = [image.corrected_cells for image in images]
    return None if None in counts else sum(count for count in counts if count is not None)


def corrected_cells(cells: Instances) -> int | None:
    """How many cells a person drew, changed or accepted; None where the columns do not say.

    In a project the column ``source`` is ``model`` for what a model found and nobody changed, and
    ``reviewed`` says that a person looked at it and let it be.
    """
    if "source" not in cells.columns:
        return None
    by_person = np.asarray(cells.columns["source"]).astype(str) != "model"
    if "reviewed" in cells.columns:
        by_person |= np.asarray(cells.columns["reviewed"]).astype(bool)
    return int(np.count_nonzero(by_person))


def annotations_sha256(cells: Instances) -> str:
    """Checksum, hexadecimal, of the masks and categories in their order."""
    tight = cells.masks
    total = hashlib.sha256(np.asarray(cells.image_size, np.int64).tobytes())
    for part in (
        tight.boxes.astype(np.int64),
        cells.categories.astype(np.int64),
        np.packbits(tight.bits),
    ):
        total.update(np.ascontiguousarray(part).tobytes())
    return total.hexdigest()


def file_sha256(path: Path) -> str:
    """Checksum, hexadecimal, of a file; of a folder, as OME-Zarr is one, of all files in it."""
    total = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        if file != path:
            total.update(file.relative_to(path).as_posix().encode())
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                total.update(chunk)
    return total.hexdigest()
