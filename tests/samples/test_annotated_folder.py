"""Generated pictures as files are what was generated, to the pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.io.coco import read_coco
from napari_sartorius.io.images import read_image
from napari_sartorius.samples.annotated_folder import write_annotated_folder
from napari_sartorius.samples.nuclei import CATEGORIES, nuclei_scene

if TYPE_CHECKING:
    from pathlib import Path


def test_pictures_and_truth_come_back(tmp_path: Path) -> None:
    scenes = [nuclei_scene("immunostained", (96, 128), seed=seed) for seed in (1, 2)]
    told = [(*scene, split) for scene, split in zip(scenes, ("train", "val"), strict=True)]
    back = read_coco(write_annotated_folder(tmp_path / "new", told, CATEGORIES))
    assert [image.extra["split"] for image in back.images] == ["train", "val"]
    assert back.category_names == [category.name for category in CATEGORIES]
    for image, (picture, truth) in zip(back.images, scenes, strict=True):
        assert image.size == (96, 128)
        np.testing.assert_array_equal(read_image(back.image_path(image)).to_array(), picture)
        found = back.instances[image.id]
        np.testing.assert_array_equal(found.masks.to_labels(), truth.masks.to_labels())
        np.testing.assert_array_equal(found.categories, truth.categories)
