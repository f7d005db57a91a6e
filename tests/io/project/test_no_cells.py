"""Where a person said that there is no cell is kept like any other answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import tifffile

from napari_sartorius.io.layer_table import NO_CELL_KEY
from napari_sartorius.io.project import create_project, open_project
from napari_sartorius.io.project.layers import file_layers

if TYPE_CHECKING:
    from pathlib import Path

PLACES = [(1, 2, 9, 12), (20, 3, 30, 10)]


def test_places_are_in_the_journal_at_once_and_in_the_annotations_when_saved(
    tmp_path: Path,
) -> None:
    tifffile.imwrite(tmp_path / "field.tif", np.zeros((40, 60), np.uint8))
    project = create_project(tmp_path / "work")
    (image,) = project.add_files([tmp_path / "field.tif"])
    project.set_no_cells(image.id, PLACES)
    project.give_back()  # as if the process had died

    project = open_project(tmp_path / "work")
    assert project.no_cells(project.images[0]) == PLACES
    assert project.restored == "1 edit made after the last save was restored"
    project.close()
    saved = json.loads((tmp_path / "work" / "annotations.json").read_text())
    assert saved["images"][0]["sartorius"]["no_cell"] == [list(one) for one in PLACES]

    project = open_project(tmp_path / "work")
    assert project.restored is None
    labels = file_layers(project, project.images[0].file_name)[-1]
    assert labels[1]["metadata"][NO_CELL_KEY] == [list(one) for one in PLACES]
    project.set_no_cells(image.id, [])
    assert project.no_cells(project.images[0]) == []
    project.close()


def test_places_in_a_stack_carry_their_plane(tmp_path: Path) -> None:
    stack = np.zeros((3, 40, 60), np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", stack, metadata={"axes": "ZYX"})
    project = create_project(tmp_path / "work")
    planes = project.add_files([tmp_path / "stack.tif"])
    project.set_no_cells(planes[2].id, PLACES[:1])
    labels = file_layers(project, planes[0].file_name)[-1]
    assert labels[1]["metadata"][NO_CELL_KEY] == [[2, *PLACES[0]]]
    project.close()
