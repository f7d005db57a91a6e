"""The dock opens, shuts down, and never pulls torch into the viewer."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
from qtpy.QtCore import QEvent, QObject

from napari_sartorius.ui.dock import SartoriusDock
from napari_sartorius.ui.settings import Preferences


def test_opens_with_its_tabs_and_the_preferred_model(dock):
    assert [dock.tabs.tabText(i) for i in range(dock.tabs.count())] == [
        "Segment",
        "Correct",
        "Evaluate",
        "Train",
        "Project",
        "Models",
    ]
    assert dock.tabs.currentWidget() is dock.segment
    assert dock.segment.model.card.name == "second"


def test_says_which_device_will_be_used_and_why(dock, client, qtbot):
    reason = "The processor is used because no GPU was found."
    qtbot.waitUntil(lambda: client.devices == ["auto"])
    assert dock.segment.run_panel.device_text.text() == reason


def test_loads_the_model_while_the_user_looks_around(dock, viewer, client):
    dock.segment.ask_device()
    assert client.warmed == []  # no image yet, perhaps no run will come
    viewer.add_image(np.zeros((20, 20)))
    dock.segment.ask_device()
    dock.segment.ask_device()
    assert client.warmed == ["second"]


def test_is_filled_before_it_is_first_drawn(window, client, card_maker, qtbot):
    dock = SartoriusDock(window, client, [card_maker()], Preferences())
    tabs_when_painted = []

    class Painted(QObject):
        def eventFilter(self, target, event):
            if event.type() == QEvent.Type.Paint:
                tabs_when_painted.append(dock.tabs.count())
            return False

    painted = Painted()
    dock.tabs.installEventFilter(painted)
    assert dock.tabs.count() == 0
    window.window.add_dock_widget(dock)
    dock.show()
    dock.parent().show()
    window.window._qt_window.show()
    qtbot.waitUntil(lambda: bool(tabs_when_painted))
    assert tabs_when_painted[0] == 6
    dock.shut_down()


def test_closed_before_it_was_shown_starts_nothing(viewer, client, qtbot):
    dock = SartoriusDock(viewer, client, [], Preferences())
    dock.shut_down()
    qtbot.addWidget(dock)
    dock.show()
    assert dock.tabs.count() == 0


def test_advanced_is_made_when_it_is_opened(dock, viewer):
    viewer.add_image(np.zeros((20, 20)), scale=(0.5, 0.5), units=("um", "um"))
    tab = dock.segment
    assert not tab.advanced_section.is_made
    assert tab.config().device == "auto"
    assert not tab.advanced_section.is_made
    tab.advanced_section.set_open(True)
    assert tab.advanced_section.is_made
    assert not tab.advanced.isHidden()
    assert tab.advanced.diameter.text() == "20 px (model)"
    assert tab.advanced.pixel_size.text() == "0.5 µm (image)"
    assert "2 times" not in tab.advanced.scale_text.text()
    tab.advanced.diameter.set_number(33.0)
    tab.advanced_section.set_open(False)
    assert tab.advanced.isHidden()
    assert tab.config().diameter == 33.0


def test_preferred_device_counts_although_advanced_was_never_opened(
    viewer, client, card_maker, qtbot
):
    viewer.add_image(np.zeros((20, 20)))
    dock = SartoriusDock(viewer, client, [card_maker()], Preferences("cuda:3"))
    qtbot.addWidget(dock)
    assert dock.segment.config().device == "cuda:3"
    dock.segment.ask_device()
    assert client.devices == ["cuda:3"]
    assert not dock.segment.advanced_section.is_made
    assert dock.segment.advanced.device.currentData() == "cuda:3"
    dock.shut_down()


def test_unknown_preferred_model_falls_back_to_the_first(viewer, client, card_maker, qtbot):
    dock = SartoriusDock(
        viewer, client, [card_maker("first"), card_maker("second")], Preferences("cuda:3", "gone")
    )
    qtbot.addWidget(dock)
    assert dock.segment.model.card.name == "first"
    assert dock.segment.config
    assert dock.segment.advanced.values()["device"] == "cuda:3"
    dock.shut_down()


def test_without_models_run_is_disabled_and_says_why(viewer, client, qtbot):
    viewer.add_image(np.zeros((20, 20)))
    dock = SartoriusDock(viewer, client, [], Preferences())
    qtbot.addWidget(dock)
    assert not dock.segment.run_panel.run_button.isEnabled()
    assert "model" in dock.segment.run_panel.stage.text()
    dock.shut_down()


def test_closing_the_dock_ends_the_worker_even_during_a_run(window, docked, client):
    window.add_image(np.zeros((20, 20)))
    docked.segment.run()
    client.wait_for_job()
    window.window.remove_dock_widget(docked)
    assert client.closed == 1
    window.add_image(np.zeros((20, 20)))  # nothing listens any more, nothing breaks
    assert len(window.layers) == 2


def test_hiding_the_dock_keeps_the_worker(window, docked, client):
    docked.parent().hide()
    docked.parent().show()
    assert client.closed == 0


def test_both_themes_style_the_dock(window, docked):
    window.theme = "dark"
    dark = docked.styleSheet()
    window.theme = "light"
    assert docked.styleSheet() != dark


def test_viewer_process_never_imports_torch_and_opening_imports_only_what_is_seen(tmp_path):
    program = """
        import sys
        import napari
        from napari_sartorius.ui.dock import SartoriusDock

        viewer = napari.Viewer(show=False)
        dock = SartoriusDock(viewer)
        viewer.window.add_dock_widget(dock)
        assert dock.segment
        late = {"advanced_panel", "result_panel", "segment_request", "network_view", "models_tab"}
        late = {f"napari_sartorius.ui.{name}" for name in late}
        late |= {f"napari_sartorius.{name}" for name in ("engine.client", "inference.config")}
        tabs = ("correct.correct_tab", "train.train_tab", "project.project_tab")
        tabs += ("evaluate.evaluate_tab",)
        late |= {f"napari_sartorius.ui.{name}" for name in tabs}
        late |= {"napari_sartorius.zoo.card", "napari_sartorius.zoo.catalogue"}
        late |= {"napari_sartorius.zoo.published", "napari_sartorius.zoo.install", "requests"}
        print("early:", sorted(late & set(sys.modules)))
        from napari_sartorius.inference.config import SegmentConfig
        import napari_sartorius.engine.jobs
        assert dock.others.models.list.row is not None
        assert dock.others.correct.table is not None
        assert dock.others.evaluate.panel is not None
        assert dock.others.train.plan.text()
        assert dock.others.project.images is not None
        heavy = {"torch", "torchvision", "timm"} & set(sys.modules)
        dock.shut_down()
        viewer.close()
        print("heavy:", sorted(heavy))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=_environment() | {"SARTORIUS_MODELS": str(tmp_path)},
    )
    assert "heavy: []" in done.stdout, done.stdout + done.stderr
    assert "early: []" in done.stdout, done.stdout


def _environment() -> dict[str, str]:
    import os

    return dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
