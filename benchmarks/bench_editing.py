"""How long corrections take until they are seen, beside assigning a changed array to the layer."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from canvas_clock import CanvasClock, Taken, middle, settle
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
_JOURNAL_MS = 50.0
_OPENING_S = 3.0
_UPDATES = 30.0


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


def table() -> dict[str, NDArray[Any]]:
    """A row for each cell."""
    rng = np.random.default_rng(0)
    return {
        "index": np.arange(1, _COUNT + 1),
        "score": rng.uniform(0.3, 1.0, _COUNT).astype(np.float32),
        "category": rng.choice(["shsy5y", "astro"], _COUNT),
    }


def write_project(folder: Path) -> Path:
    """Make a project with the scene as its only image."""
    import tifffile

    from napari_sartorius.io.project import create_project
    from napari_sartorius.io.project.layer_cells import add_layer_cells

    rng = np.random.default_rng(0)
    tifffile.imwrite(folder / "field.tif", rng.integers(0, 255, (_SIDE, _SIDE), np.uint8))
    project = create_project(folder / "project")
    project.add_files([folder / "field.tif"])
    add_layer_cells(project, project.images[0].file_name, scene(), table())
    project.save()
    project.close()
    return folder / "project"


def naive(layer: Labels, label: int, into: int) -> Callable[[], None]:
    """Relabel the way plugins do that know no history: a changed copy becomes the layer's data."""

    def act() -> None:
        changed = layer.data.copy()
        changed[changed == label] = into
        layer.data = changed
        layer.features = layer.features[layer.features["index"] != label]

    return act


def ours(clock: CanvasClock, tab: CorrectTab, fresh: list[int]) -> dict[str, list[Taken]]:
    """Times of every tool, each on cells of its own; every step is undone again."""
    times: dict[str, list[Taken]] = {}

    def measure(name: str, prepare: list[int], action: Callable[[], object]) -> None:
        tab.select(prepare)
        times.setdefault(name, []).append(clock.take(action))
        times.setdefault("undo", []).append(clock.take(tab.runner.undo))

    while fresh:
        one = fresh.pop()
        beside = one + 1  # the next one in the row
        measure("delete", [one], lambda: tab.runner.run("delete"))
        measure("merge two neighbours", [one, beside], lambda: tab.runner.run("merge"))
        measure("split at a waist", [one], lambda: tab.runner.run("seeds"))
        y0, x0, y1, x1 = tab.session.rows.boxes[()][one]
        line = np.array([[y0 - 2.0, (x0 + x1) / 2], [y1 + 2.0, (x0 + x1) / 2]])
        measure("split by a line", [], lambda line=line: tab.session.split_by_line(line))
        measure("change the category", [one], lambda: tab.runner.give_category("other"))
        tab.select([])
        times.setdefault("select", []).append(clock.take(lambda one=one: tab.select([one])))
        times.setdefault("drawing", []).append(clock.redraw())
    return times


def stroke(session: Any, label: int, journaled: bool) -> Taken:
    """From the end of a brush stroke until it was drawn, or until the journal has it besides."""
    from qtpy.QtWidgets import QApplication

    layer = session.labels
    layer.selected_label = label
    y, x = 57 * (label % 70) + 2.0, 57.0 * (label % 31)
    settle()
    time.sleep(0.3)
    settle()
    entries = session.project.unsaved
    with layer.block_history():
        for step in range(12):
            layer.paint((y, x + 3 * step), label)
        start, work = time.perf_counter(), time.thread_time()
    QApplication.processEvents()
    while journaled and session.project.unsaved == entries:
        QApplication.processEvents()
    elapsed = (time.perf_counter() - start) * 1e3
    return Taken(elapsed, elapsed, (time.thread_time() - work) * 1e3, 1)


def score_work(clock: CanvasClock, layer: Labels) -> tuple[Taken, Taken, float, float]:
    """Move the score slider, where each place hides other cells; and draw the same once more.

    The last two are frames of the window per second: while the slider moves, and of the same.
    """
    from napari_sartorius.ui.result_view import ResultView

    view = ResultView(layer)
    view.apply()

    def move(to: float) -> None:
        view.min_score = to
        view.apply()

    taken, drawn = [], []
    for to in np.linspace(0.35, 0.95, _ROUNDS):
        taken.append(clock.take(lambda to=to: move(to)))
        drawn.append(clock.redraw())
    places = np.linspace(0.35, 0.95, 3 * _ROUNDS)
    moving = clock.frames_per_second([lambda to=to: move(to) for to in places])
    still = clock.frames_per_second([clock.update] * len(places))
    view.min_score = 0.0
    view.apply()
    view.stop()
    return middle(taken), middle(drawn), moving, still


def main() -> None:
    """Alternate the sides in one window, take medians."""
    with tempfile.TemporaryDirectory() as place:
        os.environ["SARTORIUS_STATE"] = place
        _measure(Path(place))


