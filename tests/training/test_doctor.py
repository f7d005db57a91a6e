"""The doctor: each fault is found with its image and annotation; clean data is left in peace."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from annotated_discs import SIDE, dataset_of_masks, disc, discs, write_picture
from napari_sartorius.core.categories import Category
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor
from napari_sartorius.io.coco import read_coco, write_coco
from napari_sartorius.training.doctor.before_training import examine
from napari_sartorius.training.doctor.check import check_dataset, read_for_check
from napari_sartorius.training.doctor.config import DoctorConfig
from napari_sartorius.training.doctor.fix import fix_dataset
from napari_sartorius.training.doctor.gallery import write_gallery

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sartorius.training.doctor.finding import DataReport, Finding


class Listener(Monitor):
    def __init__(self) -> None:
        super().__init__()
        self.notices: list[str] = []

    def notice(self, message: str) -> None:
        self.notices.append(message)


def _kinds(report: DataReport) -> set[str]:
    return {one.kind for one in report.findings}


def _one(report: DataReport, kind: str) -> Finding:
    (found,) = (one for one in report.findings if one.kind == kind)
    return found


def _ring(y: int, x: int) -> NDArray[np.bool_]:
    return disc(y, x, 9) & ~disc(y, x, 5)


def _striped(y: int, x: int) -> NDArray[np.bool_]:
    mask = disc(y, x, 10)
    mask[y - 9 : y + 10 : 3, x - 4 : x + 5] = False
    return mask


def test_clean_data_has_nothing(tmp_path: Path) -> None:
    marks = [{"split": side} for side in ("train", "train", "train", "val", "val")]
    dataset = dataset_of_masks(tmp_path, [discs()] * 5, marks)
    assert check_dataset(dataset).findings == []
    listener = Listener()
    examine(dataset, listener, model_diameter=12.0)
    assert listener.notices == []


def test_faulty_masks_are_named(tmp_path: Path) -> None:
    empty = np.zeros((SIDE, SIDE), bool)
    frames = [[disc(16, 16, 8), _ring(16, 48), _striped(46, 18), disc(16, 16, 8), empty], discs()]
    report = check_dataset(dataset_of_masks(tmp_path, frames))
    assert _kinds(report) == {"doubled", "hollow", "striped", "empty"}
    ids = {one.kind: one.annotations for one in report.findings}
    assert ids == {"doubled": (103,), "hollow": (101,), "striped": (102,), "empty": (104,)}
    assert {one.image for one in report.findings} == {"0.png"}
    assert _one(report, "hollow").sentence.startswith("0.png: 1 hollow mask (annotation 101, the")
    assert not report.has_errors
    loose = DoctorConfig(hollow_share=0.9, stripe_share=0.9, doubled_iou=1.0)
    assert _kinds(check_dataset(dataset_of_masks(tmp_path, frames), loose)) == {"empty"}


def test_a_small_hole_is_no_fault(tmp_path: Path) -> None:
    mask = disc(30, 30, 10)
    mask[30, 30] = False
    assert check_dataset(dataset_of_masks(tmp_path, [[mask], discs()])).findings == []


@pytest.mark.parametrize("kind", ["one", "foreground"])
def test_a_label_layer_that_is_no_labels_stops_training(tmp_path: Path, kind: str) -> None:
    spots = np.zeros((SIDE, SIDE), bool)
    spots[4::12, 4::12] = True
    mask = np.ones((SIDE, SIDE), bool) if kind == "one" else spots
    dataset = dataset_of_masks(tmp_path, [[mask], discs()])
    assert _one(check_dataset(dataset), "giant").severity == "error"
    with pytest.raises(UserError, match=r"0\.png: .*; use labels with a number per cell"):
        examine(dataset, Listener())


def test_faulty_files_are_named(tmp_path: Path) -> None:
    marks = [{"split": side} for side in ("train", "train", "val", "train", "val", "train", "val")]
    dataset = dataset_of_masks(tmp_path, [discs()] * 7, marks)
    (tmp_path / "0.png").unlink()
    (tmp_path / "1.png").write_bytes(b"no image")
    pixels = np.asarray(Image.open(tmp_path / "2.png"))
    Image.fromarray(pixels).save(tmp_path / "3.png", compress_level=0)  # other bytes, same pixels
    write_picture(tmp_path / "4.png", 9, SIDE // 2)
    Image.fromarray(pixels.astype(np.uint16) * 200).save(tmp_path / "5.png")
    report = check_dataset(dataset)
    images = {one.kind: one.image for one in report.findings}
    assert images["missing image"] == "0.png"
    assert images["unreadable image"] == "1.png"
    assert images["leak"] == "2.png"
    assert images["other size"] == "4.png"
    assert "6 uint8" not in _one(report, "mixed bit depths").text
    assert "1 uint16" in _one(report, "mixed bit depths").text
    assert {one.kind for one in report.of("error")} == {
        "missing image",
        "unreadable image",
        "other size",
    }
    with pytest.raises(UserError, match=r"0\.png does not exist"):
        examine(dataset, Listener())


def test_annotations_of_other_images_are_one_sentence(tmp_path: Path) -> None:
    dataset = dataset_of_masks(tmp_path, [discs()] * 3)
    for path in tmp_path.glob("*.png"):
        path.unlink()
    with pytest.raises(UserError, match="none of 3 images is there") as error:
        examine(dataset, Listener())
    assert "more" not in str(error.value)


def test_equal_files_are_told_before_training(tmp_path: Path) -> None:
    marks = [{"split": side} for side in ("train", "train", "val", "val")]
    dataset = dataset_of_masks(tmp_path, [discs()] * 4, marks)
    (tmp_path / "3.png").write_bytes((tmp_path / "0.png").read_bytes())
    listener = Listener()
    examine(dataset, listener)
    (notice,) = listener.notices
    assert "0.png: has the pixels of 3.png, in the splits train and val" in notice
    listener = Listener()
    examine(dataset, listener, sides=(None, None))  # it makes its own split
    assert listener.notices == []


def test_splits_and_groups(tmp_path: Path) -> None:
    marks = [
        {"split": "train", "group": "a"},
        {"split": "train", "group": "b"},
        {"split": "val", "group": "b"},
        *[{"split": "train", "group": "c"}] * 4,
    ]
    dataset = dataset_of_masks(tmp_path, [discs()] * 7, marks)
    report = check_dataset(dataset)
    assert _kinds(report) == {"one validation image", "group on both sides"}
    assert "group b is in several splits" in _one(report, "group on both sides").text
    assert "no validation image" in _kinds(check_dataset(dataset.split("train")))
    assert "no training image" in _kinds(check_dataset(dataset.split("val")))


def test_marks_of_fewer_than_five_images_do_not_count(tmp_path: Path) -> None:
    marks = [{"split": side, "group": "a"} for side in ("train", "train", "val", "test", "test")]
    dataset = dataset_of_masks(tmp_path, [discs()] * 5, marks, names=("a", "b", "c"))
    report = check_dataset(dataset)
    assert _kinds(report) == {"few marked"}
    assert _one(report, "few marked").sentence.startswith(
        "3 images are too few to be divided (2 train, 1 val, 2 test); a training ignores the marks"
    )
    listener = Listener()
    examine(dataset, listener)
    assert listener.notices == []  # the training's split says it


def test_categories_that_are_not_trained_on(tmp_path: Path) -> None:
    sides = ("train", "val", "train", "train", "val", "train")
    marks = [{"split": side} for side in sides]
    dataset = dataset_of_masks(tmp_path, [discs()] * 6, marks, names=("a", "b", "c"))
    found = _one(check_dataset(dataset), "untaught category")
    assert found.severity == "warning"
    assert found.sentence.startswith("no object of images marked 'train' is b, 12 others are; ")
    assert "unused category" not in _kinds(check_dataset(dataset))
    dataset.images[4].extra["split"] = "train"
    assert _kinds(check_dataset(dataset)) == {"one validation image"}


def test_categories(tmp_path: Path) -> None:
    dataset = dataset_of_masks(tmp_path, [discs(), discs(), []], names=("a", "a", "b"))
    report = check_dataset(dataset)
    assert _kinds(report) == {"same category name", "unused category", "no cells"}
    assert _one(report, "same category name").severity == "error"
    with pytest.raises(UserError, match="2 categories are called 'a'"):
        examine(dataset, Listener())
    dataset.instances = {n: one[:0] for n, one in dataset.instances.items()}
    assert "no objects" in _kinds(check_dataset(dataset))


def test_scales(tmp_path: Path) -> None:
    dataset = dataset_of_masks(tmp_path, [discs(6)] * 6 + [discs(2)])
    found = _one(check_dataset(dataset), "wrong scale")
    assert found.image == "6.png"
    assert "4 px wide, elsewhere 12 px" in found.text
    listener = Listener()
    examine(dataset.select(lambda image: image.id != 7), listener, model_diameter=60.0)
    assert "cells are 12 px wide, the model is for 60 px" in listener.notices[0]


def test_before_training_only_some_masks_are_measured(tmp_path: Path) -> None:
    frames = [[_ring(20, 20)], *[discs()] * 4, [_ring(20, 20)]]
    dataset = dataset_of_masks(tmp_path, frames)
    limits = DoctorConfig(quick_images=2)
    hollow = [o for o in check_dataset(dataset, limits, quick=True).findings if o.kind == "hollow"]
    assert [one.image for one in hollow] == ["0.png", "5.png"]  # spread from the first to the last


def _broken(folder: Path) -> tuple[Path, dict[str, Any]]:
    path = folder / "data.json"
    write_coco(path, dataset_of_masks(folder, [discs(), discs()]))
    content = json.loads(path.read_text())
    notes = content["annotations"]
    notes[0]["image_id"] = 77
    notes[1]["category_id"] = 9
    notes[2]["segmentation"] = []
    notes[3]["segmentation"]["size"] = [10, 10]
    notes[4]["bbox"] = [60, 60, 20, 20]
    notes[5]["segmentation"]["counts"] = "garbage!"
    notes[6]["segmentation"] = [[50.0, 50.0, 90.0, 50.0, 90.0, 60.0, 50.0, 60.0]]
    del notes[6]["bbox"]
    content["categories"].append({"id": 1, "name": "again"})
    path.write_text(json.dumps(content))
    return path, content


def test_records_that_cannot_be_read_are_each_named(tmp_path: Path) -> None:
    path, _ = _broken(tmp_path)
    with pytest.raises(UserError):
        read_coco(path)
    dataset, faults = read_for_check(path)
    found = {(one.kind, one.annotations) for one in faults}
    assert found == {
        ("doubled id", ()),
        ("dangling", (100,)),
        ("dangling", (101,)),
        ("no outline", (102,)),
        ("other image", (103,)),
        ("outside", (104,)),
        ("damaged", (105,)),
        ("outside", (200,)),
    }
    assert dataset.object_count == 12 - 5
    assert dataset.instances[2].masks.bounding_boxes()[0].tolist() == [50, 50, 64, 60]
    report = check_dataset(dataset, faults=faults)
    assert report.has_errors
    assert all(one.sentence.endswith(".") for one in report.findings)


def test_what_is_no_dataset_is_refused(tmp_path: Path) -> None:
    path, content = _broken(tmp_path)
    content["images"][0]["width"] = -1
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="expected positive numbers of pixels"):
        read_for_check(path)
    (tmp_path / "a.json").write_text('{"images": []}')
    with pytest.raises(UserError, match="not a COCO dataset"):
        read_for_check(tmp_path / "a.json")
    (tmp_path / "b.json").write_text("[1, 2]")
    with pytest.raises(UserError, match="results list"):
        read_for_check(tmp_path / "b.json")


def test_repairs(tmp_path: Path) -> None:
    empty = np.zeros((SIDE, SIDE), bool)
    frames = [[disc(16, 16, 8), _ring(16, 48), disc(16, 16, 8), empty], discs()]
    dataset = dataset_of_masks(tmp_path, frames, names=("a", "a"))
    fixed, lines = fix_dataset(dataset)
    assert lines == [
        "made one category of those called 'a'",
        "1 mask without pixels, dropped",
        "1 mask doubled, dropped",
    ]
    assert fixed.category_names == ["a"]
    assert fixed.instances[2].categories.tolist() == [0] * 6
    assert fixed.instances[1].columns["annotation_id"].tolist() == [100, 101]
    assert _kinds(check_dataset(fixed)) == {"hollow"}
    assert len(dataset.instances[1]) == 4

    filled, lines = fix_dataset(dataset, holes=True)
    assert "1 mask hollow, filled" in lines
    np.testing.assert_array_equal(filled.instances[1].masks.full(1), disc(16, 48, 9))
    assert check_dataset(filled).findings == []


def test_keep_masks_cut_and_fill(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    dataset = dataset_of_masks(data, [[_ring(20, 20), disc(48, 48, 8)], discs()])
    keep = np.full((SIDE, SIDE, 3), 255, np.uint8)
    keep[40:, :48, 0] = 0  # the red channel counts
    folder = tmp_path / "keep"
    folder.mkdir()
    Image.fromarray(keep).save(folder / "0.png")
    fixed, lines = fix_dataset(dataset, holes=True, keep_masks=folder)
    assert lines[:2] == ["1 mask cut to its keep-mask", "1 mask hollow, filled"]
    np.testing.assert_array_equal(fixed.instances[1].masks.full(0), disc(20, 20, 9))
    half = disc(48, 48, 8)
    half[40:, :48] = False
    np.testing.assert_array_equal(fixed.instances[1].masks.full(1), half)
    assert fixed.instances[2].masks.area().tolist() == dataset.instances[2].masks.area().tolist()
    Image.fromarray(keep[:9, :9]).save(folder / "0.png")
    with pytest.raises(UserError, match=r"0\.png is 9 x 9 pixels but its image is 64 x 64"):
        fix_dataset(dataset, keep_masks=folder)
    with pytest.raises(UserError, match="is no folder"):
        fix_dataset(dataset, keep_masks=tmp_path / "none")


def test_the_page_shows_the_worst(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    dataset = dataset_of_masks(data, [[_ring(20, 20)], [_ring(20, 20)] * 2, discs()])
    report = check_dataset(dataset)
    page = write_gallery(tmp_path / "report", dataset, report, worst=1)
    text = page.read_text()
    assert text.count("<img") == 2  # one hollow, one doubled
    assert '"hollow_1.png"' in text
    with Image.open(page.parent / "hollow_1.png") as picture:
        assert min(picture.size) > SIDE
    dataset.categories.append(Category(2, "<b>"))
    page = write_gallery(tmp_path / "report", dataset, check_dataset(dataset))
    assert "no object is &lt;b&gt;" in page.read_text()


def test_known_blemishes_of_real_annotations_are_found(shared_data: Path) -> None:
    whole = read_coco(shared_data / "sartorius" / "annotations.json")
    known = {"ce5d0de993bd", "f653c5eec0f8"}
    astro = [image.id for image in whole.images if image.extra["cell_type"] == "astro"][:30]
    some = whole.select(lambda image: image.stem in known or image.id in astro)
    report = check_dataset(some, quick=True)
    doubled = {one.image for one in report.findings if one.kind == "doubled"}
    assert {f"images/{name}.png" for name in known} <= doubled
    hollow = [one for one in report.findings if one.kind == "hollow"]
    assert sum(len(one.annotations) for one in hollow) > 50
    assert not report.has_errors
