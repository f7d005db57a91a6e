"""Folders in the manner of the Data Science Bowl 2018: per image one PNG for every object."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np

from napari_sartorius.core.categories import categories_from_names
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.io.atomic import atomic_folder
from napari_sartorius.io.coco_dataset import CocoDataset, CocoImage, ImageId
from napari_sartorius.io.faults import Fault, cause_of
from napari_sartorius.io.folder_records import record_of
from napari_sartorius.io.image_names import unique_names
from napari_sartorius.io.images import IMAGE_SUFFIXES, read_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.io.faults import FaultKind


@dataclass
class _Names:
    """Images with their mask files, by name, and what lacks its counterpart."""

    pairs: list[tuple[Path, list[Path]]] = field(default_factory=list)
    left_out: list[Fault] = field(default_factory=list)


def read_dsb(
    folder: str | Path, *, category: str = "nucleus", faults: list[Fault] | None = None
) -> CocoDataset:
    """Read images with one mask file per object.

    Parameters
    ----------
    folder
        Either of these layouts: ``<name>/images/<name>.png`` with ``<name>/masks/*.png`` for each
        image; one such ``<name>`` folder; ``images/*.png`` with ``masks/<name>/*.png``.
    category
        What the objects are called; the layout knows one kind only.
    faults
        When given, images and masks that cannot be read are left out and named in this list.

    Returns
    -------
    CocoDataset
        Image ids count from 1 in the order of names. Objects are the mask files in the order of
        names, with overlaps; files without a set pixel are left out. Images without a folder of
        masks, and masks whose image is missing, are in `CocoDataset.left_out`.

    Raises
    ------
    UserError
        When no image with masks is found, or, without `faults`, an image or a mask is damaged or
        has another size.
    """
    folder = Path(folder)
    images: list[CocoImage] = []
    instances: dict[ImageId, Instances] = {}
    names = _names(folder, folder)
    if not names.pairs:
        raise UserError(
            f"{folder} holds no images with masks, expected <name>/images/<name>.png and "
            "<name>/masks/*.png: choose the folder above these."
        )
    for number, (path, mask_paths) in enumerate(names.pairs, start=1):
        image = record_of(folder, number, path, faults)
        if image is None:
            continue
        images.append(image)
        instances[number] = Instances.from_masks(_read_masks(mask_paths, image, faults))
    kinds = categories_from_names([category])
    return CocoDataset(images, kinds, instances, {}, folder, tuple(names.left_out))


def is_dsb_folder(folder: Path) -> bool:
    """Whether `read_dsb` would find something; looks at names only."""
    return bool(_names(folder, folder).pairs)


def write_dsb(folder: str | Path, dataset: CocoDataset) -> None:
    """Write a dataset as ``<name>/images/<name>.png`` and ``<name>/masks/<name>_0001.png`` ...

    Parameters
    ----------
    folder
        New or empty folder; appears complete or not at all.
    dataset
        Its image files must exist; PNG files are copied, others converted. Categories and scores
        have no place in this layout and are dropped, and so are objects without pixels. Names
        are `unique_names`.

    Raises
    ------
    UserError
        When `folder` is not empty or cannot be written, or an image file is missing.
    """
    names = unique_names(dataset.images)
    with atomic_folder(folder) as temporary:
        for image, name in zip(dataset.images, names, strict=True):
            target = temporary / name
            (target / "images").mkdir(parents=True)
            (target / "masks").mkdir()
            picture = _as_png(dataset.image_path(image))
            (target / "images" / f"{name}.png").write_bytes(picture)
            masks = dataset.instances[image.id].masks
            for n, i in enumerate(np.flatnonzero(masks.area()), start=1):
                code = imagecodecs.png_encode(masks.full(int(i)).astype(np.uint8) * np.uint8(255))
                (target / "masks" / f"{name}_{n:04d}.png").write_bytes(code)


def _names(folder: Path, root: Path) -> _Names:
    """What lies in a folder of samples, or in a sample; names in faults start at `root`."""
    names = _Names()
    if not folder.is_dir():
        return names
    if (folder / "images").is_dir() and (folder / "masks").is_dir():
        return _names_of_sample(folder, root)
    for sample in sorted(folder.iterdir()):
        if (sample / "images").is_dir() or (sample / "masks").is_dir():
            found = _names_of_sample(sample, root)
            names.pairs += found.pairs
            names.left_out += found.left_out
    return names


def _names_of_sample(sample: Path, root: Path) -> _Names:
    names = _Names()
    pictures, masks = _files(sample / "images"), _files(sample / "masks")
    is_there = (sample / "masks").is_dir()
    folders = sorted(p for p in (sample / "masks").iterdir() if p.is_dir()) if is_there else []
    for picture in pictures:
        own = sample / "masks" / picture.stem
        if own in folders:
            names.pairs.append((picture, _files(own)))
        elif is_there and len(pictures) == 1 and not (folders and not masks):
            names.pairs.append((picture, masks))
        else:
            name = picture.relative_to(root).as_posix()
            names.left_out.append(Fault("image without labels", name, None, "has no masks"))
    stems = {picture.stem for picture in pictures}
    lone = [own for own in folders if own.name not in stems]
    if is_there and not pictures and (masks or not folders):
        lone.append(sample / "masks")
    for own in lone:
        text = "holds the masks of an image that is missing"
        name = own.relative_to(root).as_posix()
        names.left_out.append(Fault("labels without image", name, None, text))
    return names


def _files(folder: Path) -> list[Path]:
    """Images of a folder, none when it is missing, without the hidden ones of some systems."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    )


def _read_masks(paths: list[Path], image: CocoImage, faults: list[Fault] | None) -> CropMasks:
    bitmaps: list[NDArray[np.bool_]] = []
    origins = []
    for path in paths:
        try:
            mask = read_image(path, as_shown=False).to_array() != 0
        except UserError as error:
            if faults is None:
                raise
            faults.append(_of_mask("unreadable mask", image, path, cause_of(error, path)))
            continue
        if mask.ndim == 3:  # saved with colours: any that is set counts, transparency does not
            mask = mask[..., : 3 if mask.shape[-1] >= 3 else 1].any(axis=-1)
        if mask.shape != image.size:
            text = (
                f"is {mask.shape[1]} x {mask.shape[0]} pixels but its image is "
                f"{image.width} x {image.height}"
            )
            if faults is None:
                raise UserError(f"{path} {text}: replace or remove the mask.")
            record = {"segmentation": CropMasks.from_full(mask[None]).to_rle()[0]}
            faults.append(_of_mask("other image", image, path, text, record))
            continue
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if rows.size:
            window = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            bitmaps.append(window)
            origins.append((columns[0], rows[0]))
    return CropMasks.from_bitmaps(bitmaps, np.array(origins).reshape(-1, 2), image.size)


def _of_mask(
    kind: FaultKind, image: CocoImage, path: Path, text: str, record: dict[str, Any] | None = None
) -> Fault:
    return Fault(
        kind, image.file_name, path.name, text, what="mask", image_id=image.id, record=record
    )


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
