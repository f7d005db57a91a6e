"""Results lists say which images they are about, and are never taken for others."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pycocotools.coco import COCO

from napari_sartorius.core.categories import Category
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.progress import Monitor
from napari_sartorius.io.coco import (
    CocoDataset,
    CocoImage,
    read_coco_results,
    write_coco,
    write_coco_results,
)
from napari_sartorius.io.importing import read_annotations

if TYPE_CHECKING:
    from pathlib import Path

SIZE = (20, 30)


class Listener(Monitor):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, message: str) -> None:
        self.notices.append(message)


def cells(*sides: int, category: int = 0) -> Instances:
    """Squares of these sides, which tell them apart."""
    full = np.zeros((len(sides), *SIZE), np.bool_)
    for mask, side in zip(full, sides, strict=True):
        mask[:side, :side] = True
    return Instances.from_masks(
        CropMasks.from_full(full), categories=np.full(len(sides), category, np.int64)
    )


def dataset(
    objects: dict[str, Instances],
    kinds: tuple[str, ...] = ("cell",),
    first: int = 1,
    planes: bool = False,
) -> CocoDataset:
    """Images numbered from `first`; with `planes` each name belongs to a stack: ``a.tif:2``."""
    images = []
    for number, name in enumerate(objects, start=first):
        file, _, plane = name.partition(":")
        extra = {"plane": [int(plane)]} if planes else {}
        images.append(CocoImage(number, file, SIZE[1], SIZE[0], extra))
    categories = [Category(n, kind, "#e69f00") for n, kind in enumerate(kinds, start=1)]
    return CocoDataset(images, categories, dict(enumerate(objects.values(), start=first)))


def areas(found: CocoDataset) -> dict[str, list[int]]:
    return {i.file_name: found.instances[i.id].masks.area().tolist() for i in found.images}


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """Results for b.png and c.png, which it numbers 1 and 2."""
    path = tmp_path / "results.json"
    write_coco_results(path, dataset({"b.png": cells(3), "c.png": cells(4, 5)}))
    return path


def test_images_are_found_by_name_not_by_number(listed: Path) -> None:
    truth = dataset({f"in/{name}.png": cells() for name in "abc"})
    found = read_coco_results(listed, truth)
    assert areas(found) == {"in/a.png": [], "in/b.png": [9], "in/c.png": [16, 25]}
    assert found.instances[2].columns.keys() == {"annotation_id"}


def test_pycocotools_takes_the_names_along(tmp_path: Path, listed: Path) -> None:
    write_coco(tmp_path / "truth.json", dataset({"b.png": cells(3), "c.png": cells(4, 5)}))
    loaded = COCO(str(tmp_path / "truth.json")).loadRes(str(listed))
    records = loaded.loadAnns(loaded.getAnnIds())
    assert [record["file_name"] for record in records] == ["b.png", "c.png", "c.png"]
    assert [record["category_name"] for record in records] == ["cell"] * 3


def test_planes_of_a_stack_stay_apart(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    objects = {"zs.tif:0": cells(3), "zs.tif:2": cells(4), "zs.tif:5": cells(5)}
    write_coco_results(path, dataset(objects, planes=True))
    truth = dataset({f"zs.tif:{n}": cells() for n in (5, 0, 2, 1)}, first=40, planes=True)
    found = read_coco_results(path, truth)
    assert [found.instances[i.id].masks.area().tolist() for i in found.images] == [
        [25],
        [9],
        [16],
        [],
    ]


def test_categories_are_found_by_name(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    found = dataset({"a.png": cells(3, category=1)}, kinds=("astro", "cort"))
    write_coco_results(path, found)
    truth = dataset({"a.png": cells()}, kinds=("Cort", "astro"))
    again = read_coco_results(path, truth)
    assert again.category_names == ["Cort", "astro"]
    assert again.instances[1].categories.tolist() == [0]
    other = read_coco_results(path, dataset({"a.png": cells()}, kinds=("nucleus", "cell")))
    assert other.category_names == ["cort"]


def test_other_images_are_left_out_and_told(listed: Path) -> None:
    listener = Listener()
    found = read_coco_results(listed, dataset({"c.tif": cells()}), listener)
    assert areas(found) == {"c.tif": [16, 25]}
    assert listener.notices == [
        "1 of 2 images of results.json is left out, such as b.png: the dataset that it is read "
        "against lacks them."
    ]
    with pytest.raises(UserError, match=r"results\.json is about other images, such as b\.png"):
        read_coco_results(listed, dataset({"x.png": cells()}))


def test_names_that_could_be_several(tmp_path: Path, listed: Path) -> None:
    truth = dataset({"one/b.png": cells(), "two/b.png": cells()})
    with pytest.raises(UserError, match=r"one/b\.png and two/b\.png of .* could both be b\.png"):
        read_coco_results(listed, truth)
    path = tmp_path / "r.json"
    write_coco_results(path, dataset({"b.jpg": cells(3), "b.png": cells(4)}))
    with pytest.raises(UserError, match=r"b\.tif could be b\.jpg and b\.png of r\.json"):
        read_coco_results(path, dataset({"b.tif": cells()}))


def without_names(path: Path, **changes: Any) -> None:
    records = json.loads(path.read_text())
    for record in records:
        del record["file_name"], record["category_name"]
        record.update(changes)
    path.write_text(json.dumps(records))


def test_lists_without_names_go_by_ids_that_must_be_known(listed: Path) -> None:
    without_names(listed)
    truth = dataset({"x.png": cells(), "y.png": cells()})
    assert areas(read_coco_results(listed, truth)) == {"x.png": [9], "y.png": [16, 25]}
    with pytest.raises(UserError, match=r"result 2 is about an image_id 2, which the dataset"):
        read_coco_results(listed, dataset({"x.png": cells()}))


@pytest.mark.parametrize("spell", [str, float])
def test_ids_may_be_spelt_otherwise(listed: Path, spell: Any) -> None:
    records = json.loads(listed.read_text())
    for record in records:
        del record["file_name"], record["category_name"]
        record |= {key: spell(record[key]) for key in ("image_id", "category_id")}
    listed.write_text(json.dumps(records))
    truth = dataset({"x.png": cells(), "y.png": cells()})
    assert areas(read_coco_results(listed, truth)) == {"x.png": [9], "y.png": [16, 25]}


@pytest.mark.parametrize("named", [True, False])
def test_sizes_must_agree(listed: Path, named: bool) -> None:
    if not named:
        without_names(listed)
    truth = dataset({"b.png": cells(), "c.png": cells()})
    truth.images[1] = replace(truth.images[1], width=40)
    truth.instances[2] = Instances.empty((20, 40))
    with pytest.raises(UserError, match=r"result 2 lies in an image of 30 x 20 .* c\.png is 40 x"):
        read_coco_results(listed, truth)


@pytest.mark.parametrize("missing", ["image_id", "category_id", "segmentation"])
def test_records_that_lack_something(listed: Path, missing: str) -> None:
    records = json.loads(listed.read_text())
    for record in records:
        del record[missing], record["file_name"], record["category_name"]
    listed.write_text(json.dumps(records))
    outline = missing == "segmentation"
    words = "has boxes but no outlines" if outline else f"annotation 1 lacks '{missing}'"
    with pytest.raises(UserError, match=words):
        read_coco_results(listed, dataset({"b.png": cells(), "c.png": cells()}))


def test_an_import_goes_by_names_too(listed: Path, tmp_path: Path) -> None:
    images = dataset({"a.png": cells(), "b.png": cells(), "c.png": cells()}).images
    found = read_annotations(listed, images, tmp_path)
    assert areas(found) == {"b.png": [9], "c.png": [16, 25]}
    assert found.category_names == ["cell"]
