"""Fusion strategies beside ensemble-boxes and the originals; scores beside pycocotools."""

from __future__ import annotations

import json
import os
import tracemalloc
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import ensemble_boxes
import numpy as np
import yardsticks_fusion as plain
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from report import Row, keep
from stopwatch import processor_seconds

from napari_sartorius.core.found import Found
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.ensemble.box_fusion import non_maximum_weighted, weighted_boxes_fusion
from napari_sartorius.ensemble.config import FusionConfig, build, read_fusion
from napari_sartorius.ensemble.looks import Canvas, Look
from napari_sartorius.evaluation.coco_ap import coco_average_precision
from napari_sartorius.evaluation.competition import competition_score
from napari_sartorius.samples.phase_contrast import phase_contrast_scene

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

STRATEGIES = [kind().strategy for kind in get_args(get_args(FusionConfig)[0])]
_FIELD = (520, 704)


@dataclass(frozen=True, eq=False)
class Scene:
    """Looks at the same cells, and all their objects side by side."""

    size: tuple[int, int]
    looks: list[Look]

    @classmethod
    def of(cls, cells: int, looks: int, size: tuple[int, int] = _FIELD) -> Scene:
        """Cells without much overlap, 14 to 34 pixels wide, a little different in each look."""
        generator = np.random.default_rng(0)
        columns = int(np.ceil(np.sqrt(cells * size[1] / size[0])))
        row, column = np.divmod(np.arange(cells), columns)
        pitch = np.array([size[1] / columns, size[0] / (row[-1] + 1)])
        centre = (np.stack([column, row], 1) + 0.5) * pitch + generator.normal(0, 2, (cells, 2))
        sides = generator.uniform(14, 34, (cells, 2))
        made = []
        for number in range(looks):
            here = centre + generator.normal(0, 0.8, centre.shape)
            wide = sides * generator.normal(1, 0.04, sides.shape)
            boxes = np.concatenate([here - wide / 2, here + wide / 2], axis=1)
            found = Found(
                np.clip(boxes, 0, [size[1], size[0]] * 2).astype(np.float32),
                generator.uniform(0.3, 1, cells).astype(np.float32),
                np.zeros(cells, np.int64),
                _soft_discs(generator.uniform(0.4, 0.5, cells)),
            )
            made.append(Look(found, model=number // 4, view=number % 4))
        return cls(size, made)

    @property
    def canvas(self) -> Canvas:
        """All of it is wanted."""
        return Canvas(self.size, np.full(3, 0.5, np.float32))

    @property
    def columns(self) -> tuple[Any, Any, Any, Any]:
        """Boxes, scores, labels and look of all objects."""
        found = [look.found for look in self.looks]
        return (
            np.concatenate([f.boxes for f in found]).astype(float),
            np.concatenate([f.scores for f in found]).astype(float),
            np.concatenate([f.labels for f in found]),
            np.repeat(np.arange(len(found)), [len(f) for f in found]),
        )

    def frames(self) -> NDArray[np.uint8]:
        """All masks as full frames, as the originals are given them."""
        masks = CropMasks.concatenate([self.canvas.draw(look.found) for look in self.looks])
        return np.stack([masks.full(i) for i in range(len(masks))]).astype(np.uint8)


def _soft_discs(radii: NDArray[np.float64], side: int = 28) -> NDArray[np.float32]:
    place = (np.arange(side) + 0.5) / side - 0.5
    distance = np.hypot(place[:, None], place)
    discs = 1 / (1 + np.exp(25 * (distance - radii[:, None, None])))
    return np.asarray(discs, dtype=np.float32)


def fusing(scene: Scene, name: str, **options: Any) -> Callable[[], Instances]:
    """The strategy on a scene, as a call without arguments."""
    fuse = build(read_fusion({"strategy": name, **options}))
    return partial(fuse, scene.looks, scene.canvas)


def all_strategies(scene: Scene) -> list[Row]:
    """Six models with four views each: seconds, and memory beside what was given."""
    rows = []
    count = sum(len(look.found) for look in scene.looks)
    for name in STRATEGIES:
        fuse = fusing(scene, name)
        time = processor_seconds(fuse, 1.5)
        tracemalloc.start()
        fuse()
        peak = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
        what = f"{name}, {count} masks of {len(scene.looks)} looks"
        rows.append(Row(what, f"{time:.3f} s", "", time, 1))
        rows.append(Row(f"{name}, memory at its peak", f"{peak:.0f} MB", "", peak, 500))
    return rows


def boxes_alone(scene: Scene) -> list[Row]:
    """The same boxes by ensemble-boxes, whose compiled parts are timed with and without that."""
    boxes, scores, labels, look = scene.columns
    unit = boxes / [scene.size[1], scene.size[0], scene.size[1], scene.size[0]]
    count = len(scene.looks)
    listed = [[part[look == k] for k in range(count)] for part in (unit, scores, labels)]
    weights = np.ones(count)

    def wbf() -> Any:
        return weighted_boxes_fusion(boxes, scores, labels, look, weights)

    def nmw() -> Any:
        return non_maximum_weighted(boxes, scores, labels, look, weights)

    theirs = ensemble_boxes.weighted_boxes_fusion(*listed, iou_thr=0.55)
    assert len(theirs[1]) == len(wbf().scores)
    first = processor_seconds(lambda: ensemble_boxes.non_maximum_weighted(*listed), 0)
    return [
        _row(
            f"weighted boxes fusion, {len(boxes)} boxes",
            wbf,
            lambda: ensemble_boxes.weighted_boxes_fusion(*listed, iou_thr=0.55),
            1,
        ),
        _row(
            f"non-maximum weighting, {len(boxes)} boxes",
            nmw,
            lambda: ensemble_boxes.non_maximum_weighted(*listed),
            1,
        ),
        _against("non-maximum weighting, the first time in a process", nmw, first, 0.1),
    ]


def originals(scene: Scene) -> list[Row]:
    """The originals, written plainly, on full frames; ours begins with the soft masks."""
    boxes, scores, _, _ = scene.columns
    frames = scene.frames()
    sides: dict[str, Callable[[], Any]] = {
        "weighted_segments": lambda: plain.weighted_segments(boxes, scores, frames),
        "weighted_masks": lambda: plain.weighted_masks(boxes, scores, frames),
        "mask_clusters": lambda: plain.mask_clusters(scores, frames),
    }
    rows = []
    for name, theirs in sides.items():
        fuse = fusing(scene, name)
        assert len(fuse()) == len(theirs())
        what = f"{name}, {len(frames)} masks of {len(scene.looks)} looks"
        rows.append(_row(what, fuse, theirs, 0.05 if name == "weighted_segments" else None))
    return rows


def recorded(golden: Path) -> list[Row]:
    """Weighted segments fusion on eight real fields beside the recorded times of the notebook."""
    times = json.loads((golden / "3_wsf" / "timing.json").read_text())
    rows = []
    for image, time in times.items():
        if not isinstance(time, dict):
            continue
        scene = Scene(_FIELD, _recorded_looks(golden / "inputs" / image))
        count = sum(len(look.found) for look in scene.looks)
        what = f"weighted_segments, real field, {count} masks of 4 models, filters not included"
        fuse = fusing(scene, "weighted_segments", min_score=0.5)
        rows.append(_against(what, fuse, time["multimodel_s"], 0.05))
    return rows


def _recorded_looks(folder: Path) -> list[Look]:
    models = json.loads((folder / "preds.json").read_text())["models"]
    looks = []
    with np.load(folder / "preds_probs.npz") as probs:
        for number, model in enumerate(models):
            objects = model["detections"]
            found = Found(
                np.array([d["box"] for d in objects], np.float32),
                np.array([d["score"] for d in objects], np.float32),
                np.array([d["label"] for d in objects], np.int64),
                probs[f"model{number}"].astype(np.float32) / np.float32(255),
            )
            looks.append(Look(found, model=number))
    return looks


def growth() -> list[Row]:
    """Time per object at one density, of 50,000 objects over that of 5,000."""
    few, many = (
        Scene.of(cells, 4, (int(520 * scale), int(704 * scale)))
        for cells, scale in ((1250, np.sqrt(3.125)), (12500, np.sqrt(31.25)))
    )
    rows = []
    for name in STRATEGIES:
        small = processor_seconds(fusing(few, name), 1) / 5_000
        large = processor_seconds(fusing(many, name), 8) / 50_000
        rows.append(
            Row(
                f"{name}, per object, 50,000 beside 5,000 at the same density",
                f"{large * 1e6:.1f} us",
                f"{small * 1e6:.1f} us",
                large / small,
                1.5,
            )
        )
    return rows


def scores() -> list[Row]:
    """Competition metric of a crowded field, and COCO AP of several."""
    _, truth = phase_contrast_scene((1040, 1408), cells=800)
    predicted = Instances.from_masks(truth.masks.translate(1, 1, truth.image_size))
    time = processor_seconds(lambda: competition_score(truth, predicted)) * 1e3
    what = f"competition metric, {len(truth)} x {len(predicted)} objects"
    rows = [Row(what, f"{time:.1f} ms", "", time, 20)]

    cases = []
    for seed in range(4):
        _, cells = phase_contrast_scene((520, 704), cells=300, seed=seed)
        shifted = Instances.from_masks(
            cells.masks.translate(1, 1, cells.image_size),
            np.random.default_rng(seed).permutation(len(cells)) / len(cells),
        )
        cases.append((cells, shifted))
    rows.append(
        _row(
            f"COCO AP, {len(cases)} fields of 300 objects, from masks in memory",
            lambda: coco_average_precision(cases, ["cell"]),
            lambda: _pycocotools(cases),
            1 / 3,
        )
    )
    return rows


def _pycocotools(cases: list[tuple[Instances, Instances]]) -> Any:
    sides = []
    for side in range(2):
        records: list[dict[str, Any]] = []
        for number, case in enumerate(cases, start=1):
            objects = case[side]
            for code, area, score in zip(
                objects.masks.to_rle(), objects.masks.area(), objects.scores, strict=True
            ):
                records.append(
                    {
                        "id": len(records) + 1,
                        "image_id": number,
                        "category_id": 1,
                        "segmentation": code | {"counts": code["counts"].encode()},
                        "area": int(area),
                        "iscrowd": 0,
                        "score": float(score),
                    }
                )
        dataset = COCO()
        dataset.dataset = {
            "images": [
                {"id": i + 1, "height": case[0].image_size[0], "width": case[0].image_size[1]}
                for i, case in enumerate(cases)
            ],
            "categories": [{"id": 1, "name": "cell"}],
            "annotations": records,
        }
        with redirect_stdout(StringIO()):
            dataset.createIndex()
        sides.append(dataset)
    with redirect_stdout(StringIO()):
        evaluation = COCOeval(*sides, "segm")
        evaluation.params.maxDets = [1, 10, 2000]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"]


def _row(what: str, ours: Callable[[], Any], theirs: Callable[[], Any], limit: float | None) -> Row:
    return _against(what, ours, processor_seconds(theirs, 0), limit)


def _against(what: str, ours: Callable[[], Any], theirs: float, limit: float | None) -> Row:
    mine = processor_seconds(ours)
    return Row(what, f"{mine * 1e3:.1f} ms", f"{theirs * 1e3:.0f} ms", mine / theirs, limit)


def main() -> None:
    """Measure all strategies, then each beside its original."""
    large = Scene.of(400, 24)
    rows = all_strategies(large) + boxes_alone(large) + originals(Scene.of(300, 4))
    root = Path(__file__).resolve().parents[2] / "shared"
    golden = Path(os.environ.get("SARTORIUS_SHARED", root)) / "golden" / "fusion"
    if golden.is_dir():
        rows += recorded(golden)
    rows += growth() + scores()
    keep(
        "fusion",
        "Fusion of what models and views found",
        "Processor time of one thread, best of some runs for ours. A field of 704 x 520 with 400 "
        "cells, seen by 6 models in 4 views each; every look gives soft masks of 28 x 28, and "
        "fusing ends with masks at full resolution and the columns of agreement. The other side "
        "is ensemble-boxes, or the original as described, written plainly on full frames, or "
        "what the original's notebook took on another machine like this (the real fields). "
        "Rows without another side give the figure itself.",
        rows,
    )


if __name__ == "__main__":
    main()
