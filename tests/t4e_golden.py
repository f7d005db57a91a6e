"""Recorded objects and features of the 7th place's pipeline."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.mask_confidence import mask_confidence
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.postprocess.second_level.names import CANDIDATES

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

IMAGES = [
    "04cd81dfb245",
    "3c270e8e347a",
    "704f269a8415",
    "74a506f1d7e8",
    "47fb5fcff2de",
    "4810ddb4229c",
    "315b21b955c6",
    "7c118cb496f7",
]
SIZE = (520, 704)


def recorded_table(folder: Path, image: str) -> dict[str, NDArray[np.float64]]:
    """All columns of numbers of ``features_full.csv``; empty cells are not-a-number."""
    with (folder / image / "features_full.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {
        name: np.array([float(row[name]) if row[name] else np.nan for row in rows])
        for name in rows[0]
        if name != "image_id"
    }


def recorded_objects(folder: Path, image: str) -> Instances:
    """The final objects of an image, with the confidence of their float masks."""
    run = json.loads((folder / image / "ensemble.json").read_text())["runs"]
    run = run["final_conf_0.5_0.7_0.8"]
    boxes = np.array(run["boxes"], np.float32)
    with np.load(folder / image / "recorded_mask_probs.npz") as file:
        pair = [file[name].astype(np.float32) / 255 for name in ("model0", "model1")]
    soft = (pair[0] + pair[1])[run["kept_index_into_merged"]] / 2
    return Instances(
        SIZE,
        boxes,
        run["scores"],
        recorded_table(folder, image)["cell_type"],
        CropMasks.from_rle(run["masks"], SIZE),
        mask_confidence(soft, boxes, SIZE),
    )


def synthetic_image() -> NDArray[np.uint8]:
    """The image that stands in for the competition's in the ``syn_im_*`` columns."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    return ((37 * x + 101 * y + (x * y % 53)) % 256).astype(np.uint8)


def joined(folder: Path, images: list[str]) -> tuple[dict[str, Any], NDArray[np.float64]]:
    """Candidates and targets of several images."""
    tables = [recorded_table(folder, image) for image in images]
    return (
        {name: np.concatenate([table[name] for table in tables]) for name in CANDIDATES},
        np.concatenate([table["iou"] for table in tables]),
    )
