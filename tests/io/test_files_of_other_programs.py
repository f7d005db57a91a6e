"""Annotations as other programs and people write them: read where they can be, refused in words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.coco import read_coco
from napari_sartorius.io.kaggle import read_train_csv
from napari_sartorius.io.labels_tiff import read_labels
from napari_sartorius.io.sources import read_dataset
from napari_sartorius.training.doctor.check import read_for_check

if TYPE_CHECKING:
    from pathlib import Path

SQUARE = [[2, 3, 10, 3, 10, 9, 2, 9]]


def _coco(folder: Path, *, images: Any = None, kinds: Any = None, **annotation: Any) -> Path:
    record = {"id": 1, "image_id": 0, "category_id": 0, "segmentation": SQUARE} | annotation
    given = [record, {"id": 2, "image_id": 0, "category_id": 0, "segmentation": SQUARE}]
    if "category_id" in annotation or "image_id" in annotation:
        given = given[:1]
    content = {
        "images": images or [{"id": 0, "file_name": "a.png", "width": 20, "height": 12}],
        "categories": kinds or [{"id": 0, "name": "cell"}],
        "annotations": given,
    }
    path = folder / "cells.json"
    path.write_text(json.dumps(content))
    return path


def _labels() -> np.ndarray[Any, np.dtype[np.uint8]]:
    labels = np.zeros((12, 20), np.uint8)
    labels[2:6, 3:8], labels[6:10, 12:18] = 1, 2
    return labels


def _pair(folder: Path, name: str = "a", ending: str = "_labels.tif") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(_labels() * 100).save(folder / f"{name}.png")
    tifffile.imwrite(folder / f"{name}{ending}", _labels())


@pytest.mark.parametrize(
    ("given", "kinds", "images"),
    [
        ({"image_id": "0"}, None, None),
        ({"category_id": "0"}, None, None),
        ({"category_id": "7"}, [{"id": "7", "name": "cell"}], None),
        (
            {"id": 1.0, "image_id": 4.0, "category_id": 0.0},
            [{"id": 0.0, "name": "cell"}],
            [{"id": 4.0, "file_name": "a.png", "width": 20.0, "height": 12.0}],
        ),
        (
            {"image_id": 4},
            None,
            [{"id": "4", "file_name": "a.png", "width": 20, "height": 12}],
        ),
        ({"score": None, "bbox": []}, None, None),
    ],
)
def test_ids_of_other_types_mean_the_same(
    tmp_path: Path, given: Any, kinds: Any, images: Any
) -> None:
    path = _coco(tmp_path, images=images, kinds=kinds, **given)
    dataset = read_coco(path)
    objects = dataset.instances[dataset.images[0].id]
    assert objects.masks.area()[0] == 48
    assert objects.scores[0] == 1
    checked, found = read_for_check(path)
    assert checked.object_count == dataset.object_count
    assert found == []


def test_an_id_that_is_there_is_taken_before_one_that_looks_alike(tmp_path: Path) -> None:
    images = [
        {"id": number, "file_name": f"{n}.png", "width": 20, "height": 12}
        for n, number in enumerate((4, "4"))
    ]
    dataset = read_coco(_coco(tmp_path, images=images, image_id="4"))
    assert [len(dataset.instances[number]) for number in (4, "4")] == [0, 1]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"segmentation": [[1, 2, 10, 2, 10, 10, 3]]}, "a polygon has 7 numbers, expected pairs"),
        ({"segmentation": []}, "annotation 1 has no outline.*`data check --fix` drop"),
        ({"segmentation": None}, "annotation 1 has no outline"),
        ({"bbox": [-3, 2, 10, 2]}, "`data check --fix` remove 'bbox', which is taken"),
        ({"segmentation": [[1, 2, 10, 2]]}, "at least 3 points.*`data check --fix` drop it"),
        ({"score": "high"}, "a score is not a number"),
    ],
)
def test_what_cannot_be_read_says_what_helps(tmp_path: Path, given: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        read_coco(_coco(tmp_path, **given))


def test_boxes_alone_are_refused_as_such(tmp_path: Path) -> None:
    path = _coco(tmp_path)
    content = json.loads(path.read_text())
    for record, outline in zip(content["annotations"], ([], None), strict=True):
        record |= {"segmentation": outline, "bbox": [2, 3, 8, 6]}
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"has boxes but no outlines.*polygons or masks"):
        read_coco(path)


@pytest.mark.parametrize("mode", ["colours", "few colours"])
def test_labels_drawn_in_colours_of_a_palette_are_its_numbers(tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(_labels(), mode="P")
    picture.putpalette([0, 0, 0, 200, 10, 10, 10, 200, 10])
    path = tmp_path / "a_labels.png"
    picture.save(path, bits=2 if mode == "few colours" else 8)
    np.testing.assert_array_equal(read_labels(path).to_array(), _labels())


def test_labels_of_true_and_false(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a_labels.tif", _labels() > 0)
    np.testing.assert_array_equal(read_labels(tmp_path / "a_labels.tif").to_array(), _labels() > 0)


def test_folders_are_found_whatever_their_case(tmp_path: Path) -> None:
    _pair(tmp_path / "Images")
    (tmp_path / "Masks").mkdir()
    (tmp_path / "Images" / "a_labels.tif").rename(tmp_path / "Masks" / "a.tif")
    dataset = read_dataset(tmp_path)
    assert dataset.object_count == 2
    assert dataset.image_path(dataset.images[0]).is_file()


def test_pairs_in_folders_below_are_one_dataset(tmp_path: Path) -> None:
    for place in ("Platte 1", "Platte 2/B2", ".hidden"):
        _pair(tmp_path / place)
    (tmp_path / "Platte 1" / "lone.png").write_bytes((tmp_path / "Platte 1/a.png").read_bytes())
    (tmp_path / "loop").symlink_to(tmp_path)
    dataset = read_dataset(tmp_path)
    assert [image.file_name for image in dataset.images] == ["Platte 1/a.png", "Platte 2/B2/a.png"]
    assert [fault.image for fault in dataset.left_out] == ["Platte 1/lone.png"]
    assert dataset.object_count == 4


def test_a_folder_without_annotated_images_says_what_is_expected(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(UserError, match=r"a.tif beside a_labels.tif, the folders images"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "/data/local-files/?d=plates/Feld%201.png",
        "images/1f2e3d4c-Feld 1.png",
        "..\\images\\Feld 1.png",
        "/data/upload/3/1f2e3d4c-Feld%201.png",
    ],
)
def test_images_are_found_by_what_they_were_called_before(tmp_path: Path, name: str) -> None:
    (tmp_path / "mine").mkdir()
    Image.fromarray(_labels()).save(tmp_path / "mine" / "Feld 1.png")
    images = [{"id": 0, "file_name": name, "width": 20, "height": 12}]
    dataset = read_dataset(_coco(tmp_path, images=images), tmp_path / "mine")
    assert dataset.image_path(dataset.images[0]).name == "Feld 1.png"
    assert dataset.image_path(dataset.images[0]).is_file()


def test_sizes_with_a_decimal_point_and_lines_without_a_kind(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    head = "id,annotation,width,height,cell_type\n"
    path.write_text(head + "a,1 4,20.0,12.0,cort\n")
    assert read_train_csv(path).images[0].size == (12, 20)
    path.write_text(head + "a,1 4,20.5,12,cort\n")
    with pytest.raises(UserError, match=r"no proper size \(20.5 x 12 pixels\)"):
        read_train_csv(path)
    path.write_text(head + "a,1 4,20,12,cort\na,9 4,20,12,\n")
    with pytest.raises(UserError, match="line 3, image a: it has no cell_type"):
        read_train_csv(path)
    dataset, found = read_for_check(path)
    assert [finding.sentence for finding in found] == [
        "train/a.png: line 3 has no cell_type; correct it or draw it again, or let --fix drop it."
    ]
    assert dataset.object_count == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"images": 5, "annotations": [1], "categories": "x"}, "'images' is not a list of records"),
        (
            {
                "images": [{"id": [1], "file_name": "a", "width": 8, "height": 8}],
                "annotations": [],
                "categories": [{"id": 1, "name": "cell"}],
            },
            "positive numbers of pixels and an id",
        ),
        ("x", "is not a COCO dataset"),
    ],
)
def test_what_is_no_dataset_is_no_dataset_for_the_check_either(
    tmp_path: Path, content: Any, words: str
) -> None:
    path = tmp_path / "cells.json"
    path.write_text(json.dumps(content))
    for read in (read_coco, read_for_check):
        with pytest.raises(UserError, match=words):
            read(path)
