"""Every exported form that holds masks comes back, into a COCO file and into a project."""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import replace
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
from napari_sartorius.core.progress import NoticeBook
from napari_sartorius.io.coco import CocoDataset, CocoImage, read_coco, write_coco
from napari_sartorius.io.exporting import export_dataset
from napari_sartorius.io.importing import images_in, needs_images, read_annotations
from napari_sartorius.io.project import create_project, open_project
from napari_sartorius.io.project.imported import import_objects

if TYPE_CHECKING:
    from pathlib import Path

SIZE = (40, 50)
FORMS = {
    "coco": "annotations.json",
    "coco-polygons": "annotations_polygons.json",
    "livecell": "livecell.json",
    "results": "results.json",
    "submission": "submission.csv",
    "train-csv": "train.csv",
    "dsb": "dsb",
    "labels": "field_1_labels.tif",
    "zarr": "field_1_labels.zarr",
    "rois": "field_1_rois.zip",
    "geojson": "field_1.geojson",
}
NO_KINDS = ("results", "submission", "dsb")


@pytest.fixture
def dataset(tmp_path: Path) -> CocoDataset:
    """One image with a disc of each kind and a ring, one without cells."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    full = np.zeros((3, *SIZE), bool)
    full[0] = np.hypot(y - 10, x - 10) < 8
    full[1] = np.hypot(y - 12, x - 32) < 9
    radius = np.hypot(y - 29, x - 20)
    full[2] = (radius < 9) & (radius > 4)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in ("field_1", "field_10"):
        Image.fromarray(np.full(SIZE, 99, np.uint8)).save(pictures / f"{name}.png")
    cells = Instances.from_masks(
        CropMasks.from_full(full), np.array([0.9, 0.8, 0.7], np.float32), [0, 1, 0]
    )
    images = [
        CocoImage(n, f"{name}.png", SIZE[1], SIZE[0])
        for n, name in ((1, "field_1"), (2, "field_10"))
    ]
    return CocoDataset(
        images,
        [Category(1, "neuron"), Category(2, "glia")],
        {1: cells, 2: Instances.empty(SIZE)},
        {},
        pictures,
    )


@pytest.fixture
def exported(dataset: CocoDataset, tmp_path: Path) -> Path:
    try:
        import zarr  # noqa: F401
    except ImportError:
        FORMS.pop("zarr", None)
    folder = tmp_path / "out"
    export_dataset(dataset, folder, [*FORMS, "table"])
    return folder


@pytest.mark.parametrize("form", list(FORMS))
def test_what_was_exported_comes_back(
    dataset: CocoDataset, exported: Path, tmp_path: Path, form: str
) -> None:
    if form not in FORMS:
        pytest.skip("zarr is not installed")
    known = images_in(tmp_path / "pictures")
    source = exported / FORMS[form]
    assert needs_images(source) == (
        form in ("results", "submission", "labels", "zarr", "rois", "geojson")
    )
    back = read_annotations(source, known.images, tmp_path / "pictures", dataset.categories)
    found = back.instances[1]
    wanted = dataset.instances[1]
    order = np.argsort(found.masks.area())
    for i, j in zip(order.tolist(), np.argsort(wanted.masks.area()).tolist(), strict=True):
        np.testing.assert_array_equal(found.masks.full(i), wanted.masks.full(j))
        if form not in NO_KINDS:
            name = back.category_names[int(found.categories[i])]
            assert name == dataset.category_names[int(wanted.categories[j])]
    if form == "results":
        assert set(back.category_names) <= {"neuron", "glia"}


@pytest.mark.parametrize("form", ["coco", "dsb", "rois", "geojson", "labels", "results"])
def test_the_command_brings_it_into_a_project(
    dataset: CocoDataset, exported: Path, tmp_path: Path, form: str
) -> None:
    arguments = ["import", str(exported / FORMS[form]), "--out", str(tmp_path / "work")]
    arguments += ["--images", str(tmp_path / "pictures")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "3 cells in 1 image." in result.output
    project = open_project(tmp_path / "work")
    image, *others = project.images
    # The folder holds a second image: it comes along only from sources that have a record of it.
    assert [one.stem for one in others] == (["field_10"] if form in ("coco", "dsb") else [])
    values = project.plane(image.id).values
    np.testing.assert_array_equal(values > 0, dataset.instances[1].masks.to_labels() > 0)
    rows = project.plane(image.id).rows
    assert {row["source"] for row in rows.values()} == {"imported"}
    if form != "dsb":
        assert sorted(row["category"] for row in rows.values()) == ["glia", "neuron", "neuron"]
    project.close()
    again = CliRunner().invoke(app, arguments)
    assert (
        "0 cells in 0 images. Left out because they lie on cells that are there: 3." in again.output
    )


def test_the_command_joins_files_into_one_coco_file(
    dataset: CocoDataset, exported: Path, tmp_path: Path
) -> None:
    shutil.copy(exported / "field_1_rois.zip", exported / "field_10_rois.zip")
    result = CliRunner().invoke(
        app,
        [
            "import",
            str(exported / "field_1_rois.zip"),
            str(exported / "field_10_rois.zip"),
            "--images",
            str(tmp_path / "pictures"),
            "--out",
            str(tmp_path / "all.json"),
        ],
    )
    assert result.exit_code == 0, result.output
    back = read_coco(tmp_path / "all.json")
    assert [len(back.instances[image.id]) for image in back.images] == [3, 3]
    assert all(back.image_path(image).is_file() for image in back.images)
    assert back.category_names == ["neuron", "glia"]


def test_cells_of_an_image_that_the_project_has_need_no_other_image(
    exported: Path, tmp_path: Path
) -> None:
    pictures = tmp_path / "pictures"
    project = create_project(tmp_path / "work")
    project.add_files([pictures / "field_1.png"])
    project.close()
    for name in ("first", "second"):
        shutil.copy(pictures / "field_10.png", exported / f"{name}.png")
    arguments = ["import", exported / "field_1_rois.zip", "--out", tmp_path / "work"]
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert "3 cells in 1 image." in result.output
    project = open_project(tmp_path / "work")
    assert [one.stem for one in project.images] == ["field_1"]
    project.close()


def test_overlaps_are_told(tmp_path: Path, dataset: CocoDataset) -> None:
    full = np.zeros((3, *SIZE), bool)
    full[0, 5:15, 5:15] = full[1, 12:25, 5:15] = full[2, 6:14, 6:14] = True
    project = create_project(tmp_path / "work")
    (image,) = project.add_files([tmp_path / "pictures" / "field_1.png"])
    found = Instances.from_masks(CropMasks.from_full(full))
    came = import_objects(
        project, CocoDataset([image], [Category(1, "new kind")], {image.id: found})
    )
    assert (came.objects, came.known, came.cut) == (2, 1, 1)
    assert "that are there: 1" in came.sentence()
    assert "that they overlap: 1" in came.sentence()
    assert "new kind" in [one.name for one in project.categories]
    project.close()


def test_what_belongs_to_no_image_is_one_sentence(
    exported: Path, tmp_path: Path, dataset: CocoDataset
) -> None:
    known = images_in(tmp_path / "pictures")
    other = exported / "other_rois.zip"
    shutil.copy(exported / "field_1_rois.zip", other)
    with pytest.raises(UserError, match="belongs to none of the images"):
        read_annotations(other, known.images, known.folder)
    small = CocoImage(1, "field_1.png", 30, 20)
    for name, words in (
        ("annotations.json", "50 x 40 pixels there but 30 x 20 here"),
        ("field_1_labels.tif", "50 x 40 pixels but its image is 30 x 20"),
    ):
        with pytest.raises(UserError, match=words):
            read_annotations(exported / name, [small], tmp_path)
    with pytest.raises(UserError, match="about other images"):
        stranger = CocoImage(1, "z.png", SIZE[1], SIZE[0])
        read_annotations(exported / "annotations.json", [stranger], tmp_path)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(UserError, match="holds no images"):
        images_in(tmp_path / "nothing")


def _renamed(dataset: CocoDataset, folder: Path, names: dict[str, str]) -> Path:
    """A COCO file with the cells of `dataset` under other file names."""
    images = [replace(one, file_name=names[one.file_name]) for one in dataset.images]
    write_coco(folder / "result.json", replace(dataset, images=images, folder=folder))
    return folder / "result.json"


@pytest.mark.parametrize(
    "name",
    [
        "images/1f2e3d4c-field_1.png",
        "/data/upload/3/1f2e3d4c-field_1.png",
        "/data/local-files/?d=plates/1f2e3d4c-field_1.png",
        "..\\images\\1f2e3d4c-field_1.png",
        "1f2e3d4c-field_1.jpg",
    ],
)
def test_names_that_label_studio_gives_are_matched_and_told(
    dataset: CocoDataset, tmp_path: Path, name: str
) -> None:
    source = _renamed(
        dataset, tmp_path, {"field_1.png": name, "field_10.png": "images/a0b1c2d3-field_10.png"}
    )
    arguments = ["import", str(source), "--out", str(tmp_path / "work")]
    arguments += ["--images", str(tmp_path / "pictures")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "3 cells in 1 image. result.json calls 2 images otherwise, as Label Stu" in result.output
    assert f": {name} is taken for " in result.output
    with closing(open_project(tmp_path / "work")) as project:
        assert [one.stem for one in project.images] == ["field_1", "field_10"]
        wanted = dataset.instances[1].masks.to_labels() > 0
        np.testing.assert_array_equal(project.plane(project.images[0].id).values > 0, wanted)


def test_a_name_without_number_that_two_images_have_is_not_guessed(
    dataset: CocoDataset, tmp_path: Path
) -> None:
    first, _ = known = images_in(tmp_path / "pictures").images
    names = {"field_1.png": "1f2e3d4c-field_1.png", "field_10.png": "a0b1c2d3-field_1.png"}
    source = _renamed(dataset, tmp_path, names)
    with pytest.raises(
        UserError, match=r"field_1\.png could be 1f2e3d4c-field_1\.png and a0b1c2d3"
    ):
        read_annotations(source, known, tmp_path / "pictures")
    twice = [replace(first, file_name="A/x.png"), replace(first, id=2, file_name="B/x.png")]
    source = _renamed(
        dataset, tmp_path, {"field_1.png": "1f2e3d4c-x.png", "field_10.png": "other.png"}
    )
    with pytest.raises(UserError, match=r"A/x\.png and B/x\.png .* could both be 1f2e3d4c-x\.png"):
        read_annotations(source, twice, tmp_path)


def test_an_image_that_is_called_so_itself_comes_before_one_without_the_number(
    dataset: CocoDataset, tmp_path: Path
) -> None:
    (first, second) = images_in(tmp_path / "pictures").images
    same = replace(second, file_name="1f2e3d4c-field_1.png")
    names = {"field_1.png": "x/1f2e3d4c-field_1.png", "field_10.png": "other.png"}
    book = NoticeBook()
    source = _renamed(dataset, tmp_path, names)
    back = read_annotations(source, [first, same], tmp_path, monitor=book)
    assert [one.file_name for one in back.images] == ["1f2e3d4c-field_1.png"]
    assert not book.notices


def test_images_that_are_not_there_are_named_with_the_option_that_helps(
    dataset: CocoDataset, tmp_path: Path
) -> None:
    names = {"field_1.png": "1f2e3d4c-field_1.png", "field_10.png": "other.png"}
    source = _renamed(dataset, tmp_path, names)
    result = CliRunner().invoke(app, ["import", str(source), "--out", str(tmp_path / "work")])
    assert result.exit_code == 1
    assert "about other images, such as 1f2e3d4c-field_1.png: add" in result.output
    assert "--images FOLDER" in result.output
