"""How long corrections take until they are seen, beside assigning a changed array to the layer."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from report import Row, keep

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_sartorius.ui.correct.correct_tab import CorrectTab

_SIDE = 4096
_COUNT = 5_000
_ROUNDS = 15
_EDIT_MS = 50.0
_SELECTION_MS = 30.0


def scene() -> NDArray[np.uint16]:
    """A field of touching pairs of discs: 5,000 cells on 4,096 x 4,096 pixels."""
    labels = np.zeros((_SIDE, _SIDE), np.uint16)
    columns = 71
    pitch = _SIDE // columns
    y, x = np.mgrid[:pitch, :pitch]
    # two overlapping discs, so that every cell has a waist to split it at
    disc = (y - 28) ** 2 + (x - 18) ** 2 <= 14**2
    disc |= (y - 28) ** 2 + (x - 38) ** 2 <= 14**2
    for n in range(_COUNT):
        top, left = n // columns * pitch, n % columns * pitch
        labels[top : top + pitch, left : left + pitch][disc] = n + 1
    return labels


def repaint() -> None:
    """Let everything happen that the event loop has to do, drawing included."""
    from qtpy.QtWidgets import QApplication

    QApplication.processEvents()
    QApplication.processEvents()


def milliseconds(action: Callable[[], object]) -> float:
    """From the call to the drawn canvas."""
    repaint()
    start = time.perf_counter()
    action()
    repaint()
    return (time.perf_counter() - start) * 1e3


def open_viewer() -> tuple[Any, Labels, CorrectTab]:
    """A window with an image, the labels over it, and the dock at its Correct tab."""
    import napari
    import pandas as pd

    from napari_sartorius.ui.correct.correct_tab import CorrectTab

    viewer = napari.Viewer(show=True)
    viewer.window.resize(1400, 900)
    labels = scene()
    rng = np.random.default_rng(0)
    viewer.add_image(rng.integers(0, 255, labels.shape, dtype=np.uint8))
    layer = viewer.add_labels(
        labels,
        features=pd.DataFrame(
            {
                "index": np.arange(1, _COUNT + 1),
                "score": rng.uniform(0.3, 1.0, _COUNT).astype(np.float32),
                "category": rng.choice(["shsy5y", "astro"], _COUNT),
            }
        ),
    )
    tab = CorrectTab(viewer)
    viewer.window.add_dock_widget(tab, name="Correct", area="right")
    for _ in range(5):
        repaint()
    return viewer, layer, tab


def naive(layer: Labels, label: int, into: int) -> Callable[[], None]:
    """Relabel the way plugins do that know no history: a changed copy becomes the layer's data."""

    def act() -> None:
        changed = layer.data.copy()
        changed[changed == label] = into
        layer.data = changed
        layer.features = layer.features[layer.features["index"] != label]

    return act


def ours(tab: CorrectTab, fresh: list[int]) -> dict[str, list[float]]:
    """Times of every tool, each on cells of its own; every step is undone again."""
    times: dict[str, list[float]] = {}

    def measure(name: str, prepare: list[int], action: Callable[[], object]) -> None:
        tab.select(prepare)
        times.setdefault(name, []).append(milliseconds(action))
        times.setdefault("undo", []).append(milliseconds(tab.runner.undo))

    for _ in range(_ROUNDS):
        first, second = fresh.pop(), fresh.pop()
        measure("delete", [first], lambda: tab.runner.run("delete"))
        measure("merge two", [first, second], lambda: tab.runner.run("merge"))
        measure("split at a waist", [first], lambda: tab.runner.run("seeds"))
        y0, x0, y1, x1 = tab.session.rows.boxes[()][first]
        line = np.array([[y0 - 2.0, (x0 + x1) / 2], [y1 + 2.0, (x0 + x1) / 2]])
        measure("split by a line", [], lambda line=line: tab.session.split_by_line(line))
        measure("change the category", [first], lambda: tab.runner.give_category("other"))
        tab.select([])
        times.setdefault("select", []).append(milliseconds(lambda one=first: tab.select([one])))
    return times


def main() -> None:
    """Alternate the two sides in one window, take medians."""
    from qtpy.QtWidgets import QApplication

    viewer, layer, tab = open_viewer()
    fresh = np.random.default_rng(1).permutation(np.arange(1, _COUNT)).tolist()
    ours(tab, fresh[: 2 * _ROUNDS])  # not counted: imports, first drawings
    mine = ours(tab, fresh[2 * _ROUNDS :])
    still = [milliseconds(lambda: layer.events.opacity()) for _ in range(_ROUNDS)]
    tab.stop()
    other = [milliseconds(naive(layer, fresh[n], 0)) for n in range(_ROUNDS)]
    back = layer.data
    other_undo = [milliseconds(lambda: setattr(layer, "data", back.copy())) for _ in other]
    viewer.close()
    QApplication.processEvents()

    simple, floor = statistics.median(other), statistics.median(still)
    rows = []
    for name, values in mine.items():
        median = statistics.median(values)
        limit = _SELECTION_MS if name == "select" else _EDIT_MS
        beside = statistics.median(other_undo) if name == "undo" else simple
        mine_text = f"{median:.0f} ms ({max(median - floor, 0):.0f} beyond drawing)"
        rows.append(
            Row(
                f"{name}, against what is allowed",
                mine_text,
                f"{limit:.0f} ms",
                median / limit,
                limit=1.0,
            )
        )
        if name != "select":
            rows.append(
                Row(
                    f"{name}, against a new array",
                    mine_text,
                    f"{beside:.0f} ms",
                    median / beside,
                    limit=1.0,
                )
            )
    keep(
        "editing",
        "Correcting cells",
        f"{_SIDE} x {_SIDE} labels with {_COUNT:,} cells in a window of 1,400 x 900, from call to "
        f"drawn canvas, table included; medians of {_ROUNDS}. The naive way copies the array, "
        "changes it and assigns it to the layer; it can undo nothing. Drawing the same canvas once "
        f"more takes {floor:.0f} ms of each figure.",
        rows,
    )


if __name__ == "__main__":
    main()
