"""Places without a label that look like the labelled cells: positions to look at, no objects.

The labels themselves are the examples. Brightness against the surroundings and local roughness are
compared inside and outside of the labels, so dark, bright and textured cells are all found, and
nothing has to be known of the microscope.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import ndimage

from napari_sartorius.core.labels import label_runs

Box: TypeAlias = Sequence[int]
Floats: TypeAlias = NDArray[np.float32]

_SIDE = 12.0  # pixels that a typical cell measures where places are looked for
_BINS = 16
_SAMPLE = 1 << 18


class MissedConfig(BaseModel):
    """What counts as a place that somebody should look at."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fewest: int = Field(default=10, ge=1)
    """With fewer labelled cells there is nothing to compare with, and nothing is found."""
    as_cell_like: float = Field(default=0.5, ge=0.0, le=1.0)
    """Places must look more like a cell than this share of the labelled ones does."""
    smallest: float = Field(default=0.4, gt=0.0)
    """Least area, in typical areas of a cell."""
    largest: float = Field(default=3.0, gt=0.0)
    """Most area, in typical areas of a cell."""
    least_filled: float = Field(default=0.35, ge=0.0, le=1.0)
    """Least share of its box that a place covers; neurites and scratches cover little."""
    most: int = Field(default=200, ge=0)
    """The most cell-like places that are kept."""


@dataclass(frozen=True, eq=False)
class Missed:
    """K places, the most cell-like first.

    Attributes
    ----------
    boxes
        (K, 4) int64, first row, first column, last row + 1, last column + 1.
    likeness
        (K,) float32, 0..1, the share of labelled cells that look less like a cell.
    """

    boxes: NDArray[np.int64]
    likeness: NDArray[np.float32]


