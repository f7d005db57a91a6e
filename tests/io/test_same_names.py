"""Images of one name in different folders stay apart in every table, and come back apart."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from napari_sartorius.cli.main import app
from napari_sartorius.core.categories import Category
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.io.coco import CocoDataset, CocoImage, read_coco, write_coco
from napari_sartorius.io.exporting import export_dataset
from napari_sartorius.io.importing import read_annotations
from napari_sartorius.io.kaggle import read_train_csv
from napari_sartorius.io.sources import read_dataset

if TYPE_CHECKING:
    from pathlib import Path

SIZES = {"p1/a.png": (20, 30), "p2/a.png": (24, 40), "p2/b.tif": (20, 20)}


def _square(size: tuple[int, int], place: int) -> Instances:
    full = np.zeros((1, *size), bool)
    full[0, place : place + 5, place : place + 5] = True
    return Instances.from_masks(CropMasks.from_full(full))


@pytest.fixture
def dataset(tmp_path: Path) -> CocoDataset:
    images = []
    for number, (name, size) in enumerate(SIZES.items(), start=1):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.full(size, 40 * number, np.uint8)).save(tmp_path / name)
        images.append(CocoImage(number, name, size[1], size[0]))
    found = {image.id: _square(image.size, 2 * int(image.id)) for image in images}
    return CocoDataset(images, [Category(1, "cell")], dict(found), {}, tmp_path)


def _is_same(back: CocoDataset, dataset: CocoDataset) -> None:
    paths = [back.image_path(image).resolve() for image in back.images]
    assert paths == [dataset.image_path(image).resolve() for image in dataset.images]
    for one, other in zip(back.images, dataset.images, strict=True):
        assert one.size == other.size
        masks, wanted = back.instances[one.id].masks, dataset.instances[other.id].masks
        np.testing.assert_array_equal(masks.full(0), wanted.full(0))


def test_train_csv_keeps_them_apart_and_leads_to_their_files(
    dataset: CocoDataset, tmp_path: Path
) -> None:
    write_coco(tmp_path / "cells.json", dataset)
    out = tmp_path / "out"
    done = CliRunner().invoke(
        app,
        ["data", "convert", f"{tmp_path}/cells.json", "--out", str(out), "--format", "train-csv"],
    )
    assert done.exit_code == 0, done.output
    back = read_dataset(out / "train.csv")
    assert [image.id for image in back.images] == ["a", "a_2", "b"]
    _is_same(back, dataset)


def test_exported_tables_are_led_to_the_file_in_the_right_folder(
    dataset: CocoDataset, tmp_path: Path
) -> None:
    export_dataset(dataset, tmp_path / "out", ["train-csv"])
    moved = tmp_path / "moved"
    moved.mkdir()
    for folder in ("p2", "p1"):
        (tmp_path / folder).rename(moved / folder)
    dataset.folder = moved
    _is_same(read_dataset(tmp_path / "out" / "train.csv", moved), dataset)


def test_a_name_that_two_files_have_is_not_guessed(dataset: CocoDataset, tmp_path: Path) -> None:
    lone = CocoDataset(
        [CocoImage(1, "a.png", 30, 20)], dataset.categories, {1: dataset.instances[1]}
    )
    write_coco(tmp_path / "lone.json", lone)
    with pytest.raises(UserError, match=r"a.png could be p1.a.png or p2.a.png in .*: name the"):
        read_dataset(tmp_path / "lone.json", tmp_path)
    led = read_dataset(tmp_path / "lone.json", tmp_path / "p1")
    assert led.images[0].file_name == "p1/a.png"


@pytest.mark.parametrize("form", ["train-csv", "submission", "results", "coco"])
def test_what_was_exported_finds_its_image_again(
    dataset: CocoDataset, tmp_path: Path, form: str
) -> None:
    (written,) = export_dataset(dataset, tmp_path / "out", [form])
    back = read_annotations(written, dataset.images, tmp_path, dataset.categories)
    _is_same(back, dataset)


def test_an_import_does_not_mix_them_up(dataset: CocoDataset, tmp_path: Path) -> None:
    write_coco(tmp_path / "cells.json", dataset)
    out = tmp_path / "again.json"
    done = CliRunner().invoke(app, ["import", str(tmp_path / "cells.json"), "--out", str(out)])
    assert done.exit_code == 0, done.output
    _is_same(read_coco(out), dataset)


def test_planes_of_a_stack_keep_their_place_in_train_csv(tmp_path: Path) -> None:
    size = (20, 30)
    images = [CocoImage(n, "train/s.png", 30, 20, {"plane": [0, n]}) for n in (1, 2)]
    found = {1: _square(size, 3), 2: _square(size, 6)}
    stack = CocoDataset(images, [Category(1, "cell")], dict(found), {}, tmp_path)
    export_dataset(stack, tmp_path, ["train-csv"])
    back = read_train_csv(tmp_path / "train.csv")
    assert [image.id for image in back.images] == ["s_0_1", "s_0_2"]
    assert [image.extra["plane"] for image in back.images] == [[0, 1], [0, 2]]
    assert {image.file_name for image in back.images} == {"train/s.png"}


@pytest.mark.parametrize("separator", [";", "\t"])
def test_tables_that_a_spreadsheet_saved(tmp_path: Path, separator: str) -> None:
    lines = [
        ["id", "annotation", "width", "height", "cell_type"],
        ["zelle ä 1", "1 4 31 4", "30", "20", "cort"],
    ]
    text = "\r\n".join(separator.join(line) for line in lines)
    (tmp_path / "train.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    dataset = read_train_csv(tmp_path / "train.csv")
    assert dataset.images[0].file_name == "train/zelle ä 1.png"
    assert dataset.instances["zelle ä 1"].masks.area().tolist() == [8]


def test_a_table_in_another_code_says_how_to_save_it(tmp_path: Path) -> None:
    text = "id,annotation,width,height,cell_type\nä,1 4,30,20,cort\n"
    (tmp_path / "train.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match="save it as CSV UTF-8"):
        read_train_csv(tmp_path / "train.csv")


def test_the_original_form_stays_as_it_was(tmp_path: Path) -> None:
    images = [CocoImage(1, "train/x.png", 30, 20)]
    plain = CocoDataset(images, [Category(1, "cort")], {1: _square((20, 30), 2)}, {}, tmp_path)
    export_dataset(plain, tmp_path, ["train-csv"])
    head = (tmp_path / "train.csv").read_text().splitlines()[0]
    assert head == "id,annotation,width,height,cell_type"
    assert json.dumps(read_train_csv(tmp_path / "train.csv").images[0].extra) == (
        '{"cell_type": "cort"}'
    )


def test_names_of_exported_files_suit_any_file_system(tmp_path: Path) -> None:
    names = ["x/A.png", "y/a.png", "m" * 245 + "1.png", "m" * 245 + "2.png", "細胞" * 41 + ".png"]
    images = [CocoImage(number, name, 30, 20) for number, name in enumerate(names, start=1)]
    found = {image.id: _square((20, 30), 2 * int(image.id)) for image in images}
    dataset = CocoDataset(images, [Category(1, "cell")], dict(found), {}, tmp_path)
    made = export_dataset(dataset, tmp_path / "out", ["labels", "table", "rois", "geojson"])
    assert len({path.name.casefold() for path in made}) == len(made) == 20
    assert all(path.is_file() for path in made)
    export_dataset(dataset, tmp_path / "out", ["train-csv"])
    back = read_train_csv(tmp_path / "out" / "train.csv")
    assert [image.file_name for image in back.images] == names
