"""Folders of pictures and tables: all of their faults at once in the check, none in a training."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PIL import Image

from annotated_discs import SIDE, dataset_of_masks, discs, write_picture
from napari_sartorius.cli.data_check import check
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor
from napari_sartorius.engine.train_jobs import FineTuneJob
from napari_sartorius.io.coco import read_coco
from napari_sartorius.io.dsb import write_dsb
from napari_sartorius.io.faults import cause_of
from napari_sartorius.io.kaggle import write_train_csv
from napari_sartorius.io.sources import read_dataset
from napari_sartorius.training.doctor.before_training import examine
from napari_sartorius.training.doctor.check import check_dataset, read_for_check

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.training.doctor.finding import DataReport


class Listener(Monitor):
    def __init__(self) -> None:
        super().__init__()
        self.notices: list[str] = []

    def notice(self, message: str) -> None:
        self.notices.append(message)


def _report(source: Path) -> DataReport:
    dataset, faults = read_for_check(source)
    return check_dataset(dataset, faults=faults)


def _found(report: DataReport) -> set[tuple[str, str, str | None]]:
    return {(one.kind, one.severity, one.image) for one in report.findings}


def _fixed(source: Path, out: Path) -> DataReport:
    """What is found in the repaired copy that ``data check --fix`` writes."""
    try:
        check(source, fix=out)
    except Exception as error:
        assert type(error).__name__ == "Exit"  # it found errors, and went on
    return check_dataset(read_coco(out))


def _pairs(folder: Path, count: int = 4) -> Path:
    folder.mkdir()
    labels = dataset_of_masks(folder, [discs()]).instances[1].masks.to_labels()
    for n in range(count):
        write_picture(folder / f"{n}.png", n)
        tifffile.imwrite(folder / f"{n}_labels.tif", labels)
    return folder


def _dsb(folder: Path, *, flat: bool = False) -> Path:
    """Four samples of six masks; `flat`: in one folder of images and one of masks."""
    truth = folder.with_name("truth")
    truth.mkdir()
    write_dsb(folder, dataset_of_masks(truth, [discs()] * 4))
    if flat:
        (folder / "images").mkdir()
        (folder / "masks").mkdir()
        for n in range(4):
            sample = folder / str(n)
            (sample / "images" / f"{n}.png").rename(folder / "images" / f"{n}.png")
            (sample / "masks").rename(folder / "masks" / str(n))
            (sample / "images").rmdir()
            sample.rmdir()
    return folder


def _table(folder: Path) -> Path:
    """``train.csv`` of three images with six cells each, the images in ``train/``."""
    (folder / "train").mkdir(parents=True)
    dataset = dataset_of_masks(folder / "train", [discs()] * 3)
    write_train_csv(folder / "train.csv", dataset)
    return folder / "train.csv"


@pytest.mark.parametrize("apart", [False, True])
def test_pairs_that_lack_one_side_are_named(tmp_path: Path, apart: bool) -> None:
    folder = _pairs(tmp_path / "pairs", 6)
    (folder / "1.png").unlink()
    (folder / "2_labels.tif").unlink()
    image, labels = "2.png", "1_labels.tif"
    if apart:
        for name in ("images", "labels"):
            (folder / name).mkdir()
        for path in folder.glob("*.*"):
            path.rename(folder / ("labels" if path.suffix == ".tif" else "images") / path.name)
        image, labels = f"images/{image}", f"labels/{labels}"
    report = _report(folder)
    assert report.images == 4
    assert _found(report) == {
        ("image without labels", "warning", image),
        ("labels without image", "error", labels),
    }
    sentences = [one.sentence for one in report.findings]
    assert sentences == [
        f"{labels}: holds labels of an image that is missing; put the image where it belongs, or "
        "remove the labels.",
        f"{image}: has no label image; it is left out: label its cells, or move it elsewhere.",
    ]
    with pytest.raises(UserError, match=rf"{labels}: holds labels of .*; put the image where"):
        examine(read_dataset(folder), Listener())
    (folder / labels).unlink()
    listener = Listener()
    examine(read_dataset(folder), listener)
    assert listener.notices == [sentences[1].rstrip(".")]


def test_what_is_drawn_or_hidden_beside_an_image_is_no_image(tmp_path: Path) -> None:
    folder = _pairs(tmp_path / "pairs")
    write_picture(folder / "1_overlay.png", 8)
    (folder / "._1.png").write_bytes(b"of another system")
    (folder / "._1_labels.tif").write_bytes(b"of another system")
    assert _report(folder).lines() == ["4 images with 24 objects: all well"]


def test_a_training_from_the_dock_tells_what_its_folder_lacks(tmp_path: Path) -> None:
    folder = _pairs(tmp_path / "pairs")
    (folder / "1.png").unlink()
    (tmp_path / "run").mkdir()
    job = FineTuneJob(data=folder, folder=tmp_path / "run", model="nuclei", name="new")
    with pytest.raises(UserError, match=r"1_labels\.tif: holds labels of an image"):
        examine(job.frozen_dataset(), Listener())


@pytest.mark.parametrize("flat", [False, True])
def test_masks_without_a_picture_and_pictures_without_masks(tmp_path: Path, flat: bool) -> None:
    folder = _dsb(tmp_path / "dsb", flat=flat)
    picture, masks = "1/images/1.png", "1/masks"
    bare, bare_masks = "2/images/2.png", "2/masks"
    if flat:
        picture, masks, bare, bare_masks = "images/1.png", "masks/1", "images/2.png", "masks/2"
    (folder / picture).unlink()
    for path in (folder / bare_masks).iterdir():
        path.unlink()
    (folder / bare_masks).rmdir()
    report = _report(folder)
    assert report.images == 2
    assert _found(report) == {
        ("labels without image", "error", masks),
        ("image without labels", "warning", bare),
    }
    with pytest.raises(UserError, match=f"{masks}: holds the masks of an image that is missing; "):
        examine(read_dataset(folder), Listener())


def test_a_picture_whose_folder_is_gone_is_missed(tmp_path: Path) -> None:
    folder = _dsb(tmp_path / "dsb")
    (folder / "3/images/3.png").unlink()
    (folder / "3/images").rmdir()
    assert _found(_report(folder)) == {("labels without image", "error", "3/masks")}


def test_all_faults_of_pairs_at_once(tmp_path: Path) -> None:
    folder = _pairs(tmp_path / "pairs", 6)
    (folder / "0.png").write_bytes(b"no image")
    (folder / "1_labels.tif").write_bytes((folder / "1_labels.tif").read_bytes()[:60])
    tifffile.imwrite(folder / "2_labels.tif", np.ones((9, 9), np.uint8))
    tifffile.imwrite(folder / "3_labels.tif", np.ones((3, SIDE, SIDE), np.uint8))
    report = _report(folder)
    assert _found(report) == {
        ("unreadable image", "error", "0.png"),
        ("unusable labels", "error", "1.png"),
        ("unusable labels", "error", "2.png"),
        ("unusable labels", "error", "3.png"),
    }
    (text,) = (one.sentence for one in report.findings if one.image == "2.png")
    assert text == (
        "2.png: its label image 2_labels.tif cannot be used (is 9 x 9 pixels but its image is 64 x "
        "64); export the labels of this image again; --fix leaves the image out."
    )
    for one in report.findings:
        assert str(folder) not in one.sentence
    with pytest.raises(UserError, match=r"0\.png is not an image .*: export the image again"):
        read_dataset(folder)
    again = _fixed(folder, tmp_path / "fixed.json")
    assert (again.images, again.objects, again.findings) == (2, 12, [])


def test_pairs_of_which_none_can_be_read_are_still_a_report(tmp_path: Path) -> None:
    folder = _pairs(tmp_path / "pairs", 2)
    for n in range(2):
        (folder / f"{n}.png").write_bytes(b"no image")
    report = _report(folder)
    assert [one.image for one in report.findings if one.image] == ["0.png", "1.png"]
    assert report.images == 0


def test_all_faults_of_masks_at_once(tmp_path: Path) -> None:
    folder = _dsb(tmp_path / "dsb")
    (folder / "0/masks/0_0002.png").write_bytes(b"no mask")
    (folder / "0/masks/0_0003.png").write_bytes(b"")
    Image.fromarray(np.ones((20, 30), np.uint8)).save(folder / "1/masks/1_0001.png")
    (folder / "2/images/2.png").write_bytes(b"no image")
    report = _report(folder)
    assert _found(report) == {
        ("unreadable mask", "error", "0/images/0.png"),
        ("other image", "error", "1/images/1.png"),
        ("unreadable image", "error", "2/images/2.png"),
    }
    named = {one.annotations for one in report.findings}
    assert named == {("0_0002.png",), ("0_0003.png",), ("1_0001.png",), ()}
    (empty,) = (one for one in report.findings if one.annotations == ("0_0003.png",))
    assert empty.sentence == (
        "0/images/0.png: mask 0_0003.png is empty (0 bytes); export the mask again, or let --fix "
        "drop it."
    )
    with pytest.raises(UserError, match=r"0_0002\.png is not an image"):
        read_dataset(folder)
    again = _fixed(folder, tmp_path / "fixed.json")
    assert (again.images, again.objects, again.findings) == (3, 4 + 5 + 6, [])


def test_all_faults_of_a_table_at_once(tmp_path: Path) -> None:
    path = _table(tmp_path / "kaggle")
    lines = path.read_text().splitlines()
    fields = [line.split(",") for line in lines]
    assert len(fields) == 1 + 18
    fields[2][1] = f"{SIDE * SIDE - 2} 9"  # leaves the first image
    fields[5][1] = "7 3 4"  # no pairs
    fields[8][1] = "garbage"
    for row in fields[13:]:
        row[2] = "0"
    path.write_text("\n".join(",".join(row) for row in fields) + "\n")
    report = _report(path)
    assert _found(report) == {("damaged", "error", f"train/{n}.png") for n in range(3)}
    named = {(one.image, one.annotations) for one in report.findings}
    assert named == {
        ("train/0.png", (3,)),
        ("train/0.png", (6,)),
        ("train/1.png", (9,)),
        ("train/2.png", ()),
    }
    texts = " ".join(one.text for one in report.findings)
    assert "line 3 has a code that cannot be read (a run lies outside the image, which" in texts
    assert "has no proper size in train.csv (0 x 64 pixels)" in texts
    with pytest.raises(UserError, match=r"train\.csv: line 3, image 0: .*: correct or remove the"):
        read_dataset(path)
    again = _fixed(path, tmp_path / "fixed.json")
    assert (again.images, again.objects, again.findings) == (2, 6 - 2 + 6 - 1, [])


def test_an_unreadable_image_is_told_with_each_part_once(tmp_path: Path) -> None:
    dataset = dataset_of_masks(tmp_path, [discs()] * 3)
    (tmp_path / "1.png").write_bytes(b"no image")
    pixels = (tmp_path / "2.png").read_bytes()
    (tmp_path / "2.png").write_bytes(pixels[: len(pixels) // 2])
    first, second = (one.sentence for one in check_dataset(dataset).findings)
    assert first == (
        "1.png: is not an image this program can read, expected PNG, JPEG or TIFF content; export "
        "the image again, or remove it from the data."
    )
    assert re.fullmatch(
        r"2\.png: is damaged or cut off and cannot be read as PNG \(.*\); export the image again, "
        r"or remove it from the data\.",
        second,
    )


@pytest.mark.parametrize(
    ("rest", "cause"),
    [
        (" is empty (0 bytes): copy or export it again.", "is empty (0 bytes)"),
        (" is damaged (png: no end): copy it again.", "is damaged (png: no end)"),
        (" holds bool values (odd: yes), expected numbers.", "holds bool values (odd: yes), expec"),
        (": values are not labels, from 0 up: choose another.", "values are not labels, from 0 up"),
        (" is 9 x 9; export it again", "is 9 x 9"),
    ],
)
def test_causes_are_told_from_remedies(tmp_path: Path, rest: str, cause: str) -> None:
    path = tmp_path / "a: b.png"
    assert cause_of(UserError(f"{path}{rest}"), path).startswith(cause)
    assert cause_of(UserError(f"{path}{rest}"), path).count(":") == cause.count(":")
