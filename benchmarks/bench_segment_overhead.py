"""From pressing Run in the dock to the labels layer, beside the time that the network takes of it.

The engine is warm: the model is loaded and the first run is not counted. Everything counts as ours
that is not the network: sending the image, tiling, pasting masks, joining seams, sending the
result back, composing labels and features, adding the layer and drawing it.

Between two runs a second passes, in which a user looks at the result, and the dock makes the layer
of the next one. What that takes is told, and what a run takes that is started before.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import napari
import numpy as np
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QApplication
from report import Row, keep

from napari_sartorius.samples.phase_contrast import phase_contrast_scene
from napari_sartorius.ui.dock import SartoriusDock
from napari_sartorius.ui.segment_request import SegmentRequest
from napari_sartorius.ui.segment_run import SegmentRun
from napari_sartorius.ui.spare_layer import SpareLayer
from napari_sartorius.zoo import find_bundle

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Labels

_ROUNDS = 5
_PATIENCE = 600.0
_LOOKED_AT = 1.0  # seconds that a result is looked at
_CELLS, _LOWEST = 410, 0.05  # so many cells of the scene, kept from this score up, are 300 found


class Spans:
    """Adds up the seconds that some methods of the dock take."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.ended: dict[str, float] = {}

    def watch(self, owner: type, method: str) -> None:
        """Time every call of a method from now on, in whatever thread."""
        inner: Callable[..., Any] = getattr(owner, method)

        @functools.wraps(inner)
        def timed(*arguments: Any, **named: Any) -> Any:
            start = time.perf_counter()
            try:
                return inner(*arguments, **named)
            finally:
                self.ended[method] = time.perf_counter()
                self.seconds[method] += self.ended[method] - start

        setattr(owner, method, timed)


def press_run(viewer: napari.Viewer, dock: SartoriusDock, spans: Spans) -> tuple[float, Labels]:
    """Seconds from Run to the drawn layer, and the layer; `spans` tells of what they consist."""
    failures: list[str] = []
    dock.bridge.failed.connect(failures.append)
    known = len(viewer.layers)
    spans.seconds.clear()
    loop = QEventLoop()  # as in napari: asking again and again would take time from the network
    stop = loop.quit
    viewer.layers.events.inserted.connect(lambda event: QTimer.singleShot(0, stop))
    dock.bridge.failed.connect(stop)
    QTimer.singleShot(int(_PATIENCE * 1e3), stop)
    start = time.perf_counter()
    dock.segment.run()
    loop.exec()
    if failures:
        raise RuntimeError(failures[0])
    QApplication.processEvents()
    elapsed = time.perf_counter() - start
    if len(viewer.layers) == known:
        raise RuntimeError(f"no labels layer after {_PATIENCE:.0f} s")
    spans.seconds["drawing"] = start + elapsed - spans.ended["_on_finished"]
    return elapsed, viewer.layers[-1]


def wait(seconds: float) -> None:
    """Let the window live on."""
    loop = QEventLoop()
    QTimer.singleShot(int(seconds * 1e3), loop.quit)
    loop.exec()


def timings_of(layer: Labels) -> dict[str, float]:
    """Seconds per stage, as the result layer carries them."""
    for value in layer.metadata.values():
        if isinstance(value, dict) and "timings" in value:
            return dict(value["timings"])
    raise RuntimeError("the layer carries no timings")


def parts_of(total: float, layer: Labels, spans: Spans) -> dict[str, float]:
    """Seconds of everything but the network, by what they were spent on."""
    stages = timings_of(layer)
    known = {
        "reading the image": spans.seconds["make_job"],
        "worker, without the network": sum(stages.values()) - stages["network"],
        "composing labels and table": spans.seconds["compose"],
        "making and adding the layer": spans.seconds["_on_finished"],
        "drawing": spans.seconds["drawing"],
    }
    rest = total - stages["network"] - sum(known.values())
    return {**known, "between dock and worker, both ways": rest}


def add_alone(viewer: napari.Viewer, labels: np.ndarray) -> float:
    """Seconds that napari takes to add and draw a labels layer, whoever made it."""
    QApplication.processEvents()
    start = time.perf_counter()
    layer = viewer.add_labels(labels)
    QApplication.processEvents()
    elapsed = time.perf_counter() - start
    viewer.layers.remove(layer)
    return elapsed


def main() -> None:
    """Measure the default preset on an ordinary field."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="neurons")
    arguments = parser.parse_args()
    image, _ = phase_contrast_scene(cells=_CELLS)
    viewer = napari.Viewer(show=True)
    viewer.add_image(image)
    spans = Spans()
    for owner, method in (
        (SegmentRequest, "make_job"),
        (SegmentRequest, "compose"),
        (SegmentRun, "_on_finished"),
        (SpareLayer, "_prepare"),
    ):
        spans.watch(owner, method)
    dock = SartoriusDock(viewer, cards=[find_bundle(arguments.model).card])
    viewer.window.add_dock_widget(dock, name="Sartorius", area="right")
    for spin in dock.segment.advanced._thresholds.values():
        spin.set_number(_LOWEST)
    looked, at_once, beforehand, count = [], [], [], 0
    for number in range(2 * _ROUNDS + 1):
        elapsed, layer = press_run(viewer, dock, spans)
        count = len(layer.features)
        if number:
            measured = (elapsed, timings_of(layer)["network"], parts_of(elapsed, layer, spans))
            (looked if number % 2 else at_once).append(measured)
        labels = np.asarray(layer.data).copy()
        viewer.layers.remove(layer)
        if number % 2 == 0:
            wait(_LOOKED_AT)
            beforehand.append(spans.seconds["_prepare"])
    parts = [one for _, _, one in looked]
    network = statistics.median(one for _, one, _ in looked)
    rest, rest_at_once = (
        statistics.median(total - one for total, one, _ in rounds) for rounds in (looked, at_once)
    )
    network_at_once = statistics.median(one for _, one, _ in at_once)
    spare = statistics.median(beforehand)
    alone = statistics.median(add_alone(viewer, labels) for _ in range(_ROUNDS))
    keep(
        "segment_overhead",
        "From Run to the labels layer, without the network",
        f"A {image.shape[1]} x {image.shape[0]} field with a warm engine, preset balanced, median "
        f"of {_ROUNDS} runs, each a second after the last result. Ours is everything but the "
        "network: the way to the worker and back, masks, seams, filters, the layer and its "
        "features. The other side is the network.",
        [
            Row(
                f"{count} objects, model {arguments.model}",
                f"{rest * 1e3:.0f} ms",
                f"{network * 1e3:.0f} ms",
                rest / network,
                limit=0.15,
            ),
            *(
                Row(
                    f"of these, {what}",
                    f"{statistics.median(one[what] for one in parts) * 1e3:.0f} ms",
                    f"{network * 1e3:.0f} ms",
                    statistics.median(one[what] for one in parts) / network,
                )
                for what in parts[0]
            ),
            Row(
                "beforehand, while nothing ran: the next result's layer",
                f"{spare * 1e3:.0f} ms",
                f"{network * 1e3:.0f} ms",
                spare / network,
            ),
            Row(
                "started at once after the last, before that was done",
                f"{rest_at_once * 1e3:.0f} ms",
                f"{network_at_once * 1e3:.0f} ms",
                rest_at_once / network_at_once,
            ),
            Row(
                "napari's own adding and drawing of the same labels",
                f"{alone * 1e3:.0f} ms",
                f"{network * 1e3:.0f} ms",
                alone / network,
            ),
        ],
    )
    viewer.close()


if __name__ == "__main__":
    main()
