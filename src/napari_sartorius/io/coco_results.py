"""What the records of a COCO results list are about.

The format knows image and category by the ids of the truth alone. Where a list was made without the
truth at hand, as ``segment`` makes it, these ids are its own numbers, so our lists say names, too,
and names go before ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sartorius.core.categories import Category, default_colour
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import agree, plural
from napari_sartorius.io.coco_dataset import CocoImage
from napari_sartorius.io.coco_ids import with_plain_ids
from napari_sartorius.io.image_names import match_images, plane_of, title_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.io.coco_dataset import CocoDataset, ImageId

    Record = dict[str, Any]

_NAMES = ("file_name", "plane", "category_name")


def names_in_result(image: CocoImage, category: Category) -> Record:
    """Keys of ours that say in a result what it is about, besides the ids."""
    plane = plane_of(image)
    names: Record = {"file_name": image.file_name, "category_name": category.name}
    return names | {"plane": list(plane)} if plane else names


def with_ids_of(
    records: Sequence[Record], dataset: CocoDataset, path: Path, monitor: Monitor
) -> tuple[list[Record], list[Category]]:
    """Give the records of a results list the ids of the dataset that it is read against.

    Parameters
    ----------
    records
        As in the file. Where all of them have ``file_name`` the images are found by it, and where
        all have ``category_name`` the categories; by the ids of the file otherwise.
    dataset
        Images and categories.
    path
        The file, for messages.
    monitor
        Is told of images that the dataset lacks and whose records are left out.

    Returns
    -------
    records : list of dict
        With ids of `dataset`, without names.
    categories : list of Category
        The dataset's, or those of the list when it names one that the dataset lacks.

    Raises
    ------
    UserError
        If none of the images is in the dataset, an id is unknown, names are ambiguous, or an image
        has another size than the run-length codes of its objects.
    """
    if records and all(isinstance(one.get("file_name"), str) for one in records):
        numbered = _by_name(records, dataset, path, monitor)
    else:
        numbered = _by_id(records, dataset, path)
    _check_sizes(numbered, dataset, path)
    categories: list[Category] = dataset.categories
    ids: dict[str, int] = {}
    if records and all(isinstance(one.get("category_name"), str) for one in records):
        categories, ids = _categories(records, dataset.categories)
    changed = []
    for _, record in numbered:
        kept = {key: value for key, value in record.items() if key not in _NAMES}
        if ids:
            kept["category_id"] = ids[record["category_name"].casefold()]
        changed.append(kept)
    return changed, categories


def _by_name(
    records: Sequence[Record], dataset: CocoDataset, path: Path, monitor: Monitor
) -> list[tuple[int, Record]]:
    listed: dict[tuple[Any, ...], CocoImage] = {}
    images = []
    for record in records:
        plane = record.get("plane", ())
        key = (record["file_name"], *(plane if isinstance(plane, list) else ()))
        if key not in listed:
            extra = {"plane": plane} if plane else {}
            listed[key] = CocoImage(len(listed), record["file_name"], 0, 0, extra)
        images.append(listed[key])
    names = {"ours": "the dataset", "theirs": path.name}
    matched = match_images(dataset.images, list(listed.values()), **names)
    ids = {other.id: number for number, other in matched.items()}
    strange = [image for image in listed.values() if image.id not in ids]
    if strange and not ids:
        raise UserError(
            f"{path} is about other images, such as {title_of(strange[0])}, than the dataset it is "
            "read against: give those that belong together."
        )
    if strange:
        monitor.notice(
            f"{len(strange):,} of {plural(len(listed), 'image')} of {path.name} "
            f"{agree(len(strange), 'is', 'are')} left out, such as "
            f"{title_of(strange[0])}: the dataset that it is read against lacks them."
        )
    return [
        (number, record | {"image_id": ids[image.id]})
        for number, (record, image) in enumerate(zip(records, images, strict=True), start=1)
        if image.id in ids
    ]


def _by_id(records: Sequence[Record], dataset: CocoDataset, path: Path) -> list[tuple[int, Record]]:
    known = {image.id for image in dataset.images}
    records = _spelt_alike(records, dataset)
    for number, record in enumerate(records, start=1):
        image = record.get("image_id")
        if isinstance(image, int | str) and image not in known:
            raise UserError(
                f"{path}: result {number} is about an image_id {image!r}, which the dataset that "
                "it is read against does not define: number the images alike, or give the COCO "
                "dataset with the same objects."
            )
    return list(enumerate(records, start=1))


def _spelt_alike(records: Sequence[Record], dataset: CocoDataset) -> list[Record]:
    """Records whose ids are the dataset's, as those of its own annotations: "7" or 7.0 for 7."""
    content = {
        "images": [{"id": image.id} for image in dataset.images],
        "categories": [{"id": category.id} for category in dataset.categories],
        "annotations": list(records),
    }
    spelt: list[Record] = with_plain_ids(content)["annotations"]
    return spelt


def _check_sizes(numbered: Sequence[tuple[int, Record]], dataset: CocoDataset, path: Path) -> None:
    images: dict[ImageId, CocoImage] = {image.id: image for image in dataset.images}
    for number, record in numbered:
        image = images.get(record["image_id"]) if "image_id" in record else None
        code = record.get("segmentation")
        size = code.get("size") if isinstance(code, dict) else None
        if image is None or not isinstance(size, list | tuple) or len(size) != 2:
            continue  # who reads the record says what it lacks
        if tuple(size) != image.size:
            raise UserError(
                f"{path}: result {number} lies in an image of {size[1]} x {size[0]} pixels, but "
                f"{title_of(image)} is {image.width} x {image.height}: the list is about other "
                "images, or numbers them in another order."
            )


def _categories(
    records: Sequence[Record], known: Sequence[Category]
) -> tuple[list[Category], dict[str, int]]:
    """Categories that the list is about, and the id of each by its name in small letters."""
    ids = {category.name.casefold(): category.id for category in known}
    named = {one["category_name"].casefold(): one["category_name"] for one in records}
    if named.keys() <= ids.keys():
        return list(known), ids
    own = [
        Category(number, name, default_colour(number - 1))
        for number, name in enumerate(named.values(), start=1)
    ]
    return own, {category.name.casefold(): category.id for category in own}
