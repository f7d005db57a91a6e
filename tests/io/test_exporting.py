"""Every export format: exact to the pixel, accepted by the format's own reader."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from pycocotools.coco import COCO
from typer.testing import CliRunner

from napari_sartorius.cli.main import app
from napari_sartorius.core.categories import Category
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.progress import Monitor
from napari_sartorius.io.coco import CocoDataset, CocoImage, read_coco, read_coco_results
from napari_sartorius.io.dsb import read_dsb
from napari_sartorius.io.exporting import EXPORT_FORMATS, export_dataset
from napari_sartorius.io.geojson import read_geojson
from napari_sartorius.io.imagej_rois import read_rois
from napari_sartorius.io.kaggle import read_train_csv
from napari_sartorius.io.project import LabelEdit, create_project
from napari_sartorius.io.submission import read_submission

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIZE = (40, 50)


class Listener(Monitor):
    def __init__(self) -> None:
        self.notices: list[str] = []
        self.fractions: list[float] = []

    def notice(self, message: str) -> None:
        self.notices.append(message)

    def progress(self, stage: str, fraction: float) -> None:
        self.fractions.append(fraction)


@pytest.fixture
def dataset(tmp_path: Path) -> CocoDataset:
    """Two images: two overlapping cells and a ring; nothing."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    full = np.zeros((3, *SIZE), bool)
    full[0] = np.hypot(y - 12, x - 12) < 9
    full[1] = np.hypot(y - 15, x - 20) < 9
    radius = np.hypot(y - 28, x - 36)
    full[2] = (radius < 10) & (radius > 5)
    for name in ("a", "b"):
        Image.fromarray(np.full(SIZE, 99, np.uint8)).save(tmp_path / f"{name}.png")
    kinds = [Category(1, "neuron"), Category(4, "glia")]
    cells = Instances.from_masks(
        CropMasks.from_full(full), np.array([0.9, 0.8, 0.7], np.float32), [0, 1, 0]
    )
    images = [
        CocoImage(1, "a.png", SIZE[1], SIZE[0], {"pixel_size_um": [0.5, 0.5], "split": "val"}),
        CocoImage(2, "b.png", SIZE[1], SIZE[0]),
    ]
    found = {1: cells, 2: Instances.empty(SIZE)}
    return CocoDataset(images, kinds, found, {}, tmp_path)


def same(one: CropMasks, other: CropMasks) -> None:
    assert len(one) == len(other)
    for i in range(len(one)):
        np.testing.assert_array_equal(one.full(i), other.full(i))


def test_all_formats_at_once(dataset: CocoDataset, tmp_path: Path) -> None:
    pytest.importorskip("zarr", reason="zarr is optional")
    out, listener = tmp_path / "out", Listener()
    written = export_dataset(dataset, out, EXPORT_FORMATS, listener)
    assert sorted(p.name for p in written) == sorted(p.name for p in out.iterdir())
    assert all(path.exists() for path in written)
    assert listener.fractions == sorted(listener.fractions)
    assert listener.fractions[-1] == 1
    assert len(listener.notices) == 1
    assert listener.notices[0].startswith("1 cell overlaps")
    masks = dataset.instances[1].masks

    for name in ("annotations.json", "annotations_polygons.json", "livecell.json"):
        again = read_coco(out / name)
        same(again.instances[1].masks, masks)
        assert again.category_names == ["neuron", "glia"]
    same(read_coco_results(out / "results.json", dataset).instances[1].masks, masks)
    same(read_train_csv(out / "train.csv").instances["a"].masks, masks)
    same(read_geojson(out / "a.geojson", SIZE)[0].masks, masks)
    same(read_rois(out / "a_rois.zip", SIZE)[0].masks, masks)
    same(next(iter(read_dsb(out / "dsb").instances.values())).masks, masks)
    flat = masks.remove_overlap()
    sizes = {"a": SIZE, "b": SIZE}
    same(read_submission(out / "submission.csv", sizes)["a"].masks, flat)
    np.testing.assert_array_equal(tifffile.imread(out / "a_labels.tif"), masks.to_labels())
    assert (out / "a_objects.csv").read_text().count("\n") == 4


def test_polygons_are_what_the_coco_tools_fill(dataset: CocoDataset, tmp_path: Path) -> None:
    export_dataset(dataset, tmp_path / "out", ["coco-polygons"])
    path = tmp_path / "out" / "annotations_polygons.json"
    records = json.loads(path.read_text())["annotations"]
    assert [type(record["segmentation"]) for record in records] == [list, list, dict]
    theirs = COCO(str(path))
    for i, record in enumerate(theirs.loadAnns(theirs.getAnnIds())):
        mask = theirs.annToMask(record).astype(bool)
        np.testing.assert_array_equal(mask, dataset.instances[1].masks.full(i))


