"""How good the masks are that a model draws where a person points, and how long they take.

Needs annotated images: folders with ``annotations.json`` (COCO) beside the images.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from report import Row, keep

from napari_sartorius.engine.context import WarmCache
from napari_sartorius.engine.prompt_jobs import warm_prompter
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.prepare import prepare
from napari_sartorius.inference.prompt import Prompt, window_around
from napari_sartorius.io.coco import read_coco
from napari_sartorius.io.images import read_image
from napari_sartorius.io.planes import read_plane
from napari_sartorius.zoo import find_bundle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

_JITTER = 0.1  # of a box's sides, each of its edges on its own
_PER_IMAGE = 3
_GOOD = 0.5


Seconds = tuple[float, float]
"""By the clock, and of the processor: the same on a machine that does nothing else."""


@dataclass
class Tally:
    """Agreement with the truth and seconds, prompt by prompt."""

    overlaps: list[float] = field(default_factory=list)
    first: list[Seconds] = field(default_factory=list)
    again: list[Seconds] = field(default_factory=list)

    def __str__(self) -> str:
        good = np.mean(np.array(self.overlaps) > _GOOD)
        return (
            f"mean IoU {np.mean(self.overlaps):.3f}, {100 * good:.0f} % above {_GOOD}, first "
            f"{_median(self.first)}, again {_median(self.again)}"
        )


def _median(seconds: list[Seconds]) -> str:
    wall, busy = (statistics.median(column) * 1e3 for column in zip(*seconds, strict=True))
    return f"{wall:.0f} ms ({busy:.0f} of the processor)"


@dataclass(frozen=True, eq=False)
class Sample:
    """One annotated object and how it is pointed at."""

    prepared: Any
    truth: Any
    box: Prompt
    click: Prompt


def samples(folder: Path, config: SegmentConfig, images: int, seed: int = 0) -> Iterator[Sample]:
    """A few objects of each validation image."""
    rng = np.random.default_rng(seed)
    dataset = read_coco(folder / "annotations.json").split("val")
    card = find_bundle(config.model).card
    chosen = rng.permutation(len(dataset.images))[:images]
    for number in sorted(chosen.tolist()):
        record = dataset.images[number]
        objects = dataset.instances[record.id]
        if not len(objects):
            continue
        picture = read_plane(read_image(folder / record.file_name), ())
        prepared = prepare(picture, card, config)
        for n in rng.permutation(len(objects))[:_PER_IMAGE].tolist():
            truth = objects.masks[np.array([n])].tight()
            yield Sample(prepared, truth, _jittered(truth, rng), _click(truth))


def _jittered(truth: Any, rng: np.random.Generator) -> Prompt:
    x0, y0, x1, y1 = truth.boxes[0].astype(float)
    shift = rng.uniform(-_JITTER, _JITTER, 4) * np.array([x1 - x0, y1 - y0] * 2)
    x0, y0, x1, y1 = (np.array([x0, y0, x1, y1]) + shift).tolist()
    return Prompt(box=(x0, y0, x1, y1))


def _click(truth: Any) -> Prompt:
    """The pixel of the object that is nearest to its centre."""
    bitmap: NDArray[np.bool_] = truth.bitmap(0)
    y, x = np.nonzero(bitmap)
    nearest = np.argmin((y - y.mean()) ** 2 + (x - x.mean()) ** 2)
    left, top = truth.boxes[0, :2]
    return Prompt(points=((float(y[nearest] + top) + 0.5, float(x[nearest] + left) + 0.5),))


def measure(folder: Path, model: str, images: int) -> dict[str, Tally]:
    """Point at the objects of a dataset in both ways."""
    config = SegmentConfig(model=model, device="cpu")
    prompter = warm_prompter(WarmCache(), config)
    diameter = find_bundle(model).card.cell_diameter
    tallies = {"rough box": Tally(), "click": Tally()}

    def timed(action: Callable[[], Any]) -> tuple[Any, NDArray[np.float64]]:
        clocks = time.perf_counter, time.process_time
        begin = np.array([clock() for clock in clocks])
        return action(), np.array([clock() for clock in clocks]) - begin

    for sample in samples(folder, config, images):
        for name, prompt in (("rough box", sample.box), ("click", sample.click)):
            window, cut = timed(lambda p=prompt, s=sample: window_around(s.prepared, p, diameter))
            # what the other way of pointing has seen must not help
            prompter.looks.forget()
            answer, first = timed(lambda w=window, p=prompt: prompter.answer(w, p))
            _, again = timed(lambda w=window, p=prompt: prompter.answer(w, p))
            found = answer.found
            overlap = float(found.masks.iou(sample.truth)[0, 0]) if len(found) else 0.0
            tally = tallies[name]
            tally.overlaps.append(overlap)
            tally.first.append(tuple(cut + first))
            tally.again.append(tuple(again))
    return tallies


def main() -> None:
    """Both bundled models on the images of their kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder that holds sartorius/ and dsb2018/")
    parser.add_argument("--images", type=int, default=1000, help="of each dataset, at most")
    arguments = parser.parse_args()
    rows = []
    for model, name in (("neurons", "sartorius"), ("nuclei", "dsb2018")):
        for way, tally in measure(arguments.data / name, model, arguments.images).items():
            text = f"{model}, {way}, {len(tally.overlaps)} cells of {name}"
            rows.append(Row(text, str(tally), "", float(np.mean(tally.overlaps))))
            print(text, str(tally), flush=True)
    keep(
        "prompts",
        "Letting the model draw a cell",
        "Validation images of both datasets, three cells of each: a box whose edges are off by up "
        "to 10 % of the cell's sides, and a click at the cell's centre. The first time is that of "
        "a place never looked at, the second of another try there. The last column is the mean IoU "
        "with the annotated mask.",
        rows,
    )


if __name__ == "__main__":
    main()
