"""Features of the second level and filters, for growing fields of the same density."""

from __future__ import annotations

from typing import Any

import numpy as np
from report import Row, keep
from stopwatch import processor_seconds

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.mask_confidence import NAMES, mask_confidence
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.postprocess import apply, recipes
from napari_sartorius.postprocess.second_level.features import object_features

# Cells of the densest type in the Sartorius images: about 340 on 520 x 704 pixels.
_DENSITY = 340 / (520 * 704)
_COUNTS = (1000, 10_000, 50_000)


def field(count: int, seed: int = 0) -> tuple[Instances, np.ndarray[Any, Any]]:
    """So many ellipses at random on an image of the size for them, and its grey levels."""
    random = np.random.default_rng(seed)
    side = int(np.sqrt(count / _DENSITY))
    bitmaps = []
    for _ in range(200):
        a, b = random.uniform(5, 14, 2)
        reach = int(max(a, b)) + 1
        y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        turn = random.uniform(0, np.pi)
        u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        bitmaps.append((u / a) ** 2 + (v / b) ** 2 <= 1)
    chosen = [bitmaps[i] for i in random.integers(0, len(bitmaps), count)]
    masks = CropMasks.from_bitmaps(chosen, random.integers(0, side - 10, (count, 2)), (side, side))
    instances = Instances.from_masks(masks, random.random(count), np.zeros(count, np.int64))
    return instances, random.integers(0, 256, (side, side)).astype(np.uint8)


def rows(counts: tuple[int, ...]) -> list[Row]:
    """Time of features, of confidence while pasting, and of two lists of filters."""
    found = []
    for count in counts:
        objects, image = field(count)
        grids = np.random.default_rng(1).random((count, 28, 28)).astype(np.float32)
        objects.columns.update(mask_confidence(grids, objects.boxes, objects.image_size))
        assert set(NAMES) <= set(objects.columns)
        label = f"{count:,} cells"
        tasks = {
            "features of the second level": lambda o=objects, i=image: object_features(o, i),
            "confidence of masks": lambda o=objects, g=grids: mask_confidence(
                g, o.boxes, o.image_size
            ),
            "filters of the 11th place": lambda o=objects: apply(
                recipes.theoviel(scores=(0.3,) * 3, min_sizes=(75,) * 3, convex_polygons=True),
                o,
                recipes.SARTORIUS,
            ),
            "filters of the segments fusion": lambda o=objects: apply(
                recipes.mistag(), o, recipes.SARTORIUS
            ),
        }
        for name, task in tasks.items():
            taken = processor_seconds(task)
            print(f"{name}, {label}: {taken * 1e3:.0f} ms", flush=True)
            limit = 1.0 if count == 1000 else None
            found.append(Row(f"{name}, {label}", f"{taken * 1e3:.0f} ms", "", taken, limit))
    return found


def main() -> None:
    """Measure fields of one density, so that time should grow with the number of cells."""
    keep(
        "second level",
        "Second level and filters",
        "Random ellipses as dense as the densest Sartorius images, overlaps included; processor "
        "time of one core, the ratio is in seconds.",
        rows(_COUNTS),
    )


if __name__ == "__main__":
    main()