def test_ten_rounds_of_polygons_move_no_pixel(dataset: CocoDataset, tmp_path: Path) -> None:
    now = dataset
    for n in range(10):
        export_dataset(now, tmp_path / str(n), ["coco-polygons"])
        now = read_coco(tmp_path / str(n) / "annotations_polygons.json")
    same(now.instances[1].masks, dataset.instances[1].masks)


def _submission(out: Path, dataset: CocoDataset) -> CocoDataset:
    found = read_submission(out / "submission.csv", {"a": SIZE, "b": SIZE})
    kinds = np.zeros(len(found["a"].masks), np.int64)
    cells = Instances.from_masks(found["a"].masks, np.ones(len(kinds), np.float32), kinds)
    return replace(dataset, instances={1: cells, 2: Instances.empty(SIZE)})


def _label_tiff(out: Path, dataset: CocoDataset) -> CocoDataset:
    masks, _ = CropMasks.from_labels(tifffile.imread(out / "a_labels.tif"))
    cells = Instances.from_masks(masks, np.ones(len(masks), np.float32), np.zeros(len(masks), int))
    return replace(dataset, instances={1: cells, 2: Instances.empty(SIZE)})


@pytest.mark.parametrize(
    ("form", "read"),
    [
        ("coco", lambda out, _: read_coco(out / "annotations.json")),
        ("livecell", lambda out, _: read_coco(out / "livecell.json")),
        ("results", lambda out, data: read_coco_results(out / "results.json", data)),
        ("train-csv", lambda out, _: read_train_csv(out / "train.csv")),
        ("dsb", lambda out, _: read_dsb(out / "dsb")),
        ("submission", _submission),
        ("labels", _label_tiff),
    ],
)
def test_ten_rounds_of_every_format_leave_every_pixel(
    dataset: CocoDataset, tmp_path: Path, form: str, read: Callable[..., CocoDataset]
) -> None:
    now = dataset
    for n in range(10):
        export_dataset(now, tmp_path / str(n), [form])
        now = read(tmp_path / str(n), now)
    (masks,) = (one.masks for one in now.instances.values() if len(one))
    before = dataset.instances[1].masks
    # what overlaps cannot be held by one label, or one submission, per pixel
    same(masks, before.remove_overlap() if form in ("submission", "labels") else before)


def test_images_of_one_name_get_files_of_their_own(dataset: CocoDataset, tmp_path: Path) -> None:
    dataset.images = [
        CocoImage(n, name, SIZE[1], SIZE[0], extra)
        for n, (name, extra) in enumerate(
            [("x/a.png", {}), ("y/a.png", {}), ("s.tif", {"plane": [0]}), ("s.tif", {"plane": [1]})]
        )
    ]
    dataset.instances = dict.fromkeys(range(4), dataset.instances[1])
    written = export_dataset(dataset, tmp_path / "out", ["geojson"])
    assert [path.stem for path in written] == ["a", "a_2", "s_0", "s_1"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "^no export format is named: choose among coco, "),
        (["coco", "word"], "^there is no export format 'word': choose among coco, "),
        (["doc", "word"], "^there is no export format 'doc' or 'word': "),
    ],
)
def test_unknown_formats_are_one_sentence(
    dataset: CocoDataset, tmp_path: Path, names: list[str], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        export_dataset(dataset, tmp_path / "out", names)
    assert not (tmp_path / "out").exists()


def test_a_project_on_the_command_line_with_edits_that_are_not_saved(tmp_path: Path) -> None:
    Image.fromarray(np.full(SIZE, 99, np.uint8)).save(tmp_path / "a.png")
    project = create_project(tmp_path / "work", ["neuron"])
    project.add_files([tmp_path / "a.png"])
    edit = LabelEdit(1, (3, 4, 8, 9), np.full((5, 5), 2, np.uint32), {2: {"category": "neuron"}})
    project.record(edit)
    before = (tmp_path / "work" / "annotations.json").read_bytes()

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["export", str(tmp_path / "work"), *arguments])

    done = run("-o", str(tmp_path / "out"), "--format", "coco, rois")
    assert done.exit_code == 0, done.output
    assert "1 object of 1 image:" in done.output
    assert read_coco(tmp_path / "out" / "annotations.json").instances[1].masks.area() == [25]
    # somebody has it open, who goes on undisturbed
    assert (tmp_path / "work" / "annotations.json").read_bytes() == before
    project.close()
    done = run("-o", str(tmp_path / "out"), "--format", "huh")
    assert done.exit_code == 1
    assert "choose among" in done.output