def unlabelled_places(
    image: NDArray[Any], labels: NDArray[Any], config: MissedConfig | None = None
) -> Missed:
    """Look for cells that have no label.

    Parameters
    ----------
    image
        (H, W) or, with colours, (H, W, 3 or 4), any real type.
    labels
        (H, W) label image, 0 is background.
    config
        What is kept.

    Raises
    ------
    ValueError
        If the sizes differ.
    """
    config = config or MissedConfig()
    if image.shape[:2] != labels.shape:
        raise ValueError(f"image of {image.shape[:2]} and labels of {labels.shape} differ in size")
    runs, ids = label_runs(labels)
    if len(ids) < config.fewest:
        return _nothing()
    areas = np.bincount(runs.instance, weights=runs.stop - runs.start, minlength=len(ids))
    typical = float(np.median(areas))
    step = max(1, round(np.sqrt(typical) / _SIDE))
    side = np.sqrt(typical) / step
    grey, square = _shrunk(image, step)
    # of each block the label of its middle: thin gaps between cells may close, cells do not grow
    small = labels[step // 2 :: step, step // 2 :: step][: grey.shape[0], : grey.shape[1]]
    grey, square = grey[: small.shape[0], : small.shape[1]], square[: small.shape[0]]
    square = square[:, : small.shape[1]]
    inside = small > 0
    likeness = _likeness(_looks(grey, square, side), inside, side)
    if likeness is None:
        return _nothing()

    present = np.unique(small[inside])
    of_cells = np.sort(ndimage.mean(likeness, small, present))
    of_pixels = float(np.quantile(likeness[inside], config.as_cell_like))
    near = ndimage.binary_dilation(inside, iterations=max(1, round(side / 10)))
    parts, _ = ndimage.label((likeness > max(of_pixels, 0.0)) & ~near)
    return _kept(parts, likeness, of_cells, typical / step**2, step, labels.shape, config)


def same_place(one: Box, other: Box) -> bool:
    """Whether two boxes mean the same place: their middles lie in each other.

    A place that is found again after other cells were drawn may have another outline. Boxes are
    (first row, first column, last row + 1, last column + 1).
    """
    (y0, x0), (y1, x1) = (((b[0] + b[2]) / 2, (b[1] + b[3]) / 2) for b in (one, other))
    return bool(
        other[0] <= y0 < other[2]
        and other[1] <= x0 < other[3]
        and one[0] <= y1 < one[2]
        and one[1] <= x1 < one[3]
    )


def _nothing() -> Missed:
    return Missed(np.zeros((0, 4), np.int64), np.zeros(0, np.float32))


def _shrunk(image: NDArray[Any], step: int) -> tuple[Floats, Floats]:
    """Mean and mean square of blocks of pixels; what is left over at the end is cut off."""
    grey = image[..., :3].mean(axis=2, dtype=np.float32) if image.ndim == 3 else image
    height, width = grey.shape[0] // step * step, grey.shape[1] // step * step
    some = grey[:: max(1, height // 256), :: max(1, width // 256)].astype(np.float32)
    centre, spread = float(np.median(some)), float(some.std()) or 1.0
    values = (grey[:height, :width].astype(np.float32) - np.float32(centre)) / np.float32(spread)

    def means(one: Floats) -> Floats:
        rows = np.add.reduceat(one, np.arange(0, height, step), axis=0)
        blocks = np.add.reduceat(rows, np.arange(0, width, step), axis=1)
        return (blocks / step**2).astype(np.float32)

    return means(values), means(values * values)


def _looks(grey: Floats, square: Floats, side: float) -> list[Floats]:
    """Brightness against the surroundings, and roughness, smoothed over a part of a cell."""
    around = ndimage.gaussian_filter(grey, 2.0 * side)
    middle = ndimage.gaussian_filter(grey, side / 6)
    mean = ndimage.gaussian_filter(grey, side / 4)
    variance = ndimage.gaussian_filter(square, side / 4) - mean * mean
    roughness: Floats = np.log(np.maximum(variance, 1e-6)).astype(np.float32)
    return [middle - around, roughness]


def _likeness(looks: list[Floats], inside: NDArray[np.bool_], side: float) -> Floats | None:
    """Logarithm of how much more often pixels that look so are labelled than not."""
    if inside.all() or not inside.any():
        return None
    index = np.zeros(inside.shape, np.int64)
    for look in looks:
        sample = look.reshape(-1)[:: max(1, look.size // _SAMPLE)]
        borders = np.quantile(sample, np.linspace(0, 1, _BINS + 1)[1:-1])
        index = index * _BINS + np.searchsorted(borders, look)
    shape = (_BINS,) * len(looks)
    counts = [
        np.bincount(index[one], minlength=_BINS**2).reshape(shape) for one in (inside, ~inside)
    ]
    smooth = [ndimage.gaussian_filter(one.astype(np.float64), 0.7) + 0.5 for one in counts]
    cell, ground = (one / one.sum() for one in smooth)
    table = np.log(cell / ground).reshape(-1)
    found: Floats = ndimage.gaussian_filter(table[index].astype(np.float32), side / 5)
    return found


def _kept(
    parts: NDArray[np.int32],
    likeness: Floats,
    of_cells: NDArray[np.float64],
    typical: float,
    step: int,
    size: tuple[int, int],
    config: MissedConfig,
) -> Missed:
    """The places that are large, full and cell-like enough, in pixels of the image."""
    count = int(parts.max(initial=0))
    numbers = np.arange(1, count + 1)
    areas = np.bincount(parts.reshape(-1), minlength=count + 1)[1:]
    fits = (areas >= config.smallest * typical) & (areas <= config.largest * typical)
    means = np.asarray(ndimage.mean(likeness, parts, numbers)) if count else np.zeros(0)
    rank = np.searchsorted(of_cells, means) / len(of_cells)
    fits &= rank >= config.as_cell_like
    slices = ndimage.find_objects(parts)
    boxes = np.array([[y.start, x.start, y.stop, x.stop] for y, x in slices]).reshape(-1, 4)
    extent = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    fits &= areas >= config.least_filled * extent
    order = np.flatnonzero(fits)
    order = order[np.argsort(-rank[order], kind="stable")][: config.most]
    limit = np.array([size[0], size[1], size[0], size[1]])
    return Missed(np.minimum(boxes[order] * step, limit), rank[order].astype(np.float32))
