"""Looks at generated cells, and the recorded looks of four models that fusion is checked on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.core.found import Found
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.ensemble.looks import Canvas, Look

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.ensemble.clusters import Clusters

IMAGE_SIZE = (520, 704)
GOLDEN_IMAGES = (
    "04cd81dfb245",
    "315b21b955c6",
    "3c270e8e347a",
    "47fb5fcff2de",
    "4810ddb4229c",
    "704f269a8415",
    "74a506f1d7e8",
    "7c118cb496f7",
)


def canvas(image_size: tuple[int, int] = (80, 120), **others: Any) -> Canvas:
    return Canvas(image_size, np.full(3, 0.5, np.float32), **others)


def found(boxes: Any, scores: Any, labels: Any = None, masks: Any = None) -> Found:
    """Objects with discs for masks unless others are given."""
    count = len(scores)
    return Found(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.zeros(count, np.int64) if labels is None else np.array(labels, np.int64),
        np.repeat(disc()[None], count, 0) if masks is None else np.array(masks, np.float32),
    )


def disc(side: int = 14) -> NDArray[np.float32]:
    """Probabilities that fall from the middle to the edge of the grid."""
    place = (np.arange(side) + 0.5) / side - 0.5
    distance = np.hypot(place[:, None], place)
    return (1 / (1 + np.exp(20 * (distance - 0.42)))).astype(np.float32)


def jittered(cells: int, looks: int, seed: int = 0, labels: int = 3) -> list[Look]:
    """Cells that do not touch, seen a little differently by each look; all scores differ."""
    generator = np.random.default_rng(seed)
    row, column = np.divmod(np.arange(cells), 10)
    corner = np.stack([column, row], 1) * 11.0
    sides = generator.uniform(6, 10, (cells, 2))
    category = generator.integers(0, labels, cells)
    result = []
    for number in range(looks):
        low = corner + generator.normal(0, 0.2, (cells, 2)) + 1
        here = np.concatenate([low, low + sides + generator.normal(0, 0.2, (cells, 2))], axis=1)
        scores = generator.uniform(0.3, 1, cells)
        seen = generator.random(cells) < 0.85
        result.append(
            Look(
                found(here[seen], scores[seen], category[seen]),
                model=number // 2,
                view=number % 2,
                weight=1.0 + number % 2,
            )
        )
    return result


@dataclass(frozen=True, eq=False)
class FourModels:
    """Recorded objects of four models, model by model."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    model: NDArray[np.int64]
    masks: CropMasks
    probs: NDArray[np.float32]

    @classmethod
    def read(cls, golden: Path, image: str) -> FourModels:
        folder = golden / "fusion" / "inputs" / image
        models = json.loads((folder / "preds.json").read_text())["models"]
        objects = [d for model in models for d in model["detections"]]
        with np.load(folder / "preds_probs.npz") as file:
            probs = np.concatenate([file[f"model{k}"] for k in range(4)])
        return cls(
            np.array([d["box"] for d in objects], np.float32),
            np.array([d["score"] for d in objects], np.float32),
            np.array([d["label"] for d in objects], np.int64),
            np.repeat(np.arange(4), [len(model["detections"]) for model in models]),
            CropMasks.from_rle([d["mask"] for d in objects], IMAGE_SIZE),
            probs.astype(np.float32) / np.float32(255),
        )

    def looks(self) -> list[Look]:
        return [
            Look(
                Found(self.boxes[own], self.scores[own], self.labels[own], self.probs[own]),
                model=number,
            )
            for number in range(4)
            for own in [np.flatnonzero(self.model == number)]
        ]

    def names(self, clusters: Clusters) -> list[list[list[int]]]:
        """Members of each cluster as [model, number in the model]."""
        begin = np.searchsorted(self.model, np.arange(4))[self.model]
        number = (np.arange(len(self.model)) - begin).tolist()
        model = self.model.tolist()
        return [[[model[i], number[i]] for i in group] for group in clusters.lists()]


def assert_same_masks(masks: CropMasks, others: CropMasks) -> None:
    assert masks.to_rle() == others.to_rle()
