"""Annotations of every form back in: those that name their images, and those that need them given.

A COCO file, a project, ``train.csv`` and a DSB folder say which images they belong to. A zip of
ImageJ regions, a GeoJSON, a label image, a results list or a submission do not; for them the images
are given, and found by name: ``a_rois.zip`` belongs to ``a.tif``.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from napari_sartorius.core.categories import Category, default_colour
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.progress import Monitor
from napari_sartorius.core.wording import plural
from napari_sartorius.io.coco import read_coco_results, read_json
from napari_sartorius.io.coco_dataset import CocoDataset, CocoImage
from napari_sartorius.io.geojson import read_geojson
from napari_sartorius.io.image_names import (
    match_images,
    plane_of,
    posix_name,
    title_of,
    unique_names,
)
from napari_sartorius.io.imagej_rois import read_rois
from napari_sartorius.io.images import IMAGE_SUFFIXES, read_image
from napari_sartorius.io.label_objects import read_label_objects, read_zarr_objects
from napari_sartorius.io.sources import read_dataset
from napari_sartorius.io.submission import read_submission

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_sartorius.io.coco_dataset import ImageId

    Reader = Callable[[Path, tuple[int, int]], tuple[Instances, list[Category]]]

_HEAD = 1 << 16  # bytes by which a file's kind is told
_ENDINGS = ("_labels", "_masks", "_overlay")  # of pictures that are not the image itself


def read_annotations(
    source: str | Path,
    images: Sequence[CocoImage],
    folder: Path,
    categories: Sequence[Category] = (),
    monitor: Monitor | None = None,
) -> CocoDataset:
    """Read annotations of any form for images that are given.

    Parameters
    ----------
    source
        As for `read_dataset`, or a zip of ImageJ regions, a GeoJSON, a label image (TIFF, PNG,
        OME-Zarr), a COCO results list or a submission. The table ``a_objects.csv`` beside
        ``a_labels.tif`` brings its categories and scores.
    images
        To which the annotations belong, matched by the names of their files. One that shows one
        image only belongs to the image whose name it begins with, or to the only one there is.
    folder
        Where relative file names of `images` start.
    categories
        Those that a results list may mean by its ids.
    monitor
        Hears which images are known by other names than the annotations say.

    Returns
    -------
    CocoDataset
        Those of `images` for which there is something, with their ids and file names.

    Raises
    ------
    UserError
        When the source cannot be read, or belongs to none of the images.
    """
    source = Path(source)
    flat = [image for image in images if not any(image.extra.get("plane", ()))]
    read = _one_image_reader(source)
    if read is not None:
        image = _image_of(source, flat)
        found, kinds = read(source, image.size)
        return CocoDataset([image], kinds, {image.id: found}, {}, folder)
    if _is_results(source):
        whole = CocoDataset(list(images), _result_kinds(source, categories), {}, {}, folder)
        return _with_objects(read_coco_results(source, whole))
    if _is_submission(source):
        names = unique_names(images)
        by_name = read_submission(
            source, {name: one.size for name, one in zip(names, images, strict=True)}
        )
        found_by_id = {
            one.id: by_name[name]
            for name, one in zip(names, images, strict=True)
            if name in by_name
        }
        some = [image for image in images if image.id in found_by_id]
        return CocoDataset(some, [Category(1, "cell")], found_by_id, {}, folder)
    return _matched(read_dataset(source), images, folder, source, monitor or Monitor())


def needs_images(source: str | Path) -> bool:
    """Whether annotations do not say themselves which images they belong to."""
    source = Path(source)
    return _one_image_reader(source) is not None or _is_results(source) or _is_submission(source)


def images_in(place: str | Path) -> CocoDataset:
    """The images of a folder, or a single one, as a dataset without objects.

    Raises
    ------
    UserError
        When there is none, or one cannot be read.
    """
    place = Path(place)
    paths = [place]
    if place.is_dir():
        paths = sorted(p for p in place.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
        paths = [path for path in paths if not path.stem.endswith(_ENDINGS)]
    if not paths:
        raise UserError(f"{place} holds no images: choose the folder that they are in.")
    images = []
    for number, path in enumerate(paths, start=1):
        height, width = read_image(path).size
        images.append(CocoImage(number, path.name, width, height))
    empty: dict[ImageId, Instances] = {one.id: Instances.empty(one.size) for one in images}
    return CocoDataset(images, [], empty, {}, paths[0].parent)


def image_beside(annotations: Path) -> Path | None:
    """The image in the same folder whose name a file of annotations begins with, or None."""
    if not annotations.parent.is_dir():
        return None
    found = [
        path
        for path in sorted(annotations.parent.iterdir())
        if path.suffix.lower() in IMAGE_SUFFIXES
        and annotations.name.startswith(path.stem)
        and not path.stem.endswith(_ENDINGS)
    ]
    return max(found, key=lambda path: len(path.stem), default=None)


def is_roi_zip(path: Path) -> bool:
    """Whether a file is a zip with ImageJ regions in it; looks at names only."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.lower().endswith(".roi") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def _one_image_reader(source: Path) -> Reader | None:
    suffix = source.suffix.lower()
    if suffix == ".zip":
        return read_rois
    if suffix == ".geojson" or (suffix == ".json" and _is_geojson(source)):
        return read_geojson
    if suffix == ".zarr":
        return read_zarr_objects
    if suffix in IMAGE_SUFFIXES and not source.is_dir():
        return read_label_objects
    return None


