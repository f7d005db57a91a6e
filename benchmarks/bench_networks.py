"""Whole networks beside detectron2's or torchvision's, where their time goes, and the first start.

python benchmarks/bench_networks.py [--rounds 5] [--parts]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import torch
from ours import DETECTIONS, PRECISIONS, Ours, picture
from part_table import keep_parts
from parts import now
from report import Row, keep
from stock_trained import TRAINED_CELLS, TRAINED_CLASSES, trained_state
from yardsticks import Depth, yardstick

from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.stock import stock_mask_rcnn

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sartorius.core.masks import CropMasks

_CLASSES = 3
_BUNDLED = ("neurons", "nuclei")
# Promised on the processor, on a graphics card, and for the first start in seconds.
_LIMIT, _LIMIT_CUDA, _LIMIT_START = 0.40, 0.50, 3.0
_LIMIT_MASKS = 0.01
_BATCH_CUDA = 8

_START = """
import time
start = time.perf_counter()
import napari_sartorius
from napari_sartorius.samples.phase_contrast import phase_contrast_scene
image, _ = phase_contrast_scene()
made = time.perf_counter()
model = napari_sartorius.load_model({name!r}, device="cpu")
loaded = time.perf_counter()
model.segment(image, preset="fast")
print(loaded - made, time.perf_counter() - made)
"""


def alternate(sides: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each side; they take turns, after one round that does not count."""
    spent: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, side in sides.items():
            start = now()
            side()
            if turn:
                spent[name].append(now() - start)
    return {name: statistics.median(times) for name, times in spent.items()}


def stock_rows(depth: Depth, edge: int, device: str, rounds: int) -> list[Row]:
    """One stock network in every arithmetic beside the other program with the same weights."""
    torch.manual_seed(0)
    trained = trained_state(depth)
    classes = _CLASSES if trained is None else TRAINED_CLASSES
    tree = stock_mask_rcnn(depth, classes)
    state = build_network(tree).state_dict() if trained is None else trained
    name, other = yardstick(depth, classes, DETECTIONS, state, device)
    on_card = device != "cpu"
    images = [picture() if trained is None else picture(cells=TRAINED_CELLS)] * (
        _BATCH_CUDA if on_card else 1
    )
    ours = {precision: Ours(tree, state, precision, device) for precision in PRECISIONS}
    sides: dict[str, Callable[[], object]] = {"other": lambda: other(images, edge)}
    for precision, one in ours.items():
        sides[precision] = lambda one=one: one.find(images, edge)  # type: ignore[misc]
    times = alternate(sides, rounds)
    wanted = ours["float32"].find(images, edge)[0][1]
    theirs = other(images, edge)[0]
    what = f"R{depth}-FPN, {'random' if trained is None else 'trained'}, 704 x 520 at {edge} px"
    what += f", batch of {_BATCH_CUDA} on the graphics card" if on_card else ""
    rows = []
    for precision, one in ours.items():
        mine = one.find(images, edge)[0][1]
        rows.append(
            Row(
                f"{what}, {precision}, {len(mine)} objects",
                f"{times[precision] * 1e3:.0f} ms",
                f"{times['other'] * 1e3:.0f} ms, {theirs} objects, {name}",
                times[precision] / times["other"],
                _LIMIT_CUDA if on_card else _LIMIT,
            )
        )
        if precision != "float32":
            limit = None if trained is None else _LIMIT_MASKS
            rows.append(agreement(f"{what}, {precision} beside float32", mine, wanted, limit))
    return rows


def agreement(
    what: str, mine: CropMasks, wanted: CropMasks, limit: float | None = _LIMIT_MASKS
) -> Row:
    """How far masks are from those of float32, over the objects that both have."""
    best = mine.iou(wanted).max(axis=0) if len(mine) and len(wanted) else np.zeros(0)
    both = best[best > 0.5]
    mean = float(both.mean()) if len(both) else 0.0
    return Row(
        f"1 - mean IoU: {what}",
        f"{mean:.4f} over {len(both)}",
        f"{len(wanted)} objects",
        1 - mean,
        limit,
    )


def trained_rows() -> list[Row]:
    """The bundled models, which are trained, in every arithmetic on the same picture."""
    from napari_sartorius.engine.settings import segment_config
    from napari_sartorius.inference.segmenter import Segmenter
    from napari_sartorius.zoo import find_bundle

    rows = []
    for name in _BUNDLED:
        channels = find_bundle(name).card.input_channels
        image = np.squeeze(picture(channels).permute(1, 2, 0).byte().numpy())
        found = {}
        for precision in PRECISIONS:
            config = segment_config(
                model=name, device="cpu", precision=precision, preset="fast", min_score=0.3
            )
            found[precision] = Segmenter(find_bundle(name), config).segment(image).instances.masks
        for precision in PRECISIONS[1:]:
            what = f"{name} (trained), {precision} beside float32"
            rows.append(agreement(what, found[precision], found["float32"]))
    return rows


def start_rows() -> list[Row]:
    """From asking for a bundled model in a new process to the objects of the first image."""
    rows = []
    for name in _BUNDLED:
        runs = []
        for _ in range(3):
            command = [sys.executable, "-c", _START.format(name=name)]
            run = subprocess.run(command, capture_output=True, text=True, check=True)
            runs.append([float(text) for text in run.stdout.split()[-2:]])
        loaded, done = (statistics.median(times) for times in zip(*runs, strict=True))
        rows.append(
            Row(
                f"{name}: a new process's first image, seconds",
                f"{done:.2f} s",
                f"{loaded:.2f} s of it to load",
                done,
                _LIMIT_START,
            )
        )
    return rows


def main() -> None:
    """Measure on two threads; the graphics card too when there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side")
    parser.add_argument(
        "--parts", action="store_true", help="only where the time of each family goes"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    if arguments.parts:
        keep_parts()
        return
    rounds = arguments.rounds
    rows = []
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        for depth in (50, 101):
            for edge in (520, 800):
                rows += stock_rows(depth, edge, device, rounds)
    keep(
        "networks",
        "Whole networks beside detectron2 or torchvision",
        f"Two threads; medians of {rounds} turns, sides taking turns in one process. From a float "
        "image to masks in its own pixels, with the same weights on both sides and at most "
        f"{DETECTIONS} objects. Trained ones are those of `stock_trained.py`, on a generated field "
        f"of {TRAINED_CELLS} cells. Networks with random weights turn rounding into other objects.",
        [*rows, *trained_rows(), *start_rows()],
    )
    keep_parts()


if __name__ == "__main__":
    main()
