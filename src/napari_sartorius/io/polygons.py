"""Turn COCO polygons into masks, pixel for pixel like the COCO tools do.

The rule is peculiar (vertices snapped to a grid five times finer than the pixels, edges walked on
that grid, column borders collected where a walk crosses a pixel column's middle), and scores
computed from polygons depend on it, so it is followed exactly, for all polygons of an image in one
pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.wording import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

_FINER = 5


def polygons_to_counts(
    polygons: Sequence[NDArray[np.float64]],
    owners: Sequence[int],
    count: int,
    image_size: tuple[int, int],
) -> list[Ints]:
    """Rasterise polygons to uncompressed run-length codes.

    Parameters
    ----------
    polygons
        Each (K, 2), K >= 3: x and y in pixel edge coordinates; closed implicitly. Parts outside
        the image are cut off.
    owners
        For each polygon, in ascending order, the mask it belongs to; those of one mask are joined.
    count
        Number of masks N.
    image_size
        Height and width.

    Returns
    -------
    list of (R,) int64
        For each mask alternating counts of unset and set pixels, column-major.
    """
    height, width = image_size
    total = height * width
    polygon, u, v = _walk(polygons)
    position, polygon = _column_borders(polygon, u, v, height, width)
    order = np.lexsort((position, polygon))
    position, polygon = position[order], polygon[order]

    # Inside and outside alternate at the sorted borders; a polygon cut off by the image's right
    # side may lack its last one.
    per_polygon = np.bincount(polygon, minlength=len(polygons))
    rank = np.arange(len(position)) - (np.cumsum(per_polygon) - per_polygon)[polygon]
    opens = rank % 2 == 0
    start = position[opens]
    last = opens & (rank == per_polygon[polygon] - 1)
    stop = np.where(last, total, np.roll(position, -1))[opens]
    owner = np.asarray(owners, np.int64)[polygon[opens]]
    return _union(owner, start, stop, count, total)


def _walk(polygons: Sequence[NDArray[np.float64]]) -> tuple[Ints, Ints, Ints]:
    """Points on the fine grid along all outlines, in order, and the polygon each belongs to."""
    if not polygons:
        return (np.zeros(0, np.int64),) * 3
    closed = [np.concatenate([points, points[:1]]) for points in polygons]
    lengths = np.array([len(points) for points in closed])
    grid = np.trunc(_FINER * np.concatenate(closed) + 0.5).astype(np.int64)
    number = np.repeat(np.arange(len(polygons)), lengths)
    edges = np.flatnonzero(number[1:] == number[:-1])
    a, b = grid[edges], grid[edges + 1]

    span = np.abs(b - a)
    steep = span[:, 1] > span[:, 0]
    long = np.where(steep, 1, 0)
    pick = np.arange(len(a))
    flip = a[pick, long] > b[pick, long]
    low, high = np.where(flip[:, None], b, a), np.where(flip[:, None], a, b)
    steps = span[pick, long]
    rise = (high - low)[pick, 1 - long] / np.maximum(steps, 1)

    edge = np.repeat(pick, steps + 1)
    d = np.arange(len(edge)) - np.repeat(np.cumsum(steps + 1) - steps - 1, steps + 1)
    t = np.where(flip[edge], steps[edge] - d, d)
    along = low[pick, long][edge] + t
    across = np.trunc(low[pick, 1 - long][edge] + rise[edge] * t + 0.5).astype(np.int64)
    u = np.where(steep[edge], across, along)
    v = np.where(steep[edge], along, across)
    return number[edges][edge], u, v


def _column_borders(polygon: Ints, u: Ints, v: Ints, height: int, width: int) -> tuple[Ints, Ints]:
    """Column-major positions where a walk crosses the middle of a pixel column."""
    moved = (u[1:] != u[:-1]) & (polygon[1:] == polygon[:-1])
    fine = np.where(u[1:] < u[:-1], u[1:], u[1:] - 1)
    middle = _FINER // 2
    column = (fine - middle) // _FINER
    keep = moved & (fine % _FINER == middle) & (column >= 0) & (column < width)
    row = -((middle - np.minimum(v[1:], v[:-1])) // _FINER)  # rounded up
    return (column * height + np.clip(row, 0, height))[keep], polygon[1:][keep]


def _union(owner: Ints, start: Ints, stop: Ints, count: int, total: int) -> list[Ints]:
    """Join the runs of each owner and write them as alternating counts."""
    # One long axis for all masks lets a running maximum join overlapping runs.
    start, stop = start + owner * total, stop + owner * total
    some = stop > start
    order = np.argsort(start[some], kind="stable")
    start, stop, owner = start[some][order], stop[some][order], owner[some][order]
    reach = np.maximum.accumulate(stop)
    new = np.ones(len(start), np.bool_)
    new[1:] = (start[1:] > reach[:-1]) | (owner[1:] != owner[:-1])
    last = np.append(np.flatnonzero(new)[1:], len(start))[: int(new.sum())] - 1
    joined = np.stack([start[new], reach[last]], axis=1) - (owner[new] * total)[:, None]
    cuts = np.cumsum(np.bincount(owner[new], minlength=count))[:-1]
    return [
        np.diff(np.concatenate([[0], runs.ravel(), [total]])) for runs in np.split(joined, cuts)
    ]


def as_polygon(values: Any) -> NDArray[np.float64]:
    """Read one polygon's flat list ``[x, y, x, y, ...]`` as points (K, 2).

    Raises
    ------
    ValueError
        When it has fewer than three points, an odd number of values, or values that are no numbers.
    """
    flat = np.asarray(values, dtype=np.float64)
    if flat.ndim == 1 and flat.size % 2:
        raise ValueError(
            f"a polygon has {plural(flat.size, 'number')}, expected pairs as [x, y, x, y, x, y, "
            "...]"
        )
    if flat.ndim != 1 or flat.size < 6:
        raise ValueError("a polygon needs at least 3 points as [x, y, x, y, x, y, ...]")
    if not np.isfinite(flat).all() or np.abs(flat).max() > 1e7:
        raise ValueError("a polygon has a coordinate that is infinite, NaN or absurdly large")
    return flat.reshape(-1, 2)
