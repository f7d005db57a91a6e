"""CropMasks beside pycocotools: the same masks, the same answers, the time of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pycocotools import mask as coco
from report import Row, keep
from stopwatch import seconds

from napari_sartorius.core.masks import CropMasks
from napari_sartorius.samples.phase_contrast import phase_contrast_scene

if TYPE_CHECKING:
    from collections.abc import Callable


def coco_area(rles: list[Any]) -> Any:
    """Areas by pycocotools, which overflows when it is asked for more than 255 at a time."""
    parts = [coco.area(rles[start : start + 250]) for start in range(0, len(rles), 250)]
    return np.concatenate(parts)


def compare(masks: CropMasks, label: str) -> list[Row]:
    """Every operation on both sides, after checking that both give the same."""
    height, width = masks.image_size
    full = np.asfortranarray(
        np.stack([masks.full(i) for i in range(len(masks))], 2).astype(np.uint8)
    )
    rles = coco.encode(full)
    shifted = masks.translate(3, 2, masks.image_size)
    shifted_rles = shifted.to_rle()
    crowd = [0] * len(masks)
    assert np.array_equal(masks.area(), coco_area(rles))
    assert np.allclose(masks.iou(shifted), coco.iou(rles, shifted_rles, crowd), atol=1e-6)

    def coco_labels() -> Any:
        labels = np.zeros(masks.image_size, np.uint16)
        for number in range(len(rles), 0, -1):
            labels[coco.decode(rles[number - 1]) > 0] = number
        return labels

    pairs: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "area": (masks.area, lambda: coco_area(rles)),
        "tight boxes": (masks.bounding_boxes, lambda: coco.toBbox(rles)),
        "IoU, all pairs": (
            lambda: masks.iou(shifted),
            lambda: coco.iou(rles, shifted_rles, crowd),
        ),
        "to run lengths": (masks.to_rle, lambda: coco.encode(full)),
        "from run lengths": (
            lambda: CropMasks.from_rle(rles, (height, width)),
            lambda: coco.decode(rles),
        ),
        "label image": (masks.to_labels, coco_labels),
    }
    rows = []
    for name, (ours, other) in pairs.items():
        mine, theirs = seconds(ours), seconds(other)
        rows.append(
            Row(f"{name}, {label}", f"{mine * 1e3:.2f} ms", f"{theirs * 1e3:.2f} ms", mine / theirs)
        )
    return rows


def main() -> None:
    """Measure an ordinary field and a crowded large one."""
    rows = []
    for shape, cells in (((520, 704), 300), ((1040, 1408), 800)):
        _, truth = phase_contrast_scene(shape, cells=cells)
        label = f"{len(truth)} masks on {shape[1]} x {shape[0]}"
        rows += compare(truth.masks, label)
    keep(
        "masks",
        "Crop masks beside pycocotools",
        "Both start from their own form: crop masks from small bitmaps, pycocotools from run "
        "lengths (full frames when it encodes). Results are checked to be equal first.",
        rows,
    )


if __name__ == "__main__":
    main()
