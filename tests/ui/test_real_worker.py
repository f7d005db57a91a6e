"""The whole way once: a real worker process with a model that ships."""

from __future__ import annotations

import os
import signal
import sys

import numpy as np
import psutil
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


@pytest.fixture
def real_dock(viewer, qtbot):
    """The dock with the engine that users get."""
    client = WorkerClient()
    cards = [bundle.card for bundle in list_bundles()]
    dock = SartoriusDock(viewer, client, cards, Preferences("cpu", "nuclei"))
    qtbot.addWidget(dock)
    dock.segment.model.preset.set_value("fast")
    yield dock
    dock.shut_down()
    assert client.worker_pid is None


def blobs():
    """Twelve bright discs on a dark noisy ground, 128 x 160 pixels."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:128, :160]
    image = rng.normal(20, 2, (128, 160))
    for row in range(3):
        for column in range(4):
            centre = (22 + 40 * row, 22 + 38 * column)
            image += 150 / (1 + np.exp(np.hypot(y - centre[0], x - centre[1]) - 9))
    return image.clip(0, 255).astype(np.uint8)


def run(dock, qtbot):
    with qtbot.waitSignal(dock.bridge.finished, timeout=PATIENCE_MS):
        dock.segment.run()


def test_image_to_labels_with_a_real_network(real_dock, viewer, qtbot):
    image = viewer.add_image(blobs(), name="discs", scale=(0.5, 0.5), units=("um", "um"))
    real_dock.segment.advanced.diameter.set_number(18)
    run(real_dock, qtbot)
    qtbot.waitUntil(lambda: len(viewer.layers) == 2)
    layer = viewer.layers["discs cells"]
    assert layer.data.shape == image.data.shape
    assert 8 <= len(layer.features) <= 16
    centres = layer.data[22:128:40, 22:160:38]
    assert len(set(centres.ravel().tolist()) - {0}) >= 8
    assert real_dock.segment.run_panel.message.text().endswith("on CPU")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are a POSIX thing")
def test_killed_worker_is_one_sentence_and_the_next_run_works(
    real_dock, viewer, qtbot, monkeypatch
):
    shown = []
    monkeypatch.setattr("napari_sartorius.ui.segment_run.show_error", shown.append)
    viewer.add_image(blobs(), name="discs")
    viewer.add_image(np.tile(blobs(), (8, 8)), name="many")
    tab = real_dock.segment
    with qtbot.waitSignal(real_dock.bridge.failed, timeout=PATIENCE_MS):
        tab.run()
        qtbot.waitUntil(lambda: "·" in tab.run_panel.stage.text(), timeout=PATIENCE_MS)
        os.kill(real_dock.bridge._client.worker_pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: bool(shown))
    assert len(viewer.layers) == 2
    assert "stopped unexpectedly" in shown[0]
    tab.image.layers.choose(viewer.layers["discs"])
    run(real_dock, qtbot)
    qtbot.waitUntil(lambda: len(viewer.layers) == 3)


def test_closing_napari_during_a_run_leaves_no_worker(window, qtbot):
    dock = SartoriusDock(window, preferences=Preferences("cpu", "nuclei"))
    window.window.add_dock_widget(dock)
    window.add_image(np.tile(blobs(), (8, 8)), name="many")
    tab = dock.segment
    tab.run()
    qtbot.waitUntil(lambda: "·" in tab.run_panel.stage.text(), timeout=PATIENCE_MS)
    worker = psutil.Process(dock.bridge._client.worker_pid)
    assert worker.is_running()
    window.close()
    qtbot.waitUntil(lambda: not worker.is_running(), timeout=20_000)
