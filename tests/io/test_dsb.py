"""Folders with one mask file per object, in the layouts found in the wild."""

from __future__ import annotations

from typing import TYPE_CHECKING

import imagecodecs
import numpy as np
import pytest
import tifffile

from napari_sartorius.core.categories import categories_from_names
from napari_sartorius.core.errors import UserError
from napari_sartorius.io.coco import CocoDataset, CocoImage
from napari_sartorius.io.dsb import is_dsb_folder, read_dsb, write_dsb

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.core.instances import Instances


def _dataset(folder: Path, instances: Instances) -> CocoDataset:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 50, 4)).astype(np.uint8)
    (folder / "a.png").write_bytes(imagecodecs.png_encode(pixels))
    tifffile.imwrite(folder / "b.tif", pixels[..., 0].astype(np.uint16) * 256)
    return CocoDataset(
        images=[CocoImage(1, "a.png", 50, 30), CocoImage(2, "b.tif", 50, 30)],
        categories=categories_from_names(["x", "y"]),
        instances={1: instances, 2: instances[:0]},
        folder=folder,
    )


def test_round_trip(tmp_path: Path, overlapping: Instances) -> None:
    write_dsb(tmp_path / "out", _dataset(tmp_path, overlapping))
    names = sorted(p.relative_to(tmp_path / "out").as_posix() for p in tmp_path.rglob("out/*/*/*"))
    assert names == [
        "a/images/a.png",
        "a/masks/a_0001.png",
        "a/masks/a_0002.png",
        "a/masks/a_0003.png",
        "b/images/b.png",
    ]
    assert (tmp_path / "out/a/images/a.png").read_bytes() == (tmp_path / "a.png").read_bytes()
    assert is_dsb_folder(tmp_path / "out")
    again = read_dsb(tmp_path / "out")
    assert [image.file_name for image in again.images] == ["a/images/a.png", "b/images/b.png"]
    assert again.category_names == ["nucleus"]
    for i in range(3):
        np.testing.assert_array_equal(again.instances[1].masks.full(i), overlapping.masks.full(i))
    assert len(again.instances[2]) == 0


def test_one_sample_folder_is_enough(tmp_path: Path, overlapping: Instances) -> None:
    write_dsb(tmp_path / "out", _dataset(tmp_path, overlapping))
    dataset = read_dsb(tmp_path / "out" / "a")
    assert dataset.images[0].file_name == "images/a.png"
    assert len(dataset.instances[1]) == 3


def test_masks_in_a_folder_per_image(tmp_path: Path, overlapping: Instances) -> None:
    write_dsb(tmp_path / "out", _dataset(tmp_path, overlapping))
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    for stem in "ab":
        (tmp_path / "out" / stem / "images" / f"{stem}.png").rename(tmp_path / f"images/{stem}.png")
        (tmp_path / "out" / stem / "masks").rename(tmp_path / "masks" / stem)
    dataset = read_dsb(tmp_path)
    assert [image.file_name for image in dataset.images] == ["images/a.png", "images/b.png"]
    assert [len(dataset.instances[i]) for i in (1, 2)] == [3, 0]


def test_masks_with_colours(tmp_path: Path, overlapping: Instances) -> None:
    write_dsb(tmp_path / "out", _dataset(tmp_path, overlapping))
    mask = overlapping.masks.full(2).astype(np.uint8) * 255
    opaque = np.full_like(mask, 255)
    coded = imagecodecs.png_encode(np.dstack([mask, mask, mask, opaque]))
    (tmp_path / "out/a/masks/a_0003.png").write_bytes(coded)
    assert read_dsb(tmp_path / "out").instances[1].masks.area().tolist() == [100, 100, 50]


def test_a_mask_of_another_size_is_named(tmp_path: Path, overlapping: Instances) -> None:
    write_dsb(tmp_path / "out", _dataset(tmp_path, overlapping))
    wrong = tmp_path / "out/a/masks/a_0002.png"
    wrong.write_bytes(imagecodecs.png_encode(np.ones((50, 30), np.uint8)))
    with pytest.raises(UserError, match="30 x 50 pixels but its image is 50 x 30") as caught:
        read_dsb(tmp_path / "out")
    assert str(wrong) in str(caught.value)


def test_no_such_folder(tmp_path: Path) -> None:
    assert not is_dsb_folder(tmp_path)
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UserError, match="holds no images with masks"):
            read_dsb(folder)


def test_nothing_is_left_when_an_image_is_missing(tmp_path: Path, overlapping: Instances) -> None:
    dataset = _dataset(tmp_path, overlapping)
    (tmp_path / "b.tif").unlink()
    with pytest.raises(UserError, match=r"b\.tif does not exist"):
        write_dsb(tmp_path / "out", dataset)
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_two_images_of_one_name(tmp_path: Path, overlapping: Instances) -> None:
    dataset = _dataset(tmp_path, overlapping)
    (tmp_path / "other").mkdir()
    (tmp_path / "b.tif").rename(tmp_path / "other" / "a.tif")
    other = dataset.images[1]
    dataset.images[1] = CocoImage(other.id, "other/a.tif", other.width, other.height)
    write_dsb(tmp_path / "out", dataset)
    back = read_dsb(tmp_path / "out")
    assert [image.stem for image in back.images] == ["a", "a_2"]
    for image, wanted in zip(back.images, dataset.images, strict=True):
        found = back.instances[image.id].masks
        np.testing.assert_array_equal(found.area(), dataset.instances[wanted.id].masks.area())
