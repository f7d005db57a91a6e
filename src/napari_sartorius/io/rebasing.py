"""A dataset that is to be written into another folder still finds its images."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_sartorius.io.project.folder import relative_name

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.io.coco_dataset import CocoDataset


def rebased(dataset: CocoDataset, folder: Path) -> CocoDataset:
    """The same dataset with file names that start at `folder`."""
    records = [
        replace(image, file_name=relative_name(dataset.image_path(image), folder))
        for image in dataset.images
    ]
    return replace(dataset, images=records, folder=folder)
