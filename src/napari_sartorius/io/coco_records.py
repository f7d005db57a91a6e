"""Records of a COCO file: what each must hold, and its images and categories in our terms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sartorius.core.categories import Category, default_colour
from napari_sartorius.core.errors import UserError
from napari_sartorius.io.coco_dataset import CocoImage, ImageId

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def listed(part: Any) -> list[dict[str, Any]] | None:
    """Records of one part of a COCO file, a list or a dict of them; None where it is no such."""
    if not isinstance(part, dict | list):
        return None
    found = list(part.values()) if isinstance(part, dict) else part
    return found if all(isinstance(record, dict) for record in found) else None


def records_of(content: Any, name: str, path: Path) -> list[dict[str, Any]]:
    """Records of one part of the file, a list or a dict of them.

    Raises
    ------
    UserError
        When they are something else.
    """
    records = listed(content)
    if records is None:
        raise UserError(
            f"{path}: {name!r} is not a list of records; choose a COCO annotation file."
        )
    return records


def need(record: dict[str, Any], keys: Sequence[str], what: str, path: Path) -> None:
    """Refuse a record that lacks a key; `what` is how to call it.

    Raises
    ------
    UserError
        Naming the keys.
    """
    missing = [key for key in keys if key not in record]
    if missing:
        raise UserError(
            f"{path}: {what} lacks {', '.join(map(repr, missing))}; complete or remove the record."
        )


def refuse_doubled(ids: Sequence[ImageId], what: str, path: Path) -> None:
    """Refuse an id that two records have; `what` they are of.

    Raises
    ------
    UserError
        Naming the first such id.
    """
    seen: set[ImageId] = set()
    for number in ids:
        if number in seen:
            raise UserError(f"{path}: two {what} records have the id {number!r}; renumber one.")
        seen.add(number)


def image_of(record: dict[str, Any], path: Path) -> CocoImage:
    """The image that a record describes.

    Raises
    ------
    UserError
        When it lacks a key, or its id or its size cannot be.
    """
    what = f"image {record.get('id', record.get('file_name', '?'))!r}"
    need(record, ("id", "file_name", "width", "height"), what, path)
    try:
        width, height = int(record["width"]), int(record["height"])
    except (TypeError, ValueError):
        width = height = 0
    if width <= 0 or height <= 0 or not isinstance(record["id"], int | str):
        raise UserError(
            f"{path}: {what} has the size {record['width']} x {record['height']}, expected "
            "positive numbers of pixels and an id; correct or remove the record."
        )
    known = {"id", "file_name", "width", "height"}
    extra = {key: value for key, value in record.items() if key not in known}
    return CocoImage(record["id"], str(record["file_name"]), width, height, extra)


def categories_of(records: list[dict[str, Any]], path: Path) -> list[Category]:
    """The categories of a file, in its order; those without a usable colour get one.

    Raises
    ------
    UserError
        When a record lacks its id or its name, or these cannot be.
    """
    categories = []
    for position, record in enumerate(records):
        what = f"category {record.get('name', record.get('id', position + 1))!r}"
        need(record, ("id", "name"), what, path)
        try:
            number, name = int(record["id"]), str(record["name"])
            try:
                colour = str(record.get("colour", record.get("color", "")))
                categories.append(Category(number, name, colour))
            except ValueError:
                categories.append(Category(number, name, default_colour(position)))
        except (TypeError, ValueError) as error:
            raise UserError(f"{path}: {what} is not usable ({error}); correct it.") from error
    return categories
