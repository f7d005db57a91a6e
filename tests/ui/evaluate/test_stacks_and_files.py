"""Slices of stacks, and true cells from a COCO file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_sartorius.core.masks import CropMasks

from .conftest import FOUND, TRUE, picture

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def stack(viewer: Any) -> Any:
    """Four slices: the last has no true cells, the second is perfect."""
    true = np.stack([picture(TRUE), picture(TRUE[:2]), picture(TRUE), picture(())])
    found = np.stack([picture(FOUND), picture(TRUE[:2]), picture(()), picture(FOUND)])
    placement = {"scale": (2.0, 0.5, 0.5), "translate": (10.0, 0.0, 0.0)}
    return [
        viewer.add_labels(data, name=name, **placement)
        for data, name in ((true, "truth"), (found, "cells"))
    ]


def test_the_shown_slice(tab: Any, viewer: Any, stack: Any, compare: Any) -> None:
    viewer.dims.set_point(0, 12.0)  # slice 1
    assert not tab.slices.isHidden()
    panel = compare()
    assert panel.figures.text() == "2 true cells, 2 found, 2 matched."
    layer = viewer.layers["Errors"]
    assert layer.data.shape == (1, 24, 40)
    assert tuple(layer.translate) == (12.0, 0.0, 0.0)
    viewer.dims.set_point(0, 16.0)
    panel.list.next_button.click()
    assert viewer.dims.point[0] == 12.0
    assert panel.list.model.columnCount() == 5


def test_all_slices(tab: Any, viewer: Any, stack: Any, compare: Any) -> None:
    tab.slices.select_data(True)
    panel = compare()
    assert panel.figures.text() == "14 true cells, 9 found, 3 matched."
    assert tab.status.text() == "1 slice without true cells left out."
    # Mean over the three slices: as the first alone, perfect, nothing found.
    assert panel.scores.text().startswith(f"Competition mAP {(5 / 10 / 12 + 1 + 0) / 3:.3f}")
    layer = viewer.layers["Errors"]
    assert layer.data.shape == (4, 24, 40)
    assert not layer.data[3].any()
    assert layer.data[2].any()
    model = panel.list.model
    places = [model.data(model.index(row, 5)) for row in range(model.rowCount())]
    assert sorted(set(places)) == ["0", "1", "2"]
    last = places.index("2")
    for _ in range(last + 1):
        panel.list.next_button.click()
    assert viewer.dims.point[0] == 14.0
    y, x = np.argwhere(layer.data[2])[0]
    panel._pointer.clicked.emit(float(y), float(x), False)
    assert model.data(model.index(panel.list.view.currentIndex().row(), 5)) == "2"


def test_slice_by_slice(tab: Any, viewer: Any, stack: Any, compare: Any) -> None:
    tab.slices.select_data(True)
    panel = compare()
    assert not panel.slices.isHidden()
    panel.slices.set_open(True)
    table = panel.slices.content
    assert _texts(table) == [
        ["0", "6", "7", "1", "0.08", "0.042"],
        ["1", "2", "2", "2", "1.00", "1.000"],
        ["2", "6", "0", "0", "0.00", "0.000"],
    ]
    panel.iou.setValue(0.25)
    assert _texts(table)[0] == ["0", "6", "7", "4", "0.44", "0.042"]
    centre = getattr(viewer, "scene", viewer).camera.center[-2:]
    table.setCurrentCell(2, 0)
    assert viewer.dims.point[0] == 14.0
    assert getattr(viewer, "scene", viewer).camera.center[-2:] == pytest.approx(centre)


def test_a_single_slice_has_no_table_of_slices(stack: Any, compare: Any) -> None:
    assert compare().slices.isHidden()


def _texts(table: Any) -> list[list[str]]:
    return [
        [table.item(row, column).text() for column in range(table.columnCount())]
        for row in range(table.rowCount())
    ]


def test_stacks_of_different_length(tab: Any, viewer: Any, stack: Any, qtbot: Any) -> None:
    tab.found.choose(viewer.add_labels(stack[1].data[:2], name="short", scale=(2.0, 0.5, 0.5)))
    tab.slices.select_data(True)
    tab.compare_button.click()
    assert tab.status.text() == (
        "short and truth have different numbers of slices, (2,) and (4,): compare the shown slice "
        "only."
    )


def test_a_slice_beyond_the_end_and_3d(tab: Any, viewer: Any, stack: Any) -> None:
    viewer.dims.ndisplay = 3
    tab.compare_button.click()
    assert tab.status.text().startswith("cells has no slice here: show the image in 2D")


def coco(path: Path, *images: tuple[str, Any]) -> str:
    """A file with these images, each a name and a label image."""
    content: dict[str, Any] = {"categories": [{"id": 1, "name": "cell"}]}
    content["images"] = [
        {"id": n, "file_name": name, "height": labels.shape[0], "width": labels.shape[1]}
        for n, (name, labels) in enumerate(images)
    ]
    content["annotations"] = []
    for n, (_, labels) in enumerate(images):
        masks, _ = CropMasks.from_labels(labels)
        for code in masks.to_rle():
            record = {"id": 100 + len(content["annotations"]), "image_id": n, "category_id": 1}
            content["annotations"].append(record | {"segmentation": code})
    path.write_text(json.dumps(content))
    return str(path)


@pytest.fixture
def read(tab: Any, qtbot: Any) -> Any:
    def run(path: str) -> None:
        with qtbot.waitSignals([tab._reading.finished, tab._reading.failed], raising=False):
            tab.open_file(path)
            qtbot.waitUntil(lambda: not tab._reading.is_running)

    return run


def test_a_file_whose_image_is_found_by_name(
    tab: Any, viewer: Any, found: Any, compare: Any, read: Any, tmp_path: Path
) -> None:
    found.metadata["sartorius"] = {"image": "Plate_2"}
    path = coco(
        tmp_path / "truth.json",
        ("folder/plate_1.png", picture(FOUND)),
        ("folder/plate_2.png", picture(TRUE)),
        ("small.png", picture(TRUE[:1], (10, 10))),
    )
    read(path)
    assert tab.truth.is_file
    assert [tab.truth.images.itemText(i) for i in range(tab.truth.images.count())] == [
        "folder/plate_1.png",
        "folder/plate_2.png",
    ]
    assert tab.truth.image.file_name == "folder/plate_2.png"
    assert tab.status.text() == "truth.json: folder/plate_2.png, 6 cells."
    panel = compare()
    assert panel.figures.text() == "6 true cells, 7 found, 1 matched."
    panel.list.next_button.click()
    # Known by the ids of the file's annotations; the first image has seven of them.
    assert panel.said.text() == "Missed: truth 108, nothing found touches it."
    tab.truth.layers_button.click()
    assert tab.truth.layer is viewer.layers["ground truth"]


def test_crowd_regions_are_no_cells(
    tab: Any, found: Any, compare: Any, read: Any, tmp_path: Path
) -> None:
    path = coco(tmp_path / "t.json", ("a.png", picture(TRUE)))
    content = json.loads((tmp_path / "t.json").read_text())
    content["annotations"][1]["iscrowd"] = 1
    (tmp_path / "t.json").write_text(json.dumps(content))
    read(path)
    panel = compare()
    assert panel.figures.text() == "5 true cells, 7 found, 1 matched."
    panel.list.next_button.click()
    assert "truth 105" in panel.said.text()


def test_asks_for_the_image_when_several_could_be_it(
    tab: Any, viewer: Any, found: Any, compare: Any, read: Any, tmp_path: Path
) -> None:
    read(coco(tmp_path / "t.json", ("a.png", picture(FOUND)), ("b.png", picture(TRUE))))
    assert tab.status.text() == "2 images of t.json have this size: choose the one that it is."
    tab.compare_button.click()
    assert tab.status.text() == "Choose under Truth which image of the file this is."
    tab.truth.images.setCurrentIndex(2)
    assert compare().figures.text() == "6 true cells, 7 found, 1 matched."


def test_an_image_in_the_viewer_tells_which_it_is(
    tab: Any, viewer: Any, found: Any, read: Any, tmp_path: Path
) -> None:
    viewer.add_image(np.zeros((24, 40)), name="b")
    read(coco(tmp_path / "t.json", ("a.png", picture(FOUND)), ("b.png", picture(TRUE))))
    assert tab.truth.image.file_name == "b.png"


def test_a_stack_follows_its_slices(
    tab: Any, viewer: Any, compare: Any, read: Any, tmp_path: Path
) -> None:
    layer = viewer.add_labels(np.stack([picture(FOUND), picture(TRUE)]), name="set objects")
    layer.metadata["sartorius"] = {"images": [{"file_name": "a.png"}, {"file_name": "b.png"}]}
    viewer.dims.set_point(0, 0)
    read(coco(tmp_path / "t.json", ("a.png", picture(TRUE)), ("b.png", picture(TRUE))))
    assert tab.truth.image.file_name == "a.png"
    assert tab.slices.isHidden()
    assert compare().figures.text() == "6 true cells, 7 found, 1 matched."
    viewer.dims.set_point(0, 1)
    assert compare().figures.text() == "6 true cells, 6 found, 6 matched."
    assert tab.truth.image.file_name == "b.png"


def stack_file(path: Path, *planes: Any) -> str:
    """A file with the planes of one stack."""
    made = coco(path, *(("zs.ome.tif", labels) for labels in planes))
    content = json.loads(path.read_text())
    for n, image in enumerate(content["images"]):
        image |= {"plane": [n], "plane_axes": "Z"}
    path.write_text(json.dumps(content))
    return made


@pytest.mark.parametrize("opened", [False, True])
def test_the_plane_of_a_stack_s_file_is_the_one_shown(
    tab: Any, viewer: Any, compare: Any, read: Any, tmp_path: Path, opened: bool
) -> None:
    """Both of a layer that was segmented and of one that was opened from a file, in its order."""
    pictures = [picture(FOUND), picture(TRUE)]
    layer = viewer.add_labels(np.stack(pictures[::-1] if opened else pictures), name="zs.ome cells")
    memory: dict[str, Any] = {"image": "zs.ome"}
    if opened:
        names = [{"file_name": "zs.ome.tif", "extra": {"plane": [n]}} for n in (1, 0)]
        memory = {"images": names}
    layer.metadata["sartorius"] = memory
    viewer.dims.set_point(0, 0)
    read(stack_file(tmp_path / "t.json", picture(FOUND), picture(TRUE)))
    first = 1 if opened else 0
    assert tab.truth.image.extra["plane"] == [first]
    assert tab.status.text() == f"t.json: zs.ome.tif, plane {first}, {7 - first} cells."
    assert compare().figures.text() == f"{7 - first} true cells, {7 - first} found, " + (
        f"{7 - first} matched."
    )
    viewer.dims.set_point(0, 1)
    compare()
    assert tab.truth.image.extra["plane"] == [1 - first]


def test_planes_are_told_apart_where_one_has_to_be_chosen(
    tab: Any, found: Any, read: Any, tmp_path: Path
) -> None:
    read(stack_file(tmp_path / "t.json", picture(FOUND), picture(TRUE)))
    assert [tab.truth.images.itemText(i) for i in range(tab.truth.images.count())] == [
        "choose the image …",
        "zs.ome.tif, plane 0",
        "zs.ome.tif, plane 1",
    ]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "wrong.json holds no image of 24 x 40 pixels, the size of cells: choose"),
        ("{}", "lacks 'images', 'annotations', 'categories': choose a COCO annotation file."),
        ("nonsense", "wrong.json"),
    ],
)
def test_files_that_do_not_fit(
    tab: Any, found: Any, read: Any, tmp_path: Path, content: str | None, sentence: str
) -> None:
    path = tmp_path / "wrong.json"
    if content is None:
        coco(path, ("small.png", picture(TRUE[:1], (10, 10))))
    else:
        path.write_text(content)
    read(str(path))
    assert sentence in tab.status.text()
    assert tab.status.property("role") == "warning"
    assert not tab.truth.is_file
