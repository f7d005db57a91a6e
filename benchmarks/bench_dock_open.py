"""How long the dock takes to open, beside an empty magicgui dock in the same kind of viewer."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

from report import Row, keep

_ROUNDS = 9

_OPEN = """
import sys, time
import napari
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QApplication
from npe2 import PluginManager
PluginManager.instance().discover()  # as the Plugins menu did before anybody could choose the dock
viewer = napari.Viewer(show=True)
QApplication.processEvents()
class Painted(QObject):
    seen = False
    def eventFilter(self, target, event):
        self.seen = self.seen or event.type() == QEvent.Type.Paint
        return False
painted = Painted()
start = time.perf_counter()
if {ours}:
    from napari_sartorius.ui.dock import SartoriusDock
    widget = SartoriusDock(viewer)
    inside = widget.tabs
else:
    from magicgui import magicgui
    @magicgui(call_button="Run")
    def widget(): ...
    inside = widget.call_button.native
inside.installEventFilter(painted)
viewer.window.add_dock_widget(widget, name="dock", area="right")
while not painted.seen:
    QApplication.processEvents()
drawn = time.perf_counter() - start
while True:  # until the window rests
    painted.seen = False
    QApplication.processEvents()
    if not painted.seen:
        break
print(drawn, time.perf_counter() - start)
assert "torch" not in sys.modules
viewer.close()
"""


def open_once(ours: bool) -> tuple[float, float]:
    """Seconds, in a new process, from asking for the dock to seeing it and to the window's rest."""
    # an installed package comes with its byte code; a fresh checkout gets it in the first round
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    run = subprocess.run(
        [sys.executable, "-c", _OPEN.format(ours=ours)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if run.returncode:
        raise RuntimeError(run.stderr[-2000:])
    seen, rest = run.stdout.split()[-2:]
    return float(seen), float(rest)


def main() -> None:
    """Alternate the two, take medians."""
    times: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    for ours in (False, True):  # not counted: compiles our modules
        open_once(ours)
    for _ in range(_ROUNDS):
        for ours in (False, True):
            times[ours].append(open_once(ours))
    rows = []
    for column, what in enumerate(("until it is drawn", "until nothing is drawn any more")):
        mine = statistics.median(pair[column] for pair in times[True])
        empty = statistics.median(pair[column] for pair in times[False])
        rows.append(
            Row(what, f"{mine * 1e3:.0f} ms", f"{empty * 1e3:.0f} ms", mine / empty, limit=1.5)
        )
    keep(
        "dock_open",
        "Opening the dock",
        "From asking for the dock to seeing it, imports included, in an open viewer; median of "
        f"{_ROUNDS} new processes each, with byte code compiled beforehand as by pip. The other "
        "side is a magicgui function without arguments.",
        rows,
    )


if __name__ == "__main__":
    main()
