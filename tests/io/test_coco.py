"""COCO files: what is read is what is written, and what is wrong is named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from napari_sartorius.core.categories import categories_from_names
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.io.coco import (
    CocoDataset,
    CocoImage,
    read_coco,
    read_coco_results,
    write_coco,
    write_coco_results,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# numpy complains about how pycocotools hands over its arrays.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

_SIZE = (40, 60)


def _dataset() -> CocoDataset:
    stack = np.zeros((3, *_SIZE), bool)
    stack[0, 5:15, 10:30] = True
    stack[0, 8:12, 15:25] = False  # hollow
    stack[1, 5:15, 10:30] = stack[0, 5:15, 10:30]  # the same again
    stack[2, 30:, 50:] = True
    instances = Instances.from_masks(
        CropMasks.from_full(stack), scores=[0.9, 0.25, 1.0], categories=[1, 1, 0]
    )
    instances.columns["agreement"] = np.array([0.5, 1.0, 0.75], np.float32)
    instances.columns["source"] = np.array(["model", "model", "user"])
    return CocoDataset(
        images=[
            CocoImage(7, "images/a.png", 60, 40, {"split": "val"}),
            CocoImage(9, "images/empty.png", 60, 40, {"split": "train"}),
        ],
        categories=categories_from_names(["astro", "cort"]),
        instances={7: instances, 9: Instances.empty(_SIZE)},
        info={"description": "made up", "config": {"min_score": np.float32(0.5)}},
    )


def test_round_trip_keeps_everything(tmp_path: Path) -> None:
    dataset = _dataset()
    write_coco(tmp_path / "a.json", dataset)
    again = read_coco(tmp_path / "a.json")
    assert again.images == dataset.images
    assert again.categories == dataset.categories
    assert again.info["config"] == {"min_score": 0.5}
    assert again.info["software"].startswith("napari-sartorius ")
    assert again.image_path(again.images[0]) == tmp_path / "images" / "a.png"
    old, new = dataset.instances[7], again.instances[7]
    for i in range(3):
        np.testing.assert_array_equal(new.masks.full(i), old.masks.full(i))
    np.testing.assert_array_equal(new.boxes, old.boxes)
    np.testing.assert_array_equal(new.scores, old.scores)
    np.testing.assert_array_equal(new.categories, old.categories)
    assert new.columns["annotation_id"].tolist() == [1, 2, 3]
    np.testing.assert_allclose(new.columns["agreement"], old.columns["agreement"])
    assert new.columns["source"].tolist() == ["model", "model", "user"]
    assert len(again.instances[9]) == 0
    write_coco(tmp_path / "b.json", again)
    assert (tmp_path / "a.json").read_text() == (tmp_path / "b.json").read_text()


def test_pycocotools_reads_what_we_write(tmp_path: Path) -> None:
    dataset = _dataset()
    write_coco(tmp_path / "a.json", dataset)
    coco = COCO(str(tmp_path / "a.json"))
    assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == ["astro", "cort"]
    for i, record in enumerate(coco.loadAnns(coco.getAnnIds(imgIds=[7]))):
        np.testing.assert_array_equal(
            coco.annToMask(record), dataset.instances[7].masks.full(i).astype(np.uint8)
        )
        assert record["area"] == coco_mask.area(record["segmentation"])
        assert record["bbox"] == coco_mask.toBbox(record["segmentation"]).tolist()
    write_coco_results(tmp_path / "results.json", dataset)
    results = coco.loadRes(str(tmp_path / "results.json"))
    assert [r["score"] for r in results.loadAnns(results.getAnnIds())] == [0.9, 0.25, 1.0]


def test_results_are_read_against_their_dataset(tmp_path: Path) -> None:
    dataset = _dataset()
    write_coco_results(tmp_path / "results.json", dataset)
    again = read_coco_results(tmp_path / "results.json", dataset)
    np.testing.assert_array_equal(again.instances[7].scores, dataset.instances[7].scores)
    np.testing.assert_array_equal(again.instances[7].masks.area(), [160, 160, 100])
    with pytest.raises(UserError, match="results list, which does not describe its images"):
        read_coco(tmp_path / "results.json")


def test_split_selects_images() -> None:
    val = _dataset().split("val")
    assert [image.id for image in val.images] == [7]
    assert list(val.instances) == [7]
    assert val.object_count == 3


def _plain() -> dict[str, Any]:
    return {
        "images": [{"id": 1, "file_name": "a.png", "width": 60, "height": 40}],
        "categories": [{"id": 4, "name": "cell"}],
        "annotations": [
            {
                "id": 11,
                "image_id": 1,
                "category_id": 4,
                "segmentation": [[2, 2, 12, 2, 12, 12, 2, 12]],
                "bbox": [2, 2, 10, 10],
            }
        ],
    }


def test_annotations_may_be_a_dict(tmp_path: Path) -> None:
    content = _plain()
    content["annotations"] = {"0": content["annotations"][0]}
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert read_coco(tmp_path / "a.json").instances[1].masks.area().tolist() == [100]


def test_ids_may_be_names_and_boxes_may_be_missing(tmp_path: Path) -> None:
    content = _plain()
    content["images"][0]["id"] = content["annotations"][0]["image_id"] = "0030fd0e6378"
    del content["annotations"][0]["bbox"], content["annotations"][0]["id"]
    (tmp_path / "a.json").write_text(json.dumps(content))
    instances = read_coco(tmp_path / "a.json").instances["0030fd0e6378"]
    assert instances.boxes.tolist() == [[2, 2, 12, 12]]
    assert instances.scores.tolist() == [1.0]
    assert instances.categories.tolist() == [0]


def _spoil(content: dict[str, Any], kind: str) -> None:
    annotation = content["annotations"][0]
    code = {"size": [40, 60], "counts": [0, 10, 2390]}
    changes: dict[str, Callable[[], object]] = {
        "dangling image": lambda: annotation.update(image_id=99),
        "unhashable image": lambda: annotation.update(image_id=[1]),
        "dangling category": lambda: annotation.update(category_id=99),
        "rle too short": lambda: annotation.update(segmentation=code | {"counts": [0, 10]}),
        "rle too long": lambda: annotation.update(segmentation=code | {"counts": [0, 2401]}),
        "rle damaged": lambda: annotation.update(segmentation=code | {"counts": "Ph3 ~~"}),
        "rle of another size": lambda: annotation.update(segmentation=code | {"size": [60, 40]}),
        "negative width": lambda: annotation.update(bbox=[2, 2, -10, 10]),
        "negative place": lambda: annotation.update(bbox=[-20, 2, 30, 10]),
        "box of three": lambda: annotation.update(bbox=[2, 2, 10]),
        "box outside": lambda: annotation.update(bbox=[50, 2, 30, 10]),
        "box of NaN": lambda: annotation.update(bbox=[float("nan"), 2, 30, 10]),
        "no segmentation": lambda: annotation.pop("segmentation"),
        "no image id": lambda: annotation.pop("image_id"),
        "score is text": lambda: annotation.update(score="high"),
        "no width": lambda: content["images"][0].pop("width"),
        "zero width": lambda: content["images"][0].update(width=0),
        "two images of one id": lambda: content["images"].append(content["images"][0]),
        "no images": lambda: content.pop("images"),
        "no categories": lambda: content.pop("categories"),
        "annotations are a number": lambda: content.update(annotations=3),
        "category without a name": lambda: content["categories"][0].pop("name"),
    }
    changes[kind]()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("dangling image", "annotation 11 points to image_id 99"),
        ("unhashable image", r"annotation 11 points to image_id \[1\]"),
        ("dangling category", "annotation 11 points to category_id 99"),
        ("rle too short", "annotation 11 has a damaged run-length code"),
        ("rle too long", "annotation 11 has a damaged run-length code"),
        ("rle damaged", "annotation 11 has a damaged run-length code"),
        ("rle of another size", "annotation 11 has a damaged run-length code"),
        ("negative width", "annotation 11 has the box"),
        ("negative place", "annotation 11 has the box"),
        ("box of three", "annotation 11 has the box"),
        ("box outside", "annotation 11 has the box"),
        ("box of NaN", "annotation 11 has the box"),
        ("no segmentation", "annotation 11 has no outline"),
        ("no image id", "annotation 11 lacks 'image_id'"),
        ("score is text", "score is not a number"),
        ("no width", "image 1 lacks 'width'"),
        ("zero width", "image 1 has the size 0 x 40"),
        ("two images of one id", "two image records have the id 1"),
        ("no images", "lacks 'images'"),
        ("no categories", "lacks 'categories'"),
        ("annotations are a number", "'annotations' is not a list of records"),
        ("category without a name", "category 4 lacks 'name'"),
    ],
)
def test_a_wrong_record_is_named(tmp_path: Path, kind: str, words: str) -> None:
    content = _plain()
    good = json.loads(json.dumps(content["annotations"][0])) | {"id": 5}
    _spoil(content, kind)
    if isinstance(content["annotations"], list):
        content["annotations"].insert(0, good)  # the message must find the second one
    (tmp_path / "a.json").write_text(json.dumps(content))
    _assert_one_sentence(tmp_path / "a.json", words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ('{"images": [', "not valid JSON"),
        ("not json at all", "not valid JSON"),
        ("3", "not a COCO dataset"),
        ('{"a": 1}', "not a COCO dataset"),
        ("[" * 100_000, "not valid JSON"),
        ("\ufffd\x00\xff", "not valid JSON"),
    ],
)
def test_what_is_no_coco_file(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.json").write_bytes(text.encode("latin-1", "replace"))
    _assert_one_sentence(tmp_path / "a.json", words)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    _assert_one_sentence(tmp_path / "nowhere.json", "does not exist")
    _assert_one_sentence(tmp_path, "cannot be opened")


def _assert_one_sentence(path: Path, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        read_coco(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert message.endswith(".")


@pytest.mark.parametrize("name", ["livecell", "dsb2018"])
def test_real_annotations_survive(shared_data: Path, tmp_path: Path, name: str) -> None:
    path = shared_data / name / "annotations.json"
    dataset = read_coco(path)
    write_coco(tmp_path / "a.json", dataset)
    before = json.loads(path.read_text())["annotations"]
    after = json.loads((tmp_path / "a.json").read_text())["annotations"]
    by_id = {record["id"]: record for record in after}
    assert len(before) == len(after) == len(by_id) > 1000
    for record in before:
        assert record.items() <= by_id[record["id"]].items()


def test_doubled_and_hollow_masks_stay(shared_data: Path) -> None:
    dataset = read_coco(shared_data / "sartorius" / "annotations.json")
    assert dataset.object_count == 31159
    assert len(dataset.split("val")) == 76
    doubled = {i.stem: i for i in dataset.images if i.extra.get("duplicate_pairs")}
    assert {"ce5d0de993bd", "f653c5eec0f8"} <= set(doubled)
    masks = dataset.instances[doubled["f653c5eec0f8"].id].masks
    assert (np.triu(masks.iou(masks), k=1) > 0.9).sum() == 9