def _measure(place: Path) -> None:
    import napari
    from qtpy.QtWidgets import QApplication

    from napari_sartorius.ui.correct.correct_tab import CorrectTab
    from napari_sartorius.ui.project.session import ProjectSession

    folder = write_project(place)
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1400, 900)
    clock = CanvasClock(viewer)
    session = ProjectSession(viewer)
    start, work = time.perf_counter(), time.process_time()
    session.open(folder)
    settle()
    opening, opening_work = time.perf_counter() - start, time.process_time() - work
    layer = session.labels
    # before anybody follows the pixels: what napari itself needs at the end of a stroke
    session.recorder.stop()
    alone = middle([stroke(session, _COUNT + 1 + n, False) for n in range(_ROUNDS)])
    current = session.current
    session.close()
    session.open(folder)
    assert session.current == current
    layer = session.labels

    tab = CorrectTab(viewer)
    viewer.window.add_dock_widget(tab, name="Correct", area="right")
    settle()
    odd = np.random.default_rng(1).permutation(np.arange(1, _COUNT, 2)).tolist()
    ours(clock, tab, odd[:3])  # not counted: imports, first drawings
    mine = ours(clock, tab, odd[3 : 3 + _ROUNDS])
    floor = middle(mine.pop("drawing"))
    journaled = middle([stroke(session, _COUNT + 100 + n, True) for n in range(_ROUNDS)])
    tab.stop()
    session.recorder.stop()
    slider, slider_floor, moving, still = score_work(clock, layer)
    cells = odd[-_ROUNDS:]
    other = middle([clock.take(naive(layer, cell, 0)) for cell in cells])
    back = layer.data
    undo = middle([clock.take(lambda: setattr(layer, "data", back.copy())) for _ in cells])
    session.close()
    viewer.close()
    QApplication.processEvents()

    rows = [_row(name, middle(taken), floor) for name, taken in mine.items()]
    rows.append(_redraw(middle(mine["select"]), floor, "selecting"))
    rows += [
        _beside(name, middle(taken), undo if name == "undo" else other)
        for name, taken in mine.items()
        if name != "select"
    ]
    journal = journaled.canvas - alone.canvas
    work = slider.work - slider_floor.work
    rows += [
        Row(
            "stroke's end to its line in the journal, beyond napari's own",
            f"{journal:.0f} ms ({journaled.work - alone.work:.0f} of work)",
            f"{_JOURNAL_MS:.0f} ms",
            journal / _JOURNAL_MS,
            limit=1.0,
        ),
        Row(
            "opening the project",
            f"{opening:.1f} s ({opening_work:.1f} s of work)",
            f"{_OPENING_S:.0f} s",
            opening / _OPENING_S,
            limit=1.0,
        ),
        Row(
            "one move of the score slider",
            f"{_said(slider)}, {work:.0f} of work",
            f"{1000 / _UPDATES:.0f} ms",
            slider.painted * _UPDATES / 1000,
            limit=1.0,
        ),
        _redraw(slider, slider_floor, "moving the slider"),
        Row(
            "windows on the screen per second while the slider moves",
            f"{moving:.0f}",
            f"{still:.0f} without a change",
            still / moving,
        ),
    ]
    width, height = clock.size
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg()[:1])
    keep(
        "editing",
        "Correcting cells",
        f"{_SIDE} x {_SIDE} labels with {_COUNT:,} cells in a project, canvas of {width} x "
        f"{height} in a window of 1,400 x 900, medians of {_ROUNDS}, from the call to the "
        "repainted canvas (its drawing is complete), with the table up to date; in brackets to the "
        "window on the screen. The processor draws here, where a graphics card needs a few "
        "milliseconds: "
        f"painting the same canvas once more takes {floor.painted:.0f} ms, and until Qt has put "
        f"the window together and handed it over {floor.canvas:.0f} ms. 'Of work' is the time of "
        "the window's thread on its processor core without what that drawing takes of it. The "
        "naive way copies the array, changes it and assigns it to the layer; it can undo nothing. "
        f"Load of the machine during the run: {load}.",
        rows,
    )


def _row(name: str, taken: Taken, floor: Taken) -> Row:
    limit = _SELECTION_MS if name == "select" else _EDIT_MS
    return Row(
        f"{name}, against what is allowed",
        f"{_said(taken)}, {taken.work - floor.work:.0f} of work",
        f"{limit:.0f} ms",
        taken.painted / limit,
        limit=1.0,
    )


def _redraw(taken: Taken, floor: Taken, what: str) -> Row:
    return Row(
        f"of {what}, drawing the same once more",
        _said(floor),
        _said(taken),
        floor.painted / taken.painted,
    )


def _beside(name: str, taken: Taken, other: Taken) -> Row:
    return Row(
        f"{name}, against a new array",
        _said(taken),
        _said(other),
        taken.painted / other.painted,
        limit=1.0,
    )


def _said(taken: Taken) -> str:
    return f"{taken.painted:.0f} ms (screen {taken.canvas:.0f} ms)"


if __name__ == "__main__":
    main()
