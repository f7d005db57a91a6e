"""Images of a project from folders and from layers: pixels, sizes and cells arrive unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from napari.components import ViewerModel
from PIL import Image

from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.io.images import read_image
from napari_sartorius.io.project import open_project
from napari_sartorius.ui.layer_writer import METADATA_KEY
from napari_sartorius.ui.project import wait_dialog
from napari_sartorius.ui.project.project_tab import ProjectTab
from napari_sartorius.ui.project.wait_dialog import WaitDialog

from .conftest import FakeClient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHAPE = (40, 50)


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def tab(
    qtbot: Any, viewer: ViewerModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ProjectTab]:
    monkeypatch.setenv("SARTORIUS_STATE", str(tmp_path / "state"))
    made = ProjectTab(viewer, FakeClient(), lambda: SegmentConfig(model="nuclei"))
    qtbot.addWidget(made)
    made.create(tmp_path / "all" / "work")
    yield made
    made.stop()


def _random(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    values = np.random.default_rng(0).random(shape) * 200
    return values.astype(dtype)


def _read(tab: ProjectTab, name: str) -> Any:
    assert tab.session.project is not None
    return read_image(tab.session.project.folder / name)


def _add_cells(viewer: ViewerModel, labels: np.ndarray, of: str, **table: Any) -> Any:
    return viewer.add_labels(
        labels,
        name=f"{of} cells",
        features=pd.DataFrame(table),
        metadata={METADATA_KEY: {"image": of}},
    )


def test_a_folder_gives_its_images_and_tells_the_rest(tab: ProjectTab, tmp_path: Path) -> None:
    below = tmp_path / "all" / "day 1" / "well"
    below.mkdir(parents=True)
    Image.fromarray(_random(SHAPE, np.uint8)).save(below / "b.png")
    Image.fromarray(_random(SHAPE, np.uint8)).save(tmp_path / "all" / "a.TIF", format="TIFF")
    (below / "notes.txt").write_text("no image")
    (below / ".hidden.png").write_text("no image")
    (below / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n cut off")
    tab.adding.add_folder(tmp_path / "all")
    assert tab.session.files == ["../a.TIF", "../day 1/well/b.png"]
    assert tab.session.current == "../a.TIF"
    said = tab.message.text()
    assert "2 images added. 1 file is no image: notes.txt." in said
    assert "broken.png" in said
    assert ".hidden" not in said
    tab.adding.add_folder(tmp_path / "all")
    assert len(tab.session.files) == 2
    assert "0 images added" in tab.message.text()
    assert "2 images were in the project already" in tab.message.text()


def test_adding_a_folder_shows_how_far_it_is_and_can_be_cancelled(
    tab: ProjectTab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "all" / "day 1"
    folder.mkdir(parents=True)
    for n in range(4):
        Image.fromarray(_random(SHAPE, np.uint8)).save(folder / f"{n}.png")
    now = iter(range(0, 1000, 10))  # ten seconds an image
    monkeypatch.setattr(wait_dialog.time, "monotonic", lambda: float(next(now)))
    told: list[tuple[str, int]] = []

    def cancelled(dialog: WaitDialog) -> bool:
        told.append((dialog.labelText(), dialog.value()))
        return len(told) == 3

    monkeypatch.setattr(WaitDialog, "wasCanceled", cancelled)
    tab.adding.add_folder(folder)
    assert told == [
        ("Reading 0.png, 1 of 4", 0),
        ("Reading 1.png, 2 of 4\nabout 30 s left", 250),
        ("Reading 2.png, 3 of 4\nabout 20 s left", 500),
    ]
    assert tab.session.files == []  # nothing half added
    assert tab.message.text() == "0 images added. Cancelled: the project is as it was."
    tab.add([str(path) for path in sorted(folder.iterdir())])
    assert len(told) == 7
    assert len(tab.session.files) == 4


@pytest.mark.parametrize(
    ("shape", "dtype", "rgb", "lazy"),
    [
        (SHAPE, np.uint16, False, False),
        (SHAPE, np.float32, False, False),
        (SHAPE, np.int64, False, False),
        ((*SHAPE, 3), np.uint8, True, False),
        ((3, *SHAPE), np.float64, False, True),
        ((2, *SHAPE, 4), np.uint8, True, True),
        ((2, 3, *SHAPE), np.uint16, False, True),
    ],
)
def test_pixels_of_a_layer_arrive_unchanged(
    tab: ProjectTab,
    viewer: ViewerModel,
    shape: tuple[int, ...],
    dtype: Any,
    rgb: bool,
    lazy: bool,
) -> None:
    pixels = _random(shape, dtype)
    data = da.from_array(pixels, chunks=(1, *shape[1:])) if lazy else pixels
    count = len(shape) - rgb
    viewer.add_image(
        data,
        name="my sample: 1/2",
        rgb=rgb,
        scale=[1.0] * (count - 2) + [0.5, 0.25],
        units=["pixel"] * (count - 2) + ["micrometer"] * 2,
    )
    tab.adding.add_layers()
    assert tab.session.files == ["images/my_sample_1_2.tif"], tab.message.text()
    image = _read(tab, "images/my_sample_1_2.tif")
    np.testing.assert_array_equal(image.to_array(), pixels)
    assert image.to_array().dtype == dtype
    assert image.axes == "TZ"[: count - 2] + "YX" + "S" * rgb
    assert image.pixel_size_yx == pytest.approx((0.5, 0.25), rel=1e-3)
    assert tab.session.project is not None
    assert len(tab.session.project.images) == np.prod(shape[: count - 2], dtype=int)


def test_a_depth_comes_along(tab: ProjectTab, viewer: ViewerModel) -> None:
    viewer.add_image(
        _random((3, *SHAPE), np.uint8), name="depth", scale=(2, 0.5, 0.5), units=["micrometer"] * 3
    )
    tab.adding.add_layers()
    image = _read(tab, "images/depth.tif")
    assert image.axes == "ZYX"
    assert image.steps == {"Z": 2.0}


def test_adding_can_be_cancelled_between_planes(
    tab: ProjectTab, viewer: ViewerModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second", "third"):
        viewer.add_image(_random((3, *SHAPE), np.uint16), name=name)
    viewer.layers.selection = set(viewer.layers)
    told: list[tuple[str, int]] = []

    def cancelled(dialog: WaitDialog) -> bool:
        told.append((dialog.labelText(), dialog.value()))
        return len(told) == 5  # in the second plane of the second layer

    monkeypatch.setattr(WaitDialog, "wasCanceled", cancelled)
    tab.adding.add_layers()
    assert tab.session.files == ["images/first.tif"]
    assert tab.message.text() == "1 image added. Cancelled; 2 layers left out."
    assert told[-1] == ("Adding second, 2 of 3", 444)
    assert tab.session.project is not None
    below = tab.session.project.folder / "images"
    assert [path.name for path in below.iterdir()] == ["first.tif"]  # nothing half written


def test_cells_come_along_and_survive(tab: ProjectTab, viewer: ViewerModel) -> None:
    viewer.add_image(_random((2, *SHAPE), np.uint16), name="stack")
    labels = np.zeros((2, *SHAPE), np.uint16)
    labels[0, 2:9, 2:9] = 1
    labels[1, 5:9, 5:9] = 7
    labels[1, 20:30, 20:30] = 9  # painted by hand: no row
    _add_cells(viewer, labels, "stack", index=[1, 7], score=[0.75, 0.5], category=["a", "b"])
    tab.adding.add_layers()
    assert tab.message.text() == "1 image added with 3 cells."
    project = tab.session.project
    assert project is not None
    tab.stop()
    again = open_project(project.folder)
    try:
        found = np.stack([again.plane(image.id).values for image in again.images])
        np.testing.assert_array_equal(found, labels)
        assert [again.status(image) for image in again.images] == ["segmented"] * 2
        first, second = (again.plane(image.id).rows for image in again.images)
        assert (first[1]["category"], first[1]["score"], first[1]["source"]) == ("a", 0.75, "model")
        assert (second[7]["category"], second[9]["source"]) == ("b", "drawn")
    finally:
        again.close()


def test_cells_of_one_slice_stay_out_and_this_is_told(tab: ProjectTab, viewer: ViewerModel) -> None:
    viewer.add_image(_random((2, *SHAPE), np.uint16), name="stack")
    _add_cells(viewer, np.ones((1, *SHAPE), np.uint16), "stack", index=[1], score=[1.0])
    tab.adding.add_layers()
    assert "1 image added. The cells of 'stack cells' stay out" in tab.message.text()


def test_selected_layers_else_the_visible_ones(tab: ProjectTab, viewer: ViewerModel) -> None:
    one, two, three = (
        viewer.add_image(_random(SHAPE, np.uint8), name=name) for name in ("x", "x/", "y")
    )
    viewer.layers.selection = {one}
    tab.adding.add_layers()
    assert tab.session.files == ["images/x.tif"]
    viewer.layers.selection.clear()
    three.visible = False
    tab.adding.add_layers()  # the project's own layer is not added to it again
    assert tab.session.files == ["images/x.tif", "images/x_2.tif", "images/x_3.tif"]
    viewer.layers.selection = {two}
    tab.session.remove("images/x_3.tif")
    assert tab.session.project is not None
    assert not (tab.session.project.folder / "images/x_3.tif").exists()  # it is in the trash


def test_what_cannot_be_added_is_told(tab: ProjectTab, viewer: ViewerModel) -> None:
    tab.adding.add_layers()
    assert "No image layer to add" in tab.message.text()
    viewer.add_image(np.zeros((2, 2, 2, *SHAPE), np.uint8), name="five")
    viewer.add_image(np.zeros((2, 2), np.uint8), name="tiny")
    pixels = _random((64, 64), np.uint8)
    viewer.add_image([pixels, pixels[::2, ::2]], multiscale=True, name="pyramid")
    viewer.layers.selection = set(viewer.layers)
    tab.adding.add_layers()
    said = tab.message.text()
    assert "1 image added. 'five' has 3 axes" in said
    assert "'tiny' is too small" in said
    np.testing.assert_array_equal(_read(tab, "images/pyramid.tif").to_array(), pixels)
    assert tab.session.project is not None
    assert len(list((tab.session.project.folder / "images").iterdir())) == 1


def test_a_project_that_is_read_only_takes_nothing(
    tab: ProjectTab, viewer: ViewerModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer.add_image(_random(SHAPE, np.uint8), name="x")
    said: list[str] = []
    monkeypatch.setattr("napari_sartorius.ui.project.project_tab.show_error", said.append)
    project = tab.session.project
    assert project is not None
    monkeypatch.setattr(project, "read_only", "it is open in another window")
    tab.adding.add_layers()
    assert len(said) == 1
    assert "another window" in said[0]
    assert not (project.folder / "images" / "x.tif").exists()
