"""Takes the screenshots of the documentation in a real napari window, as a user would get them.

Run it from the repository root, with a display (``xvfb-run -s "-screen 0 1600x1000x24"`` will do)::

    python docs/images/take.py

Shows only images that may be published: the generated scene and scikit-image's samples.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari
from npe2 import PluginManager, PluginManifest
from PIL import Image
from qtpy.QtWidgets import QApplication

import napari_sartorius

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
PLUGIN = "napari-sartorius"
PATIENCE = 600.0


def wait(seconds: float, until: Callable[[], bool] | None = None) -> None:
    """Let the window live for a while, or until something has happened."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        if until is not None and until():
            return
        time.sleep(0.01)
    if until is not None:
        raise TimeoutError("the window did not get there in time")


def shoot(viewer: Any, name: str) -> None:
    """Save the whole window."""
    wait(0.5)
    window = viewer.screenshot(canvas_only=False, flash=False)
    picture = Image.fromarray(window[..., :3]).quantize(256, dither=Image.Dither.NONE)
    picture.save(HERE / f"{name}.png", optimize=True)


def run(viewer: Any, tab: Any) -> None:
    """Press Run and wait for the label layer."""
    before = len(viewer.layers)
    tab.run_panel.run_button.click()
    wait(PATIENCE, lambda: len(viewer.layers) > before)


def evaluate(viewer: Any, dock: Any) -> None:
    """Compare the result with the ground truth of the sample and go to the first error."""
    tab = dock.others.evaluate
    dock.tabs.setCurrentWidget(tab.parentWidget())
    tab.compare_button.click()
    wait(60, lambda: tab.panel.is_painted)
    tab.panel.iou.setValue(0.65)
    wait(60, lambda: tab.panel.is_painted)
    shoot(viewer, "evaluate")
    viewer.layers.remove("Errors")


def main() -> None:
    """Open, segment, filter, save, open again."""
    plugins = PluginManager.instance()
    plugins.discover()
    if PLUGIN not in plugins:  # run from a source tree that is not installed
        manifest = Path(napari_sartorius.__file__).parent / "napari.yaml"
        plugins.register(PluginManifest.from_file(manifest))
    viewer = napari.Viewer(show=True)
    viewer.window._qt_window.resize(1400, 900)
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Sartorius")
    tab = dock.segment

    viewer.open_sample(PLUGIN, "phase_contrast")
    for layer in viewer.layers[1:]:
        layer.visible = False  # the ground truth
    viewer.reset_view()
    tab.model.models.select_data("neurons")
    wait(60, lambda: "Looking" not in tab.run_panel.device_text.text())
    run(viewer, tab)
    shoot(viewer, "dock")
    tab.result.score.setValue(0.5)
    tab.result.colour_by.setCurrentIndex(1)
    tab.result.contour.setChecked(True)
    shoot(viewer, "filtered")
    tab.advanced_section.set_open(True)
    wait(0.3)
    tab.scroll.ensureWidgetVisible(tab.advanced)
    shoot(viewer, "advanced")
    tab.advanced_section.set_open(False)
    dock.tabs.setCurrentWidget(dock.others.models.parentWidget())
    shoot(viewer, "models")
    evaluate(viewer, dock)
    dock.tabs.setCurrentIndex(0)

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "cells.json")
        result = tab.result.layers.layer
        names = [viewer.layers[0].name, result.name]
        viewer.layers.selection = {viewer.layers[name] for name in names}
        viewer.layers.save(path, selected=True, plugin=PLUGIN)
        viewer.layers.clear()
        viewer.open(path, plugin=PLUGIN)
        viewer.reset_view()
        shoot(viewer, "reopened")
    dock.shut_down()
    viewer.close()


if __name__ == "__main__":
    main()
