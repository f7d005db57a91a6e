"""COCO records that the strict reader refuses: named, and left out so that the rest is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.coco_segmentation import decode_segmentations

if TYPE_CHECKING:
    from collections.abc import Iterable

FaultKind = Literal["dangling", "doubled id", "no outline", "damaged", "other image", "outside"]

_REACH = 1.0  # outlines along pixel corners may stick out by a fraction of a pixel


@dataclass(frozen=True)
class Fault:
    """A record that is wrong.

    Attributes
    ----------
    kind
        ``dangling``: it points to an image or category that is not there. ``doubled id``: another
        image or category has its id. ``no outline``, ``damaged``: it has no mask that can be
        read. ``other image``: its mask is for an image of another size. ``outside``: it leaves
        its image.
    image
        File name, "" where none is known.
    annotation
        Id, or None where the record is none of an annotation.
    text
        What is wrong, without the remedy.
    dropped
        Whether the record is left out; else what is wrong was cut off.
    """

    kind: FaultKind
    image: str
    annotation: int | str | None
    text: str
    dropped: bool = True


def mend(content: Any) -> tuple[Any, list[Fault]]:
    """Leave out or cut what makes a COCO file unreadable.

    Parameters
    ----------
    content
        Parsed JSON of a COCO dataset.

    Returns
    -------
    content, faults
        The same without the faulty records (new containers where something changed), and what
        they were. What is no COCO dataset at all comes back as it is, for the reader to refuse.
    """
    if not _is_dataset(content):
        return content, []
    images, categories, annotations = (
        _listed(content[key]) for key in ("images", "categories", "annotations")
    )
    if images is None or categories is None or annotations is None:
        return content, []
    faults: list[Fault] = []
    images = _unique(images, "image", faults)
    categories = _unique(categories, "category", faults)
    sizes = {r.get("id"): r for r in images if isinstance(r.get("id"), int | str)}
    kinds = {r.get("id") for r in categories}
    kept = []
    for number, record in enumerate(annotations, start=1):
        mended = _annotation(record, record.get("id", number), sizes, kinds, faults)
        if mended is not None:
            kept.append(mended)
    changed = {"images": images, "categories": categories, "annotations": kept}
    return content | changed, faults


def without_damaged(content: Any) -> tuple[Any, list[Fault]]:
    """Leave out annotations whose masks cannot be decoded, found by decoding one by one.

    Parameters
    ----------
    content
        As `mend` gives it; comes back as it is when it is no dataset, or its images have no size.
    """
    faults: list[Fault] = []
    kept = []
    if not _is_dataset(content):
        return content, []
    sizes = {record.get("id"): record for record in content["images"]}
    if not all(_has_size(record) for record in sizes.values()):
        return content, []
    for number, record in enumerate(content["annotations"], start=1):
        image = sizes[record["image_id"]]
        try:
            size = image["height"], image["width"]
            decode_segmentations([record["segmentation"]], ["its mask"], size)
        except UserError as error:
            text = str(error).partition(";")[0]
            name = record.get("id", number)
            faults.append(Fault("damaged", str(image.get("file_name", "")), name, text))
        else:
            kept.append(record)
    return content | {"annotations": kept}, faults


def _annotation(
    record: dict[str, Any],
    name: Any,
    sizes: dict[Any, dict[str, Any]],
    kinds: set[Any],
    faults: list[Fault],
) -> dict[str, Any] | None:
    """The record, without its box when that leaves the image; None when it is of no use."""
    image = sizes.get(_key(record.get("image_id")))
    if image is None:
        text = f"points to image_id {record.get('image_id')!r}, which the file does not define"
        faults.append(Fault("dangling", "", name, text))
        return None
    file = str(image.get("file_name", ""))
    if _key(record.get("category_id")) not in kinds:
        text = (
            f"points to category_id {record.get('category_id')!r}, which the file does not define"
        )
        faults.append(Fault("dangling", file, name, text))
        return None
    outline = record.get("segmentation")
    if not isinstance(outline, dict | list) or not outline:
        faults.append(Fault("no outline", file, name, "has no outline"))
        return None
    width, height = image.get("width", 0), image.get("height", 0)
    if not _has_size(image):
        return record  # the reader refuses the image's record
    if isinstance(outline, dict) and list(outline.get("size", ())) != [height, width]:
        text = f"has a mask for an image of the size (height, width) {outline.get('size')}"
        faults.append(Fault("other image", file, name, text))
        return None
    box_outside = _box_outside(record.get("bbox"), width, height)
    if box_outside or _points_outside(outline, width, height):
        text = f"leaves its {width} x {height} image"
        faults.append(Fault("outside", file, name, text, dropped=False))
    if box_outside:
        return {key: value for key, value in record.items() if key != "bbox"}
    return record


def _box_outside(box: Any, width: int, height: int) -> bool:
    if box is None:
        return False
    try:
        x, y, w, h = (float(value) for value in box)
    except (TypeError, ValueError):
        return True
    inside = x >= -_REACH and y >= -_REACH and x + w <= width + _REACH and y + h <= height + _REACH
    return not (inside and w >= 0 and h >= 0)


def _points_outside(outline: Any, width: int, height: int) -> bool:
    if not isinstance(outline, list):
        return False
    for part in [outline] if isinstance(outline[0], int | float) else outline:
        try:
            x, y = part[0::2], part[1::2]
            if min(x) < -_REACH or min(y) < -_REACH:
                return True
            if max(x) > width + _REACH or max(y) > height + _REACH:
                return True
        except (TypeError, ValueError):
            return False  # no polygon: the reader says what it is
    return False


def _unique(records: list[dict[str, Any]], what: str, faults: list[Fault]) -> list[dict[str, Any]]:
    seen: set[Any] = set()
    kept = []
    for record in records:
        number = _key(record.get("id"))
        name = str(record.get("file_name", record.get("name", "")))
        if number in seen:
            text = f"{what} record {name!r} has the id {number!r} that an earlier one has"
            faults.append(Fault("doubled id", name if what == "image" else "", None, text))
        else:
            kept.append(record)
            seen.add(number)
    return kept


def _is_dataset(content: Any) -> bool:
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= set(content)


def _has_size(image: dict[str, Any]) -> bool:
    sides = image.get("width"), image.get("height")
    return all(isinstance(side, int) and side > 0 for side in sides)


def _key(value: Any) -> Any:
    return value if isinstance(value, int | str) else None


def _listed(content: Any) -> list[dict[str, Any]] | None:
    records: Iterable[Any] = content.values() if isinstance(content, dict) else content
    if not isinstance(content, dict | list):
        return None
    found = list(records)
    return found if all(isinstance(record, dict) for record in found) else None
