"""COCO records that the strict reader refuses: named, and left out so that the rest is read."""

from __future__ import annotations

from typing import Any

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.coco_records import listed
from napari_sartorius.io.coco_segmentation import decode_segmentations
from napari_sartorius.io.faults import Fault, FaultKind

_REACH = 1.0  # outlines along pixel corners may stick out by a fraction of a pixel


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
        listed(content[key]) for key in ("images", "categories", "annotations")
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
    images, annotations = listed(content["images"]), listed(content["annotations"])
    if images is None or annotations is None:
        return content, []
    sizes = {_key(record.get("id")): record for record in images}
    if not all(_has_size(record) for record in sizes.values()):
        return content, []
    for number, record in enumerate(annotations, start=1):
        image = sizes[record["image_id"]]
        try:
            size = int(image["height"]), int(image["width"])
            decode_segmentations([record["segmentation"]], ["its mask"], size)
        except UserError as error:
            text = str(error).partition(";")[0]
            name = record.get("id", number)
            faults.append(_of_annotation("damaged", image, record, name, text))
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

    def wrong(kind: FaultKind, text: str, *, dropped: bool = True) -> None:
        faults.append(_of_annotation(kind, image or {}, record, name, text, dropped))

    if image is None:
        text = f"points to image_id {record.get('image_id')!r}, which the file does not define"
        wrong("dangling", text)
        return None
    if _key(record.get("category_id")) not in kinds:
        text = (
            f"points to category_id {record.get('category_id')!r}, which the file does not define"
        )
        wrong("dangling", text)
        return None
    outline = record.get("segmentation")
    if not isinstance(outline, dict | list) or not outline:
        wrong("no outline", "has no outline")
        return None
    width, height = image.get("width", 0), image.get("height", 0)
    if not _has_size(image):
        return record  # the reader refuses the image's record
    if isinstance(outline, dict) and list(outline.get("size", ())) != [height, width]:
        text = f"has a mask for an image of the size (height, width) {outline.get('size')}"
        wrong("other image", text)
        return None
    box_outside = _box_outside(record.get("bbox"), width, height)
    if box_outside or _points_outside(outline, width, height):
        wrong("outside", f"leaves its {width} x {height} image", dropped=False)
    if box_outside:
        return {key: value for key, value in record.items() if key != "bbox"}
    return record


def _of_annotation(
    kind: FaultKind,
    image: dict[str, Any],
    record: dict[str, Any],
    name: Any,
    text: str,
    dropped: bool = True,
) -> Fault:
    return Fault(
        kind,
        str(image.get("file_name", "")),
        name,
        text,
        dropped,
        image_id=_key(image.get("id")),
        record={key: record[key] for key in ("segmentation", "bbox") if key in record},
    )


def _box_outside(box: Any, width: int, height: int) -> bool:
    if box is None or box == []:
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
    return all(isinstance(side, int | float) and side >= 1 for side in sides)


def _key(value: Any) -> Any:
    return value if isinstance(value, int | str) else None
