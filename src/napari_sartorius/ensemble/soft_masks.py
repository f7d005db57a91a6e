"""Averages the soft masks of a cluster's members on the grid of the fused box."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.ensemble.clusters import Clusters
    from napari_sartorius.ensemble.gathered import Gathered

# Members at one time; their grids and weights together then fit into a cache.
_CHUNK_MEMBERS = 512


def mean_masks(
    gathered: Gathered,
    clusters: Clusters,
    share: NDArray[np.float32],
    boxes: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Mean of the members' mask probabilities, each brought to the fused box.

    Parameters
    ----------
    gathered : Gathered
        What all looks found; their grids may differ in size.
    clusters : Clusters
        M clusters of P members.
    share : (P,) float32
        What each member counts; the shares of a cluster sum to 1.
    boxes : (M, 4) float32
        Fused boxes, xyxy.

    Returns
    -------
    (M, m, m) float32
        0..1, on grids as fine as the finest of the looks. Beyond its own box a member counts as
        zeros.
    """
    side = max((look.found.mask_probs.shape[-1] for look in gathered.looks), default=1)
    result = np.empty((len(clusters), side, side), np.float32)
    ends = clusters.first + clusters.sizes
    start = 0
    while start < len(clusters):
        begin = int(clusters.first[start])
        stop = int(np.searchsorted(ends, begin + _CHUNK_MEMBERS, side="right"))
        stop = max(stop, start + 1)
        some = clusters[np.arange(start, stop)]
        target = np.repeat(boxes[start:stop], some.sizes, axis=0)
        on_boxes = np.empty((len(some.members), side, side), np.float32)
        for look, places, own in gathered.by_look(some.members):
            grids = look.found.mask_probs[own]
            on_boxes[places] = _on_boxes(grids, look.found.boxes[own], target[places], side)
        weight = share[begin : begin + len(some.members)]
        result[start:stop] = some.sum(on_boxes * weight[:, None, None])
        start = stop
    return result


def _on_boxes(
    masks: NDArray[np.float32],
    own: NDArray[np.float32],
    target: NDArray[np.float32],
    side: int,
) -> NDArray[np.float32]:
    """Masks (N, m, m) of boxes `own`, sampled on grids of `side` on boxes `target`."""
    rows = _axis_weights(own[:, [1, 3]], target[:, [1, 3]], masks.shape[-1], side)
    columns = _axis_weights(own[:, [0, 2]], target[:, [0, 2]], masks.shape[-1], side)
    return np.asarray(rows @ masks @ columns.transpose(0, 2, 1), dtype=np.float32)


def _axis_weights(
    own: NDArray[np.float32], target: NDArray[np.float32], own_side: int, side: int
) -> NDArray[np.float32]:
    """Linear interpolation weights (N, target grid, own grid) along one axis."""
    points = (np.arange(side, dtype=np.float32) + np.float32(0.5)) / np.float32(side)
    place = target[:, :1] + points * (target[:, 1:] - target[:, :1])
    extent = np.maximum(own[:, 1:] - own[:, :1], np.float32(1e-6))
    along = (place - own[:, :1]) / extent * own_side - np.float32(0.5)
    # The outermost grid values reach to the edge of the box, so that fusing equal boxes is exact
    # and nearly equal ones do not fade at their rim.
    inside = (along >= -0.5) & (along <= own_side - 0.5)
    along = np.clip(along, 0, own_side - 1).reshape(-1)
    lower = np.floor(along)
    column = lower.astype(np.int64)
    # One extra column takes the second tap of points on the last grid value.
    weights = np.zeros((len(along), own_side + 1), np.float32)
    point = np.arange(len(along))
    weights[point, column] = (1 - (along - lower)) * inside.reshape(-1)
    weights[point, column + 1] = (1 - (lower + 1 - along)) * inside.reshape(-1)
    return weights[:, :-1].reshape(len(own), side, own_side)
