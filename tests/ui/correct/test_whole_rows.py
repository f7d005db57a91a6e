"""The object table shows whole rows, whatever room there is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from napari.layers import Labels

from napari_sartorius.ui.correct.object_table import ObjectTable


@pytest.fixture
def table(qtbot):
    made = ObjectTable()
    qtbot.addWidget(made)
    layer = Labels(np.arange(41, dtype=np.uint8)[None].repeat(2, axis=0))
    layer.features = pd.DataFrame({"index": np.arange(1, 41), "score": np.linspace(0, 1, 40)})
    made.set_layer(layer)
    made.show()
    return made


@pytest.mark.parametrize("width", [380, 90])  # in the narrow one there is a horizontal scroll bar
def test_the_table_ends_with_a_whole_row(table, qtbot, width):
    view = table.view
    row = view.verticalHeader().defaultSectionSize()
    for height in range(220, 320, 7):
        table.resize(width, height)
        qtbot.wait(1)
        room = view.viewport().height()
        assert room >= row
        assert room % row == 0
        assert 0 <= view.parentWidget().height() - view.height() < row  # no more than it must
        view.scrollToBottom()
        last = view.visualRect(view.model().index(39, 0))
        assert last.bottom() + 1 == room
    table.model.set_layer(None)
    table.resize(width, 400)
    qtbot.wait(1)
    assert view.viewport().height() % row == 0
