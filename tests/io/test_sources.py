"""Every form in which annotated images come, and what their names say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from annotated_discs import SIDE, dataset_of_masks, discs, write_picture
from napari_sartorius.core.errors import UserError
from napari_sartorius.io.coco import write_coco
from napari_sartorius.io.dsb import write_dsb
from napari_sartorius.io.exporting import export_dataset
from napari_sartorius.io.kaggle import plate_and_well, write_train_csv
from napari_sartorius.io.label_pairs import LABEL_ENDINGS
from napari_sartorius.io.project import create_project
from napari_sartorius.io.sources import read_dataset

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.io.coco import CocoDataset


@pytest.fixture
def truth(tmp_path: Path) -> CocoDataset:
    folder = tmp_path / "truth"
    folder.mkdir()
    return dataset_of_masks(folder, [discs(), discs(5), discs(4)])


def _areas(dataset: CocoDataset) -> list[list[int]]:
    return [sorted(dataset.instances[i.id].masks.area().tolist()) for i in dataset.images]


def _same(dataset: CocoDataset, truth: CocoDataset) -> None:
    assert _areas(dataset) == _areas(truth)
    assert all(dataset.image_path(image).is_file() for image in dataset.images)


@pytest.mark.parametrize("ending", LABEL_ENDINGS)
def test_labels_beside_images(truth: CocoDataset, tmp_path: Path, ending: str) -> None:
    folder = tmp_path / "pairs"
    folder.mkdir()
    for n, image in enumerate(truth.images):
        write_picture(folder / f"cell_masks_{n}.png", n)
        labels = truth.instances[image.id].masks.to_labels()
        tifffile.imwrite(folder / f"cell_masks_{n}{ending}.tif", labels)
    write_picture(folder / "alone.png", 9)
    _same(read_dataset(folder), truth)


@pytest.mark.parametrize("below", ["labels", "masks"])
def test_labels_in_a_folder_of_their_own(truth: CocoDataset, tmp_path: Path, below: str) -> None:
    folder = tmp_path / "pairs"
    (folder / "images").mkdir(parents=True)
    (folder / below).mkdir()
    for n, image in enumerate(truth.images):
        write_picture(folder / "images" / f"{n}.png", n)
        labels = truth.instances[image.id].masks.to_labels()
        tifffile.imwrite(folder / below / f"{n}.tif", labels)
    _same(read_dataset(folder), truth)


def test_exported_labels_come_back_with_their_categories(tmp_path: Path) -> None:
    truth = dataset_of_masks(tmp_path, [discs(), discs()], names=("round", "flat"))
    export_dataset(truth, tmp_path, ["labels", "table"])
    again = read_dataset(tmp_path)
    kinds = [again.category_names[again.instances[i.id].categories[0]] for i in again.images]
    assert kinds == ["round", "flat"]


def test_labels_of_another_size_are_refused(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", 1)
    tifffile.imwrite(tmp_path / "a_labels.tif", np.ones((9, 9), np.uint8))
    with pytest.raises(UserError, match=r"a_labels\.tif is 9 x 9 pixels but its image is 64 x 64"):
        read_dataset(tmp_path)


def test_dsb_project_and_train_csv(truth: CocoDataset, tmp_path: Path) -> None:
    write_dsb(tmp_path / "dsb", truth)
    _same(read_dataset(tmp_path / "dsb"), truth)

    (tmp_path / "kaggle" / "train").mkdir(parents=True)
    for n in range(3):
        write_picture(tmp_path / "kaggle" / "train" / f"{n}.png", n)
    write_train_csv(tmp_path / "kaggle" / "train.csv", truth)
    _same(read_dataset(tmp_path / "kaggle" / "train.csv"), truth)
    _same(read_dataset(tmp_path / "kaggle"), truth)

    project = create_project(tmp_path / "project", ["cell"])
    project.add_files([truth.image_path(image) for image in truth.images])
    project.close()
    assert len(read_dataset(tmp_path / "project")) == 3


def test_a_folder_with_one_file_and_with_several(truth: CocoDataset, tmp_path: Path) -> None:
    folder = truth.folder
    assert folder is not None
    write_coco(folder / "cells.json", truth)
    _same(read_dataset(folder), truth)
    write_coco(folder / "more.json", truth)
    with pytest.raises(UserError, match=r"several files \(cells\.json, more\.json\)"):
        read_dataset(folder)


def test_a_folder_of_images_alone_says_what_could_be_there(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", 1)
    with pytest.raises(
        UserError, match=r"no annotated images, expected a COCO file.*a_labels\.tif"
    ):
        read_dataset(tmp_path)


def test_images_are_found_below_a_folder(truth: CocoDataset, tmp_path: Path) -> None:
    path = tmp_path / "elsewhere" / "cells.json"
    path.parent.mkdir()
    write_coco(path, truth)
    lost = read_dataset(path)
    assert not lost.image_path(lost.images[0]).exists()
    _same(read_dataset(path, tmp_path), truth)
    with pytest.raises(UserError, match="is no folder"):
        read_dataset(path, tmp_path / "none")


def test_livecell_single_cell_files(truth: CocoDataset, tmp_path: Path) -> None:
    name = "A172_Phase_C7_1_00d00h00m_2.tif"
    write_coco(tmp_path / "train.json", truth.select(lambda i: i.id == 1), keyed=True)
    content = json.loads((tmp_path / "train.json").read_text())
    assert isinstance(content["annotations"], dict)
    content["images"][0] |= {"file_name": name, "original_filename": name, "url": "x"}
    (tmp_path / "train.json").write_text(json.dumps(content))
    place = tmp_path / "images" / "livecell_train_val_images" / "A172"
    place.mkdir(parents=True)
    tifffile.imwrite(place / name, np.eye(SIDE, dtype=np.uint8))
    dataset = read_dataset(tmp_path / "train.json", tmp_path / "images")
    assert dataset.image_path(dataset.images[0]).is_file()
    extra = dataset.images[0].extra
    assert (extra["cell_type"], extra["well"], extra["field"]) == ("A172", "C7", "C7_1")
    assert dataset.object_count == 6


def test_plates_and_wells_of_the_competition() -> None:
    assert plate_and_well("shsy5y[diff]_E10-4_Vessel-714_Ph_3") == {
        "plate": "shsy5y[diff]",
        "well": "E10",
        "plate_well": "shsy5y[diff]_E10",
    }
    assert plate_and_well("") == {}
    assert plate_and_well("unknown") == {}
