"""What the Train tab learns from: layers as they are now, folders, files, recipes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_sartorius.io.sources import read_dataset
from napari_sartorius.ui.train import data_choice, recipe_choice
from napari_sartorius.ui.train.data_choice import DataChoice
from napari_sartorius.ui.train.layer_pairs import write_pairs
from napari_sartorius.ui.train.recipe_choice import RecipeChoice

if TYPE_CHECKING:
    from pathlib import Path

    from napari.components import ViewerModel


def _labels(shape: tuple[int, ...], *corners: tuple[int, ...]) -> np.ndarray:
    labels = np.zeros(shape, np.uint16)
    for number, (*lead, y, x) in enumerate(corners, start=1):
        labels[(*lead, slice(y, y + 8), slice(x, x + 8))] = number
    return labels


@pytest.fixture
def choice(viewer: ViewerModel, qtbot: Any) -> Any:
    made = DataChoice(viewer, lambda: None)
    qtbot.addWidget(made)
    yield made
    made.stop()


def _named(choice: DataChoice) -> list[tuple[str, str]]:
    return [(pair.labels.name, pair.image.name) for pair in choice.layers]


def test_layers_are_paired_by_origin_then_by_order_then_by_nearness(
    choice: DataChoice, viewer: ViewerModel
) -> None:
    for name in ("a", "b"):
        viewer.add_image(np.zeros((40, 50)), name=name)
    for name in ("cells a", "cells b"):
        viewer.add_labels(_labels((40, 50), (5, 5)), name=name)
    viewer.add_labels(_labels((99, 99), (5, 5)), name="other")
    viewer.add_labels(_labels((40, 50)), name="shown", metadata={"sartorius_overlay": True})
    choice.kind.select_data("layers")
    choice.pairs.refresh()
    pairs = _named(choice)
    assert ("cells a", "a") in pairs
    assert ("cells b", "b") in pairs
    assert "other" not in {labels for labels, _ in pairs}
    viewer.layers["cells a"].metadata["sartorius"] = {"image": "b"}
    choice.pairs.refresh()
    rows = {row.tick.toolTip(): row for row in choice.pairs.rows}
    assert rows["cells a"].image.currentText() == "b"
    row = rows["cells b"]
    row.image.setCurrentIndex(1 - row.image.currentIndex())
    changed = row.pair.image.name
    choice.pairs.refresh()  # what the user chose stays
    assert ("cells b", changed) in _named(choice)
    assert ("cells a", "b") in _named(choice)
    choice.pairs.rows[0].tick.setChecked(False)
    assert "cells a" not in {labels for labels, _ in _named(choice)}


def test_of_several_labels_of_an_image_the_topmost_shown_is_ticked(
    choice: DataChoice, viewer: ViewerModel
) -> None:
    viewer.add_image(np.zeros((40, 50)), name="a")
    viewer.add_image(np.zeros((60, 70)), name="b")
    viewer.add_labels(_labels((60, 70), (5, 5)), name="hidden", visible=False)
    truth = viewer.add_labels(_labels((40, 50), (5, 5)), name="truth", visible=False)
    older = viewer.add_labels(_labels((40, 50), (5, 5)), name="older")
    newer = viewer.add_labels(_labels((40, 50), (5, 5)), name="newer")
    choice.kind.select_data("layers")
    assert _named(choice) == [("hidden", "b"), ("newer", "a")]
    newer.visible = False
    choice.pairs.refresh()
    assert _named(choice) == [("hidden", "b"), ("older", "a")]
    for row in choice.pairs.rows:
        if row.pair.labels in (truth, older):
            row.tick.toggle()
    viewer.add_labels(_labels((40, 50), (5, 5)), name="newest")
    assert _named(choice) == [("hidden", "b"), ("truth", "a"), ("newest", "a")]


def test_what_is_missing_of_layers_is_one_sentence(choice: DataChoice, viewer: ViewerModel) -> None:
    choice.kind.select_data("layers")
    assert choice.obstacle() == "Open an image and draw its cells in a labels layer first."
    viewer.add_image(np.zeros((40, 50)), name="a")
    viewer.add_labels(_labels((60, 70), (5, 5)), name="cells")
    assert choice.obstacle() == (
        "'cells' is 70 x 60 pixels, and no image layer is: open the image that these labels "
        "belong to."
    )
    viewer.add_image(np.zeros((60, 70)), name="b")
    assert choice.obstacle() is None
    choice.pairs.rows[0].tick.setChecked(False)
    assert choice.obstacle() == "Tick the labels to learn from."


def test_layers_are_chosen_where_there_is_no_project_but_labels(
    choice: DataChoice, viewer: ViewerModel
) -> None:
    choice.refresh()
    assert choice.chosen == "project"
    viewer.add_image(np.zeros((40, 50)))
    viewer.add_labels(_labels((40, 50), (5, 5)))
    choice.refresh()
    assert choice.chosen == "layers"
    choice.kind.select_data("project")  # and not against the user's will
    choice.refresh()
    assert choice.chosen == "project"


def test_layers_become_a_dataset_of_their_own(
    choice: DataChoice, viewer: ViewerModel, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    flat = rng.integers(0, 4000, (40, 50)).astype(np.uint16)
    stack = rng.integers(0, 255, (3, 40, 50)).astype(np.uint8)
    viewer.add_image(flat, name="same name")
    made = viewer.add_labels(_labels((40, 50), (5, 5), (20, 30)), name="two kinds")
    made.features = {"index": [1, 2], "category": ["round", "long"], "score": [1.0, 1.0]}
    viewer.add_image(stack, name="stack")
    # Nobody has drawn in slice 1: it must not be learnt as background.
    viewer.add_labels(_labels((3, 40, 50), (0, 4, 4), (2, 8, 8), (2, 8, 30)), name="slices")
    choice.kind.select_data("layers")
    write_pairs(choice.layers, tmp_path / "data")
    dataset = read_dataset(tmp_path / "data")
    assert len(dataset) == 3
    assert dataset.category_names == ["round", "long", "cell"]
    by_plane = {tuple(image.extra.get("plane", ())): image for image in dataset.images}
    assert set(by_plane) == {(), (0,), (2,)}
    assert dataset.instances[by_plane[()].id].categories.tolist() == [0, 1]
    assert len(dataset.instances[by_plane[2,].id]) == 2
    from napari_sartorius.training.data import read_annotated

    np.testing.assert_array_equal(read_annotated(dataset, by_plane[()]), flat)
    np.testing.assert_array_equal(read_annotated(dataset, by_plane[2,]), stack[2])


def test_folders_and_files(
    choice: DataChoice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice.kind.select_data("files")
    assert choice.obstacle() == "Choose a folder or file with annotated images."
    monkeypatch.setattr(data_choice, "_ask_folder", lambda _: "")
    choice.folder_button.click()
    assert choice.path is None
    monkeypatch.setattr(data_choice, "_ask_file", lambda _: str(tmp_path / "cells.json"))
    choice.file_button.click()
    assert choice.path == tmp_path / "cells.json"
    assert choice.obstacle() is None
    assert choice.title == "cells"
    assert choice.sentence.text() == str(tmp_path / "cells.json")


def test_recipes(qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = RecipeChoice()
    qtbot.addWidget(recipe)
    assert (recipe.effort, recipe.file) == ("quick", None)
    recipe.setCurrentIndex(1)
    assert recipe.effort == "thorough"
    monkeypatch.setattr(recipe_choice, "_ask_file", lambda _: "")
    recipe.setCurrentIndex(recipe.count() - 1)
    assert recipe.effort == "thorough"  # the user thought better of it
    heard: list[None] = []
    recipe.changed.connect(lambda: heard.append(None))
    for name in ("one.json", "two.json"):
        (tmp_path / name).write_text(json.dumps({"steps": 5}))
        monkeypatch.setattr(recipe_choice, "_ask_file", lambda _, name=name: str(tmp_path / name))
        recipe.setCurrentIndex(recipe.count() - 1)
        assert recipe.file == tmp_path / name
        assert recipe.currentText() == name
    assert len(heard) == 2
    assert recipe.count() == 4
