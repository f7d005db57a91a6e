"""A label layer under correction, in a viewer without a window."""

from __future__ import annotations

import pytest
from napari.components import ViewerModel

from correction_layers import grid, make_layer, plane_of
from napari_sartorius.ui.correct.session import CorrectionSession


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def layer(viewer):
    return make_layer(viewer, grid())


@pytest.fixture
def session(viewer, layer, qtbot):
    made = CorrectionSession(layer, lambda: plane_of(viewer, layer))
    yield made
    made.stop()
