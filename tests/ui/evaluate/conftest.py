"""The Evaluate tab beside two label layers with one object of each outcome."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from napari.components import ViewerModel

from napari_sartorius.ui.evaluate.evaluate_tab import EvaluateTab

TRUE = (  # label and (y0, x0, y1, x1)
    (1, (0, 0, 4, 4)),  # found
    (2, (0, 10, 4, 14)),  # missed
    (3, (8, 0, 12, 4)),  # merged with the next one
    (4, (8, 4, 12, 8)),
    (5, (8, 20, 12, 32)),  # split
    (9, (16, 0, 20, 8)),  # found badly
)
FOUND = (
    (11, (0, 0, 4, 3)),
    (12, (0, 30, 4, 34)),  # extra
    (13, (8, 0, 12, 8)),
    (14, (8, 20, 12, 24)),
    (15, (8, 24, 12, 28)),
    (16, (8, 28, 12, 32)),
    (17, (16, 4, 20, 14)),
)
PLACEMENT = {
    "scale": (0.5, 0.25),
    "translate": (3.0, 7.0),
    "units": ("um", "um"),
    "axis_labels": ("row", "column"),
}


def picture(objects: Any, shape: tuple[int, int] = (24, 40)) -> np.ndarray[Any, Any]:
    labels = np.zeros(shape, np.uint16)
    for label, (y0, x0, y1, x1) in objects:
        labels[y0:y1, x0:x1] = label
    return labels


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def truth(viewer: Any) -> Any:
    return viewer.add_labels(picture(TRUE), name="ground truth", **PLACEMENT)


@pytest.fixture
def found(viewer: Any, truth: Any) -> Any:
    table = {"index": [label for label, _ in FOUND], "score": np.linspace(0.9, 0.3, len(FOUND))}
    return viewer.add_labels(
        picture(FOUND), name="cells", features=pd.DataFrame(table), **PLACEMENT
    )


@pytest.fixture
def tab(viewer: Any, qtbot: Any) -> Any:
    """The tab, on screen as the user has it."""
    made = EvaluateTab(viewer)
    qtbot.addWidget(made)
    made.resize(350, 800)
    made.show()
    yield made
    made.stop()


@pytest.fixture
def compare(tab: Any, qtbot: Any) -> Any:
    """Press the button and wait for the picture."""

    def run() -> Any:
        tab.compare_button.click()
        wait(tab, qtbot)
        return tab.panel

    return run


def wait(tab: Any, qtbot: Any) -> None:
    """Wait until what the slider says is painted."""
    qtbot.waitUntil(
        lambda: (
            tab.panel.compared is not None
            and tab.panel.is_painted
            and tab.compare_button.text() == "Compare"
        )
    )


@pytest.fixture
def settled(tab: Any, qtbot: Any) -> Any:
    return lambda: wait(tab, qtbot)
