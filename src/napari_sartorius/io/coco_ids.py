"""Ids of COCO records as programs write them who care less for types: 7.0 or "7" for 7."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from napari_sartorius.io.coco_records import listed

if TYPE_CHECKING:
    from collections.abc import Iterable

_REFERENCES = (("image_id", "images"), ("category_id", "categories"))


def with_plain_ids(content: Any) -> Any:
    """A parsed COCO file in which ids are whole numbers or names, and references mean them.

    Parameters
    ----------
    content
        As the file has it. Floats that are whole become whole numbers. A reference that nothing has
        becomes the id that is written alike ("7" and 7), where there is one.

    Returns
    -------
    Any
        New containers where something changed; what is no COCO dataset comes back as it is.
    """
    parts = ("images", "categories", "annotations")
    if not isinstance(content, dict) or any(listed(content.get(part)) is None for part in parts):
        return content
    changed: dict[str, Any] = {}
    for part in ("images", "categories"):
        changed[part] = _mapped(content[part], lambda record: _plain_id(record, "id"))
    changed["categories"] = _mapped(changed["categories"], _numbered)
    known = {key: _by_spelling(listed(changed[part]) or ()) for key, part in _REFERENCES}

    def told(record: dict[str, Any]) -> dict[str, Any]:
        record = _plain_id(record, "id")
        for key, ids in known.items():
            record = _plain_id(record, key)
            value = record.get(key)
            if isinstance(value, int | str) and ids.get(str(value), value) != value:
                record = record | {key: ids[str(value)]}
        return record

    changed["annotations"] = _mapped(content["annotations"], told)
    return content | changed


def _plain_id(record: dict[str, Any], key: str) -> dict[str, Any]:
    value = record.get(key)
    return record | {key: int(value)} if isinstance(value, float) and value.is_integer() else record


def _numbered(category: dict[str, Any]) -> dict[str, Any]:
    """A category whose id is a number, where it is one in quotes."""
    value = category.get("id")
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return category | {"id": int(value)}
    return category


def _by_spelling(records: Iterable[dict[str, Any]]) -> dict[str, int | str]:
    """The id that is written so; none where two are, a number and a text, which mean themselves."""
    ids = [n for record in records if isinstance(n := record.get("id"), int | str)]
    written = Counter(str(number) for number in dict.fromkeys(ids))
    return {str(number): number for number in ids if written[str(number)] == 1}


def _mapped(records: Any, change: Any) -> Any:
    if isinstance(records, dict):
        return {key: change(record) for key, record in records.items()}
    return [change(record) for record in records]