def _image_of(source: Path, images: Sequence[CocoImage]) -> CocoImage:
    """The image that a file of annotations belongs to, by its name."""
    name = source.name
    fitting = [image for image in images if name.startswith(image.stem)]
    if not fitting and len(images) == 1:
        return images[0]
    if not fitting:
        raise UserError(
            f"{source} belongs to none of the images: give it the name of its image in front, "
            "such as field_1_rois.zip for field_1.tif."
        )
    return max(fitting, key=lambda image: len(image.stem))


def _matched(
    dataset: CocoDataset,
    images: Sequence[CocoImage],
    folder: Path,
    source: Path,
    monitor: Monitor,
) -> CocoDataset:
    """The objects of a dataset under the ids of other records of the same images."""
    at_place = {_place(dataset.image_path(one), one): one for one in dataset.images}
    same = {
        image.id: at_place.pop(place)
        for image in images
        if (place := _place(folder / image.file_name, image)) in at_place
    }
    by_name = match_images(
        [image for image in images if image.id not in same],
        list(at_place.values()),
        ours="the images",
        theirs=str(source),
    )
    _tell_renamed([(one, by_name[one.id]) for one in images if one.id in by_name], source, monitor)
    same |= by_name
    found: dict[ImageId, Instances] = {}
    kept = []
    for image in images:
        theirs = same.get(image.id)
        if theirs is None:
            continue
        if theirs.size != image.size:
            raise UserError(
                f"{source}: {theirs.file_name} is {theirs.width} x {theirs.height} pixels there "
                f"but {image.width} x {image.height} here: put the right image in its place."
            )
        kept.append(image)
        found[image.id] = dataset.instances[theirs.id]
    if not kept:
        first = f", such as {title_of(dataset.images[0])}" if dataset.images else ""
        raise UserError(
            f"{source} is about other images{first}: add those first (on the command line with "
            "--images FOLDER), or choose another file."
        )
    return CocoDataset(kept, dataset.categories, found, {}, folder)


def _tell_renamed(
    pairs: Sequence[tuple[CocoImage, CocoImage]], source: Path, monitor: Monitor
) -> None:
    """Say which images the annotations call otherwise, in more than folders and endings."""
    renamed = [
        (ours, theirs)
        for ours, theirs in pairs
        if ours.stem != PurePosixPath(posix_name(theirs)).stem
    ]
    if renamed:
        ours, theirs = renamed[0]
        monitor.notice(
            f"{source.name} calls {plural(len(renamed), 'image')} otherwise, as Label Studio does: "
            f"{theirs.file_name} is taken for {title_of(ours)}"
            + (" and so on" if len(renamed) > 1 else "")
        )


def _place(path: Path, image: CocoImage) -> tuple[Path, tuple[int, ...]]:
    """The file and the plane in it that a record is of."""
    return path.resolve(), plane_of(image)


def _with_objects(dataset: CocoDataset) -> CocoDataset:
    return dataset.select(lambda image: len(dataset.instances[image.id]) > 0)


def _is_geojson(path: Path) -> bool:
    return re.search(rb'"type"\s*:\s*"Feature(Collection)?"', _head(path)) is not None


def _is_results(path: Path) -> bool:
    head = _head(path) if path.suffix.lower() == ".json" else b""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[") and not _is_geojson(path)


def _is_submission(path: Path) -> bool:
    columns = _head(path).splitlines()[:1] if path.suffix.lower() == ".csv" else []
    return bool(columns) and {b"id", b"predicted"} <= set(columns[0].strip().split(b","))


def _head(path: Path) -> bytes:
    """How a file begins; nothing where it cannot be read, which whoever reads it all will say."""
    try:
        with path.open("rb") as file:
            return file.read(_HEAD)
    except OSError:
        return b""


def _result_kinds(path: Path, known: Sequence[Category]) -> list[Category]:
    """Categories of a results list, which has their ids only."""
    content = read_json(path)
    records = [one for one in content if isinstance(one, dict)] if content else []
    ids = sorted({n for one in records if isinstance(n := one.get("category_id"), int)})
    names = {kind.id: kind for kind in known}
    return [names.get(n, Category(n, f"category {n}", default_colour(n))) for n in ids]
