"""Takes the picture of the Train tab while a model learns, in a real napari window.

Run it from the repository root, with a display, on a quiet computer (some minutes)::

    python docs/images/take_training.py

The model learns from generated scenes, which may be published; nothing is left behind.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_sartorius.core.categories import Category
from napari_sartorius.io.coco import CocoDataset, CocoImage, write_coco
from napari_sartorius.samples.phase_contrast import phase_contrast_scene
from napari_sartorius.ui.dock import SartoriusDock

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
PATIENCE = 1500.0
SIZE = (260, 348)
# Short, so that the picture is taken within minutes on a laptop.
RECIPE = {"steps": 36, "validate_every": 4, "warmup_steps": 2, "crop": 128, "batch_size": 2}
KINDS = [Category(1, "shsy5y"), Category(2, "astro"), Category(3, "cort")]


def wait(until: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Let the window live until something has happened."""
    end = time.monotonic() + seconds
    while not until():
        if time.monotonic() > end:
            raise TimeoutError("the window did not get there in time")
        QApplication.processEvents()
        time.sleep(0.01)


def pause(seconds: float) -> None:
    """Let the window live for a while."""
    end = time.monotonic() + seconds
    wait(lambda: time.monotonic() > end, seconds + 1)


def write_scenes(folder: Path) -> Path:
    """Eight generated fields with every cell outlined."""
    images, instances = [], {}
    for number in range(1, 9):
        picture, truth = phase_contrast_scene(SIZE, seed=number, cells=26)
        Image.fromarray(picture).save(folder / f"field_{number}.png")
        truth.categories[:] = 2
        images.append(CocoImage(number, f"field_{number}.png", SIZE[1], SIZE[0]))
        instances[number] = truth
    write_coco(folder / "cells.json", CocoDataset(images, KINDS, dict(instances), {}, folder))
    return folder / "cells.json"


def shown(page: Any) -> int:
    """Number of validations in the plot."""
    steps = page.curves.score_line.getData()[0]
    return 0 if steps is None else len(steps)


def main() -> None:
    """Open the dock, train for a while, take the picture."""
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        os.environ["SARTORIUS_STATE"] = str(work / "state")
        os.environ["SARTORIUS_MODELS"] = str(work / "models")
        data = write_scenes(work)
        (work / "short.json").write_text(json.dumps(RECIPE))
        viewer = napari.Viewer(show=True)
        viewer.window._qt_window.resize(1400, 900)
        dock = SartoriusDock(viewer)
        viewer.window.add_dock_widget(dock, name="Sartorius", area="right")
        viewer.window._qt_window.resizeDocks([dock.parent()], [360], Qt.Orientation.Horizontal)
        viewer.open(str(work / "field_1.png"))
        tab = dock.others.train
        dock.tabs.setCurrentWidget(tab.parentWidget())
        tab.setup.start.select_data("neurons")
        tab.setup.recipe.take(str(work / "short.json"))
        tab.setup.data.take(str(data))
        tab.setup.name.setText("neurons-mine")
        wait(lambda: tab.setup.plan.is_ready)
        tab.setup.run_button.click()
        page = tab.run_page
        wait(lambda: shown(page) >= 7 and page.samples.isVisible())
        viewer.reset_view()
        pause(1.5)
        window = viewer.screenshot(canvas_only=False, flash=False)
        Image.fromarray(window[..., :3]).save(HERE / "training.png", optimize=True)
        dock.shut_down()
        viewer.close()


if __name__ == "__main__":
    main()
