"""What is in a dataset, in numbers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor
from napari_sartorius.io.images import planes, read_image, read_plane

if TYPE_CHECKING:
    from napari_sartorius.io.coco_dataset import CocoDataset, CocoImage

_PIXELS_PER_MEGAPIXEL = 1e6


def dataset_statistics(dataset: CocoDataset, monitor: Monitor | None = None) -> dict[str, Any]:
    """Count and measure a dataset.

    Returns
    -------
    dict
        ``images``, ``objects``, ``sizes`` (images per "width x height"), ``splits``,
        ``categories`` (one record each: name, images, cells, cells per image as mean, least and
        most, area in px as 1st, 50th and 99th percentile, cells per megapixel) and ``intensity``
        (mean and standard deviation over all pixels, and the number of images that were read;
        colours count alike).
    """
    monitor = monitor or Monitor()
    sizes = Counter(f"{image.width} x {image.height}" for image in dataset.images)
    splits = Counter(str(i.extra["split"]) for i in dataset.images if "split" in i.extra)
    return {
        "images": len(dataset),
        "objects": dataset.object_count,
        "sizes": dict(sizes.most_common()),
        "splits": dict(splits.most_common()),
        "categories": _categories(dataset),
        "intensity": _intensity(dataset, monitor),
    }


def _categories(dataset: CocoDataset) -> list[dict[str, Any]]:
    images = dataset.images
    kinds = len(dataset.categories)
    counts = np.zeros((len(images), kinds), np.int64)
    areas: list[list[Any]] = [[] for _ in range(kinds)]
    for number, image in enumerate(images):
        objects = dataset.instances[image.id]
        counts[number] = np.bincount(objects.categories, minlength=kinds)
        area = objects.masks.area()
        for kind in np.flatnonzero(counts[number]).tolist():
            areas[kind].append(area[objects.categories == kind])
    pixels = np.array([image.width * image.height for image in images], np.float64)
    rows = []
    for kind, category in enumerate(dataset.categories):
        here = counts[:, kind] > 0
        row: dict[str, Any] = {"name": category.name, "images": int(here.sum())}
        row["cells"] = int(counts[:, kind].sum())
        if here.any():
            some = counts[here, kind]
            low, middle, high = np.percentile(np.concatenate(areas[kind]), (1, 50, 99)).tolist()
            row |= {
                "cells_per_image": round(float(some.mean()), 2),
                "fewest": int(some.min()),
                "most": int(some.max()),
                "area_p1": round(low, 1),
                "area_p50": round(middle, 1),
                "area_p99": round(high, 1),
                "cells_per_megapixel": round(
                    float(some.sum() / pixels[here].sum()) * _PIXELS_PER_MEGAPIXEL, 1
                ),
            }
        rows.append(row)
    return rows


def _intensity(dataset: CocoDataset, monitor: Monitor) -> dict[str, Any]:
    count, total, squares, read = 0, 0.0, 0.0, 0
    for number, image in enumerate(dataset.images):
        monitor.check()
        monitor.progress("reading images", number / len(dataset))
        pixels = _pixels(dataset, image)
        if pixels is None:
            continue
        read += 1
        count += pixels.size
        total += float(pixels.sum(dtype=np.float64))
        squares += float(np.square(pixels, dtype=np.float64).sum())
    if not count:
        return {"images": 0, "mean": None, "std": None}
    mean = total / count
    spread = max(squares / count - mean**2, 0.0) ** 0.5
    return {"images": read, "mean": round(mean, 3), "std": round(spread, 3)}


def _pixels(dataset: CocoDataset, image: CocoImage) -> Any:
    try:
        data = read_image(dataset.image_path(image))
        index = tuple(image.extra.get("plane", ()))
        return read_plane(data, index) if index else next(iter(planes(data)))[1]
    except UserError:
        return None  # the check names it
