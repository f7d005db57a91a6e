"""What lies around each object: numbers, distances, sizes and scores of its neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from napari_sartorius.core.groups import Groups
from napari_sartorius.postprocess.second_level import names

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

NOTHING = -1.0
"""Stands where there is no neighbour to take a statistic of."""


class _Pairs(NamedTuple):
    """Neighbours of objects: whose, which, and how far; ordered by owner, then distance."""

    owner: NDArray[np.int64]
    other: NDArray[np.int64]
    distance: Floats


def neighbour_features(
    centroids: Floats,
    areas: Floats,
    scores: NDArray[np.floating],
    compat: Literal["t4e"] | None = None,
) -> dict[str, Floats]:
    """Statistics of the neighbours within six radii and of the nearest one, two, four and six.

    Parameters
    ----------
    centroids : (N, 2) float64
        x and y, pixels.
    areas, scores : (N,)
        Mask areas and scores of the objects.
    compat : {"t4e"}, optional
        With it the counts within a radius are what the original gives, the number of all objects
        of the image; without it, the number of other objects within the radius.

    Returns
    -------
    dict of str to (N,) float64
        For each radius ``kdtree_nb_r*_count`` and the median, mean and deviation of distances (0
        degrees of freedom lost), areas and scores (1 lost, so not-a-number for one neighbour); for
        each k the same of the k - 1 nearest. -1 where there is no neighbour. An object on the
        radius counts.
    """
    count = len(centroids)
    result: dict[str, Floats] = {}
    around = _within(centroids, float(max(names.RADII)))
    values = areas, np.asarray(scores, np.float64)
    for radius in names.RADII:
        near = around.distance <= radius
        pairs = _Pairs(around.owner[near], around.other[near], around.distance[near])
        found = np.bincount(pairs.owner, minlength=count).astype(np.float64)
        if compat == "t4e":
            found[:] = count
        columns = [found, *_statistics(pairs, *values, count)]
        result |= dict(zip(names.radius_names(radius), columns, strict=True))
    closest = _closest(centroids, max(names.NEAREST) - 1)
    place = np.arange(len(closest.owner)) - _starts(closest.owner, count)[closest.owner]
    for number in names.NEAREST:
        near = place < number - 1
        pairs = _Pairs(closest.owner[near], closest.other[near], closest.distance[near])
        columns = _statistics(pairs, *values, count)
        result |= dict(zip(names.nearest_names(number), columns, strict=True))
    return result


def _statistics(pairs: _Pairs, areas: Floats, scores: Floats, count: int) -> list[Floats]:
    groups = Groups(pairs.owner, count)
    columns: list[Floats] = []
    for values, ddof in (
        (pairs.distance, 0),
        (areas[pairs.other], 1),
        (scores[pairs.other], 1),
    ):
        median = groups.quantiles(values, (0.5,))[0.5]
        columns += [median, groups.mean(values), groups.std(values, ddof)]
    alone = groups.sizes == 0
    for column in columns:
        column[alone] = NOTHING
    return columns


def _starts(owner: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    sizes = np.bincount(owner, minlength=count)
    starts: NDArray[np.int64] = np.cumsum(sizes) - sizes
    return starts


def _within(centroids: Floats, radius: float) -> _Pairs:
    """All pairs not further apart than `radius`, both ways round."""
    from scipy.spatial import cKDTree

    pairs: NDArray[Any] = cKDTree(centroids).query_pairs(radius, output_type="ndarray")
    owner = np.concatenate([pairs[:, 0], pairs[:, 1]]).astype(np.int64)
    other = np.concatenate([pairs[:, 1], pairs[:, 0]]).astype(np.int64)
    away = centroids[owner] - centroids[other]
    return _Pairs(owner, other, np.hypot(away[:, 0], away[:, 1]))


def _closest(centroids: Floats, most: int) -> _Pairs:
    """The `most` nearest others of each object, or as many as there are, nearest first."""
    from scipy.spatial import cKDTree

    count = len(centroids)
    most = min(most, count - 1)
    if most < 1:
        nothing = np.zeros(0, np.int64)
        return _Pairs(nothing, nothing, np.zeros(0))
    distance, other = cKDTree(centroids).query(centroids, k=most + 1)
    # Where objects share a centre, the object itself need not come first; it may not even come.
    itself = other == np.arange(count)[:, None]
    itself[~itself.any(axis=1), -1] = True
    owner = np.repeat(np.arange(count), most)
    return _Pairs(owner, other[~itself].astype(np.int64), distance[~itself])
