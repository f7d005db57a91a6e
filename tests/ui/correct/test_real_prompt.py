"""Pointing at a cell with the engine and a model that users get."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sartorius.engine.client import WorkerClient
from napari_sartorius.ui.dock import SartoriusDock
from napari_sartorius.ui.settings import Preferences
from napari_sartorius.zoo import list_bundles

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "nuclei" not in {bundle.card.name for bundle in list_bundles()},
        reason="the nuclei model is not installed",
    ),
]
PATIENCE_MS = 180_000


def test_a_click_and_a_box_on_discs(viewer, qtbot):
    y, x = np.mgrid[:128, :160]
    image = np.random.default_rng(0).normal(20, 2, (128, 160))
    for centre in ((40, 50), (80, 110)):
        image += 150 / (1 + np.exp(np.hypot(y - centre[0], x - centre[1]) - 9))
    viewer.add_image(image.clip(0, 255).astype(np.uint8), name="discs")
    layer = viewer.add_labels(np.zeros((128, 160), np.uint16), name="cells")
    cards = [bundle.card for bundle in list_bundles()]
    dock = SartoriusDock(viewer, WorkerClient(), cards, Preferences("cpu", "nuclei"))
    qtbot.addWidget(dock)
    tab = dock.others.correct
    tab._attach(layer)
    bridge = tab.drawing._choice.bridge
    with qtbot.waitSignal(bridge.answered, timeout=PATIENCE_MS):
        tab.drawing.add(np.array([[42.0, 48.0]]), "")
    with qtbot.waitSignal(bridge.answered, timeout=PATIENCE_MS):
        tab.drawing.add(np.array([[68.0, 99.0], [93.0, 121.0]]), "")
    for label, centre in ((1, (40, 50)), (2, (80, 110))):
        truth = np.hypot(y - centre[0], x - centre[1]) < 9
        found = layer.data == label
        assert (found & truth).sum() / (found | truth).sum() > 0.6
    assert set(layer.features["category"]) == {"nucleus"}
    dock.shut_down()
