"""Folders in the manner of the Data Science Bowl 2018: per image one PNG for every object."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import imagecodecs
import numpy as np

from napari_sartorius.core.categories import categories_from_names
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.io.atomic import atomic_folder
from napari_sartorius.io.coco_dataset import CocoDataset, CocoImage, ImageId
from napari_sartorius.io.images import IMAGE_SUFFIXES, read_image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_Found = tuple[Path, list[Path]]


def read_dsb(folder: str | Path, *, category: str = "nucleus") -> CocoDataset:
    """Read images with one mask file per object.

    Parameters
    ----------
    folder
        Either of these layouts: ``<name>/images/<name>.png`` with ``<name>/masks/*.png`` for each
        image; one such ``<name>`` folder; ``images/*.png`` with ``masks/<name>/*.png``.
    category
        What the objects are called; the layout knows one kind only.

    Returns
    -------
    CocoDataset
        Image ids count from 1 in the order of names. Objects are the mask files in the order of
        names, with overlaps; files without a set pixel are left out.

    Raises
    ------
    UserError
        When no image with masks is found, or a mask is damaged or has another size.
    """
    folder = Path(folder)
    images: list[CocoImage] = []
    instances: dict[ImageId, Instances] = {}
    for number, (image_path, mask_paths) in enumerate(_pairs(folder), start=1):
        height, width = read_image(image_path).size
        name = image_path.relative_to(folder).as_posix()
        images.append(CocoImage(number, name, width, height))
        instances[number] = Instances.from_masks(_read_masks(mask_paths, (height, width)))
    if not images:
        raise UserError(
            f"{folder} holds no images with masks, expected <name>/images/<name>.png and "
            "<name>/masks/*.png: choose the folder above these."
        )
    return CocoDataset(images, categories_from_names([category]), instances, {}, folder)


def is_dsb_folder(folder: Path) -> bool:
    """Whether `read_dsb` would find something; looks at names only."""
    return next(_pairs(folder), None) is not None


def write_dsb(folder: str | Path, dataset: CocoDataset) -> None:
    """Write a dataset as ``<name>/images/<name>.png`` and ``<name>/masks/<name>_0001.png`` ...

    Parameters
    ----------
    folder
        New or empty folder; appears complete or not at all.
    dataset
        Its image files must exist; PNG files are copied, others converted. Categories and scores
        have no place in this layout and are dropped, and so are objects without pixels.

    Raises
    ------
    UserError
        When `folder` is not empty or cannot be written, an image file is missing, or two images
        have the same name.
    """
    stems = [image.stem for image in dataset.images]
    if len(set(stems)) < len(stems):
        double = next(stem for stem in stems if stems.count(stem) > 1)
        raise UserError(f"{folder}: two images are called {double}; rename one of them.")
    with atomic_folder(folder) as temporary:
        for image in dataset.images:
            target = temporary / image.stem
            (target / "images").mkdir(parents=True)
            (target / "masks").mkdir()
            picture = _as_png(dataset.image_path(image))
            (target / "images" / f"{image.stem}.png").write_bytes(picture)
            masks = dataset.instances[image.id].masks
            for n, i in enumerate(np.flatnonzero(masks.area()), start=1):
                code = imagecodecs.png_encode(masks.full(int(i)).astype(np.uint8) * np.uint8(255))
                (target / "masks" / f"{image.stem}_{n:04d}.png").write_bytes(code)


def _pairs(folder: Path) -> Iterator[_Found]:
    """Images and their mask files, by name."""
    if not folder.is_dir():
        return
    if (folder / "images").is_dir() and (folder / "masks").is_dir():
        pictures = _files(folder / "images")
        for picture in pictures:
            own = folder / "masks" / picture.stem
            if own.is_dir():
                yield picture, _files(own)
            elif len(pictures) == 1:
                yield picture, _files(folder / "masks")
        return
    for sample in sorted(folder.iterdir()):
        if (sample / "images").is_dir() and (sample / "masks").is_dir():
            yield from _pairs(sample)


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)


def _read_masks(paths: list[Path], size: tuple[int, int]) -> CropMasks:
    bitmaps: list[NDArray[np.bool_]] = []
    origins = []
    for path in paths:
        mask = read_image(path).to_array() != 0
        if mask.ndim == 3:  # saved with colours: any that is set counts, transparency does not
            mask = mask[..., : 3 if mask.shape[-1] >= 3 else 1].any(axis=-1)
        if mask.shape != size:
            raise UserError(
                f"{path} is {mask.shape[1]} x {mask.shape[0]} pixels but its image is "
                f"{size[1]} x {size[0]}: replace or remove the mask."
            )
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if rows.size:
            window = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            bitmaps.append(window)
            origins.append((columns[0], rows[0]))
    return CropMasks.from_bitmaps(bitmaps, np.array(origins).reshape(-1, 2), size)


def _as_png(path: Path) -> bytes:
    image = read_image(path)
    data = path.read_bytes()
    if data.startswith(b"\x89PNG"):
        return data
    pixels = image.to_array()
    if pixels.dtype not in (np.uint8, np.uint16) or image.axes not in ("YX", "YXS"):
        raise UserError(
            f"{path} ({pixels.dtype}, axes {image.axes}) cannot be stored as PNG, which this "
            "layout needs: export the dataset as COCO instead."
        )
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels)))
