"""A combo box that keeps its entries until somebody comes near it behaves like Qt's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QComboBox, QListView, QVBoxLayout, QWidget

from napari_sartorius.ui.choice import Choice
from napari_sartorius.ui.layer_choice import LayerChoice

if TYPE_CHECKING:
    from collections.abc import Callable

# Each takes a box through what the dock does with one.
WALKS: dict[str, Callable[[QComboBox], object]] = {
    "first entry is chosen": lambda box: box.addItem("a", 1),
    "several": lambda box: box.addItems(["a", "b", "c"]),
    "data": lambda box: [box.addItem(text, text.upper()) for text in "abc"],
    "choosing": lambda box: [box.addItems(["a", "b"]), box.setCurrentIndex(1)],
    "choosing the same": lambda box: [box.addItems(["a", "b"]), box.setCurrentIndex(0)],
    "none": lambda box: [box.addItems(["a", "b"]), box.setCurrentIndex(-1)],
    "no such": lambda box: [box.addItems(["a", "b"]), box.setCurrentIndex(7)],
    "cleared": lambda box: [box.addItems(["a", "b"]), box.clear()],
    "filled again": lambda box: [box.addItems(["a"]), box.clear(), box.addItems(["b", "c"])],
    "inserted": lambda box: [box.addItems(["a", "b"]), box.insertItem(0, "z", 3)],
    "removed": lambda box: [box.addItems(["a", "b"]), box.removeItem(0)],
    "renamed": lambda box: [box.addItems(["a", "b"]), box.setItemText(0, "x")],
}


LOOKS: dict[str, Callable[[QComboBox], object]] = {
    "text": lambda box: box.findText("b"),
    "data": lambda box: box.findData("C"),
    "nothing": lambda box: box.findData("x"),
    "rows": lambda box: box.model().rowCount(),
    "list": lambda box: box.view().model().index(1, 0).data(),
    "role": lambda box: box.itemData(0, Qt.ItemDataRole.DisplayRole),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_what_qt_alone_knows_is_found_without_a_visit(qtbot, look):
    told = []
    for kind in (QComboBox, Choice):
        box = kind()
        qtbot.addWidget(box)
        for text in "abc":
            box.addItem(text, text.upper())
        told.append(look(box))
    assert told[0] == told[1]


def _asked(box: QComboBox) -> list[object]:
    entries = [(box.itemText(n), box.itemData(n)) for n in range(-1, box.count() + 1)]
    return [box.count(), entries, box.currentIndex(), box.currentText(), box.currentData()]


@pytest.mark.parametrize("walk", WALKS.values(), ids=WALKS)
@pytest.mark.parametrize("needed", [False, True])
def test_answers_and_signals_are_those_of_qt(qtbot, walk, needed):
    told = []
    for kind in (QComboBox, Choice):
        box = kind()
        qtbot.addWidget(box)
        heard: list[object] = []
        box.currentIndexChanged.connect(heard.append)
        box.currentTextChanged.connect(heard.append)
        if needed and kind is Choice:
            box._with_list()
        walk(box)
        told.append((_asked(box), heard))
    assert told[0] == told[1]


def test_has_no_list_until_the_keyboard_or_the_pointer_comes(qtbot):
    panel = QWidget()
    qtbot.addWidget(panel)
    layout = QVBoxLayout(panel)
    boxes = [Choice(), Choice()]
    for box in boxes:
        box.addItems(["a", "b", "c"])
        layout.addWidget(box)
    panel.show()
    qtbot.waitExposed(panel)
    panel.grab()
    assert not panel.findChildren(QListView)
    boxes[0].setFocus()
    qtbot.keyClick(boxes[0], Qt.Key.Key_Down)
    assert boxes[0].currentText() == "b"
    boxes[0].clearFocus()
    qtbot.mouseClick(boxes[1], Qt.MouseButton.LeftButton, pos=QPoint(5, 5))
    assert boxes[1].view().isVisible()
    assert boxes[1].view().model().rowCount() == 3
    boxes[1].hidePopup()


def test_what_was_chosen_before_stays_when_the_list_is_made(qtbot):
    box = Choice()
    qtbot.addWidget(box)
    box.addItems(["a", "b"])
    box.setCurrentIndex(1)
    heard: list[int] = []
    box.currentIndexChanged.connect(heard.append)
    box.showPopup()
    box.hidePopup()
    assert (box.currentIndex(), heard) == (1, [])
    assert QComboBox.currentText(box) == "b"


def test_height_is_that_of_qt(qtbot):
    usual, ours = QComboBox(), Choice()
    for box in (usual, ours):
        qtbot.addWidget(box)
        box.addItem("a")
    assert ours.sizeHint().height() == usual.sizeHint().height()
    assert ours.minimumSizeHint() == ours.sizeHint()


def test_layers_whose_names_differ_at_the_end_look_different(qtbot, viewer):
    looks = []
    for number in (1, 2):
        viewer.layers.clear()
        viewer.add_image(np.zeros((9, 9)), name=f"crowded phase contrast (generated) [{number}]")
        box = LayerChoice(viewer, lambda layer: True, "")
        qtbot.addWidget(box)
        box.resize(150, box.sizeHint().height())
        looks.append(box.grab().toImage())
        box.stop()
    assert looks[0] != looks[1]
