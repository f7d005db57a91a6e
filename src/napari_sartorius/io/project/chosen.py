"""Images of a project by how far the work on them is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sartorius.io.coco_dataset import CocoDataset, CocoImage


def chosen_images(dataset: CocoDataset, statuses: tuple[str, ...]) -> CocoDataset:
    """Images of a project with one of these statuses."""

    def is_chosen(image: CocoImage) -> bool:
        noted = image.extra.get("sartorius", {})
        return isinstance(noted, dict) and noted.get("status", "new") in statuses

    return dataset.select(is_chosen)
