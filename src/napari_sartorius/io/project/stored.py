"""The annotation records of a project as in its file, kept as text where nobody needs more.

Most images are not open while one is corrected; writing the file again must not cost more for them
than joining what was written before.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_sartorius.core.categories import Category
    from napari_sartorius.io.coco_dataset import CocoImage, ImageId

_Records = list[dict[str, Any]]


class StoredAnnotations:
    """Records by image.

    Parameters
    ----------
    images
        Ids of all images.
    annotations
        COCO annotations of these images, in the file's order.
    """

    def __init__(self, images: Iterable[ImageId], annotations: Iterable[dict[str, Any]]) -> None:
        self._records: dict[ImageId, _Records] = {number: [] for number in images}
        self._texts: dict[ImageId, str] = {}
        for record in annotations:
            self._records[record["image_id"]].append(record)

    def of(self, image: ImageId) -> _Records:
        """Records of an image."""
        return self._records[image]

    def replace(self, image: ImageId, records: _Records) -> None:
        """Give an image other records; it may be new."""
        self._records[image] = records
        self._texts.pop(image, None)

    def remove(self, image: ImageId) -> None:
        """Forget an image."""
        self._records.pop(image, None)
        self._texts.pop(image, None)

    def next_id(self) -> int:
        """An annotation id above all others."""
        ids = (record.get("id") for records in self._records.values() for record in records)
        return 1 + max((number for number in ids if isinstance(number, int)), default=0)

    def text(
        self, info: dict[str, Any], categories: Sequence[Category], images: Sequence[CocoImage]
    ) -> str:
        """The whole COCO file with the records of these images."""
        head = {
            "info": info,
            "licenses": [],
            "categories": [{"id": c.id, "name": c.name, "colour": c.colour} for c in categories],
            "images": [
                {"id": i.id, "file_name": i.file_name, "width": i.width, "height": i.height}
                | i.extra
                for i in images
            ],
        }
        body = ",\n".join(filter(None, (self._text(image.id) for image in images)))
        return f'{json.dumps(head)[:-1]}, "annotations": [\n{body}\n]}}\n'

    def _text(self, image: ImageId) -> str:
        if image not in self._texts:
            self._texts[image] = ",\n".join(json.dumps(record) for record in self._records[image])
        return self._texts[image]
