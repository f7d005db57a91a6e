"""Import and export from the Project tab: whole files, told losses, cancel, one undo step."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.components import ViewerModel
from PIL import Image

from napari_sartorius.core.categories import Category
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.io.coco import CocoDataset, CocoImage, read_coco, write_coco
from napari_sartorius.io.exporting import EXPORT_FORMATS
from napari_sartorius.io.imagej_rois import write_rois
from napari_sartorius.io.labels_tiff import read_labels
from napari_sartorius.ui.project.project_tab import ProjectTab

from .conftest import FakeClient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHAPE = (60, 80)


@pytest.fixture
def tab(qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProjectTab]:
    monkeypatch.setenv("SARTORIUS_STATE", str(tmp_path / "state"))
    names = []
    for n in range(2):
        names.append(str(tmp_path / f"field_{n}.png"))
        Image.fromarray(np.full(SHAPE, 60 * n + 40, np.uint8)).save(names[-1])
    made = ProjectTab(ViewerModel(), FakeClient(), lambda: SegmentConfig(model="nuclei"))
    qtbot.addWidget(made)
    made.create(tmp_path / "work")
    made.add(names)
    yield made
    made.stop()


@pytest.fixture
def cells() -> Instances:
    """Two cells that overlap, one that does not."""
    full = np.zeros((3, *SHAPE), bool)
    full[0, 5:20, 5:20] = full[1, 15:30, 10:25] = full[2, 40:50, 50:70] = True
    return Instances.from_masks(CropMasks.from_full(full), None, [0, 1, 1])


KINDS = [Category(1, "neuron"), Category(2, "glia")]


def _export(tab: ProjectTab, qtbot: Any, *formats: str, which: int = 0) -> tuple[bool, str]:
    tab.show_export()
    dialog = tab.exporting
    assert dialog is not None
    for name, box in dialog.checks.items():
        box.setChecked(name in formats)
    dialog.which.setCurrentIndex(which)
    with qtbot.waitSignal(dialog.ended, timeout=20_000) as ended:
        dialog.start_button.click()
    assert not dialog.is_running
    return tuple(ended.args)


def test_regions_come_in_as_one_undo_step(
    tab: ProjectTab, tmp_path: Path, cells: Instances
) -> None:
    write_rois(tmp_path / "field_0_rois.zip", cells, KINDS)
    tab.import_cells([str(tmp_path / "field_0_rois.zip")])
    layer = tab.session.labels
    assert layer is not None
    assert tab.message.text() == "3 cells in 1 image. Lost pixels to cells that they overlap: 1."
    np.testing.assert_array_equal(
        np.asarray(layer.data) > 0, np.asarray(cells.masks.to_labels()) > 0
    )
    assert sorted(layer.features["category"]) == ["glia", "glia", "neuron"]
    assert set(layer.features["source"]) == {"imported"}
    assert tab.images.topLevelItem(0).text(1) == "3"
    layer.undo()
    assert not np.asarray(layer.data).any()
    layer.redo()
    assert np.asarray(layer.data).any()


def test_a_coco_file_comes_into_all_its_images(
    tab: ProjectTab, tmp_path: Path, cells: Instances
) -> None:
    images = [CocoImage(n, f"field_{n}.png", SHAPE[1], SHAPE[0]) for n in range(2)]
    write_coco(tmp_path / "all.json", CocoDataset(images, KINDS, dict.fromkeys((0, 1), cells)))
    tab.import_cells([str(tmp_path / "all.json")])
    assert tab.message.text().startswith("6 cells in 2 images.")
    assert [tab.images.topLevelItem(n).text(1) for n in range(2)] == ["3", "3"]
    assert [tab.session.status(name) for name in tab.session.files] == ["in review"] * 2
    tab.import_cells([str(tmp_path / "nowhere.json")])
    assert "does not exist" in tab.message.text()


def test_all_forms_are_written_and_losses_are_told(
    tab: ProjectTab, tmp_path: Path, cells: Instances, qtbot: Any
) -> None:
    project = tab.session.project
    assert project is not None
    write_rois(tmp_path / "field_0_rois.zip", cells, KINDS)
    tab.import_cells([str(tmp_path / "field_0_rois.zip")])
    layer = tab.session.labels
    assert layer is not None
    layer.data_setitem((np.array([1, 1]), np.array([60, 61])), 40)  # not recorded yet
    forms = [name for name in EXPORT_FORMATS if name != "zarr"]
    done, text = _export(tab, qtbot, *forms)
    assert done
    assert text.startswith("4 cells of 2 images: 15 files in")
    folder = project.folder / "export"
    assert read_coco(folder / "annotations.json").object_count == 4
    np.testing.assert_array_equal(
        read_labels(folder / "field_0_labels.tif").to_array() > 0, np.asarray(layer.data) > 0
    )
    assert not list(folder.glob(".*"))


def test_images_that_are_done_only(tab: ProjectTab, qtbot: Any) -> None:
    done, text = _export(tab, qtbot, "coco", which=1)
    assert not done
    assert "No image is done yet" in text
    tab.session.set_status(tab.session.files[1], "done")
    done, text = _export(tab, qtbot, "coco", which=1)
    assert done
    assert tab.session.project is not None
    exported = read_coco(tab.session.project.folder / "export" / "annotations.json")
    assert [image.stem for image in exported.images] == ["field_1"]


def test_overlaps_of_stored_cells_are_told(
    qtbot: Any, tmp_path: Path, cells: Instances, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SARTORIUS_STATE", str(tmp_path / "state"))
    Image.fromarray(np.full(SHAPE, 9, np.uint8)).save(tmp_path / "a.png")
    folder = tmp_path / "project"
    folder.mkdir()
    info = {"sartorius": {"project": 1, "edits": 0}}
    record = CocoImage(1, "../a.png", SHAPE[1], SHAPE[0])
    write_coco(folder / "annotations.json", CocoDataset([record], KINDS, {1: cells}, info, folder))
    tab = ProjectTab(ViewerModel(), FakeClient(), SegmentConfig)
    qtbot.addWidget(tab)
    tab.open(folder)
    done, text = _export(tab, qtbot, "labels", "rois")
    assert done
    assert "1 cell overlaps others and lost the shared pixels in labels" in text
    assert tab.exporting is not None
    assert tab.exporting.message.property("role") == "warning"
    tab.stop()


def test_cancel_stops_after_the_present_file_and_bad_folders_are_told(
    tab: ProjectTab, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def slow(path: Path, *_: object) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("whole")
        go_on.wait(10)

    from dataclasses import replace

    from napari_sartorius.io import exporting

    patched = EXPORT_FORMATS | {"geojson": replace(EXPORT_FORMATS["geojson"], write_one=slow)}
    monkeypatch.setattr(exporting, "EXPORT_FORMATS", patched)
    tab.show_export()
    dialog = tab.exporting
    assert dialog is not None
    for name, box in dialog.checks.items():
        box.setChecked(name == "geojson")
    dialog.folder.setText(str(tmp_path / "out"))
    with qtbot.waitSignal(dialog.ended, timeout=20_000) as ended:
        dialog.start()
        qtbot.waitUntil(lambda: (tmp_path / "out" / "field_0.geojson").is_file())
        dialog.cancel()
        go_on.set()
    assert ended.args == [False, "Cancelled; the files that were finished stay."]
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["field_0.geojson"]
    (tmp_path / "file").write_text("in the way")
    dialog.folder.setText(str(tmp_path / "file"))
    dialog.checks["geojson"].setChecked(False)
    dialog.checks["coco"].setChecked(True)
    with qtbot.waitSignal(dialog.ended, timeout=20_000) as ended:
        dialog.start()
    assert "a file is in the way" in ended.args[1]
    dialog.checks["coco"].setChecked(False)
    dialog.start()
    assert dialog.message.text() == "Tick at least one form."
