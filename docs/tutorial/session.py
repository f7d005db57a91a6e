"""Walks through the tutorial in real windows, measures it, and takes its pictures.

Run it from the repository root, with a display (``scripts/with_display.sh`` makes one)::

    scripts/with_display.sh python python docs/tutorial/session.py

The first window is killed with SIGKILL right after the last correction; the second one opens the
project again. Everything is asserted on the way: the labels after the crash, and the exported masks
as pycocotools reads them. The measured times go into the table of the page.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import napari
import numpy as np
from npe2 import PluginManager, PluginManifest
from PIL import Image
from walk import PLUGIN, Walk, same_masks, wait

import napari_sartorius

DOCS = Path(__file__).parents[1]
PAGE = DOCS / "guide" / "tutorial.md"
PICTURES = DOCS / "images" / "tutorial"
BEGIN, END = "<!-- times: written by docs/tutorial/session.py -->", "<!-- times: end -->"
_COLOURS = 256, 160, 96, 64
_MOST_BYTES = 150_000
_SIZE = 1180, 800
_JOURNAL_S = 0.2  # what is promised: an edit is on the disk this long after its end


def save_small(picture: Image.Image, path: Path) -> None:
    """Save a picture with as many colours as fit into the size wished for."""
    for colours in _COLOURS:
        picture.quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size <= _MOST_BYTES:
            break


def open_window() -> Walk:
    """A window with the dock, whose pictures go to the documentation."""
    plugins = PluginManager.instance()
    plugins.discover()
    if PLUGIN not in plugins:  # run from a source tree that is not installed
        manifest = Path(napari_sartorius.__file__).parent / "napari.yaml"
        plugins.register(PluginManifest.from_file(manifest))
    viewer = napari.Viewer(show=True)
    viewer.window._qt_window.resize(*_SIZE)
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Sartorius")

    def shoot(name: str, dialog: Any = None) -> None:
        wait(0.4)
        if dialog is None:
            picture = Image.fromarray(viewer.screenshot(canvas_only=False, flash=False)[..., :3])
        else:
            path = PICTURES / f"{name}.png"
            dialog.grab().save(str(path))
            picture = Image.open(path).convert("RGB")
        save_small(picture, PICTURES / f"{name}.png")

    walk = Walk(viewer, dock, shoot)
    dock.segment.model.models.select_data("neurons")
    wait(60, lambda: "Looking" not in dock.segment.run_panel.device_text.text())
    return walk


def first(folder: Path) -> None:
    """From the sample to the last correction; then wait to be killed."""
    walk = open_window()
    truth = walk.open_sample()
    walk.make_project(folder / "experiment")
    walk.segment()
    walk.go_to_correct()
    used = walk.correct(truth)
    np.save(folder / "on_screen.npy", walk.layer.data)
    walk.layer.features.to_pickle(folder / "on_screen.pkl")
    (folder / "first.json").write_text(json.dumps({"times": walk.times, "used": used}))
    wait(_JOURNAL_S)
    print("ready", flush=True)
    wait(600)


def second(folder: Path) -> None:
    """From opening the project again to the exported masks."""
    import pandas as pd

    walk = open_window()
    said = walk.reopen(folder / "experiment")
    np.testing.assert_array_equal(walk.layer.data, np.load(folder / "on_screen.npy"))
    before = pd.read_pickle(folder / "on_screen.pkl").set_index("index")
    after = walk.layer.features.set_index("index").loc[before.index]
    columns = ["category", "source", "reviewed"]
    assert (after[columns] == before[columns]).all(axis=None)
    assert "restored" in said, said
    walk.finish_review()
    file = walk.export()
    with walk.timed("Compare every mask with pycocotools"):
        count = same_masks(file, np.asarray(walk.layer.data))
    result = {"times": walk.times, "said": said, "count": count}
    (folder / "second.json").write_text(json.dumps(result))
    walk.dock.shut_down()
    walk.viewer.close()


def kill_after_the_last_stroke(folder: Path) -> None:
    """Run the first part and end it as a crash would."""
    command = [sys.executable, __file__, "first", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        if not any(line.strip() == "ready" for line in process.stdout):
            raise SystemExit("the first part failed; its error stands above")
        os.kill(process.pid, signal.SIGKILL)


def table(times: dict[str, list[float]]) -> str:
    """The measured times as a table in Markdown."""
    lines = ["| step | how often | time |", "|---|---|---|"]
    for step, values in times.items():
        middle = statistics.median(values)
        shown = f"{middle:.1f} s" if middle >= 0.95 else f"{middle * 1e3:.0f} ms"
        lines.append(f"| {step} | {len(values)} | {shown} |")
    return "\n".join(lines)


def main() -> None:
    """Both parts, and what they measured into the page."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["SARTORIUS_STATE"] = str(folder / "state")
        start = time.monotonic()
        kill_after_the_last_stroke(folder)
        subprocess.run([sys.executable, __file__, "second", name], check=True)
        whole = time.monotonic() - start
        one, two = (json.loads((folder / f"{n}.json").read_text()) for n in ("first", "second"))
    times = one["times"]
    for step, values in two["times"].items():
        times.setdefault(step, []).extend(values)
    print(table(times))
    print(f"tools: {', '.join(one['used'])}; after the kill: {two['said']}")
    print(f"{two['count']} masks are the same in pycocotools; {whole:.0f} s in all")
    if PAGE.is_file():
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        PAGE.write_text(f"{before}{BEGIN}\n{table(times)}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        {"first": first, "second": second}[sys.argv[1]](Path(sys.argv[2]))
    else:
        main()
