"""Looks at the masks of a cluster's members together: which pixels they share, how they agree.

The bitmaps of one cluster are laid over each other in the smallest window that holds them all, so
that votes are one product of a vector and a matrix, and all pairwise intersections another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.masks import CropMasks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_sartorius.ensemble.clusters import Clusters

# Pixels that are float at one time: products are fast in a cache, and large cells fit into memory.
_BLOCK_PIXELS = 1 << 20
_NOTHING = np.zeros(0, np.float32)


def vote(
    masks: CropMasks,
    clusters: Clusters,
    weights: NDArray[np.floating],
    needed: NDArray[np.floating],
    limits: NDArray[np.int64] | None = None,
) -> tuple[CropMasks, NDArray[np.float32]]:
    """Let the members of each cluster vote on each pixel.

    Parameters
    ----------
    masks : CropMasks
        P masks, one per member, in the order of ``clusters.members``.
    clusters : Clusters
        M clusters.
    weights : (P,) float
        What each member's vote counts.
    needed : (M,) float
        A pixel belongs to the fused mask from this sum of votes on, above 0.
    limits : (M, 4) int, optional
        xyxy in pixels; the fused mask ends there.

    Returns
    -------
    fused : CropMasks
        M masks, in loose boxes.
    agreement : (M,) float32
        Mean IoU over all pairs of members; 1 for a single member.
    """
    bitmaps, boxes, shared = [np.zeros(0, np.bool_)], [], []
    # Exactly as many votes as are needed must not fail by the rounding of 32-bit sums.
    least = (needed.astype(np.float64) * (1 - 1e-6)).tolist()
    weight = np.split(weights.astype(np.float32), clusters.first[1:])
    ends = None if limits is None else limits.tolist()
    for number, ((x0, y0, x1, y1), stack) in enumerate(_windows(masks, clusters)):
        sums, both = _lay_over(stack.reshape(len(stack), -1), weight[number])
        fused = (sums >= least[number]).reshape(stack.shape[1:])
        if ends is not None:
            left, top, right, bottom = ends[number]
            left, top = min(max(left, x0), x1), min(max(top, y0), y1)
            right, bottom = max(min(right, x1), left), max(min(bottom, y1), top)
            fused = fused[top - y0 : bottom - y0, left - x0 : right - x0]
            x0, y0, x1, y1 = left, top, right, bottom
        bitmaps.append(fused.reshape(-1))
        boxes.append((x0, y0, x1, y1))
        shared.append(both)
    fused_masks = CropMasks(
        np.concatenate(bitmaps), np.array(boxes, np.int32).reshape(-1, 4), masks.image_size
    )
    return fused_masks, _mean_iou(shared, masks, clusters)


def pairwise_agreement(masks: CropMasks, clusters: Clusters) -> NDArray[np.float32]:
    """Mean IoU over all pairs of members of each cluster, (M,) float32; 1 for single members.

    `masks` are one per member, in the order of ``clusters.members``. Two empty masks agree.
    """
    shared = [
        _lay_over(stack.reshape(len(stack), -1), None)[1] for _, stack in _windows(masks, clusters)
    ]
    return _mean_iou(shared, masks, clusters)


def _mean_iou(
    shared: list[NDArray[np.float32]], masks: CropMasks, clusters: Clusters
) -> NDArray[np.float32]:
    """Mean IoU over all pairs of each cluster, from the pixels that its members share, (n, n)."""
    flat = np.concatenate([np.zeros(0, np.float32), *(both.reshape(-1) for both in shared)])
    area, sizes = masks.area(), clusters.sizes
    rows = np.repeat(np.arange(len(area)), np.repeat(sizes, sizes))
    squares = sizes * sizes
    first = np.cumsum(squares) - squares
    within = np.arange(len(flat)) - np.repeat(first, squares)
    columns = np.repeat(clusters.first, squares) + within % np.repeat(sizes, squares)
    union = area[rows] + area[columns] - flat
    # Two empty masks agree.
    iou = np.where(union > 0, flat / np.maximum(union, 1), 1)
    total = np.add.reduceat(iou, first) if len(first) else np.zeros(0)
    pairs = squares - sizes
    mean = np.where(pairs > 0, (total - sizes) / np.maximum(pairs, 1), 1)
    return np.asarray(mean, dtype=np.float32)


def _windows(
    masks: CropMasks, clusters: Clusters
) -> Iterator[tuple[tuple[int, int, int, int], NDArray[np.uint8]]]:
    """For each cluster the window around its members, xyxy, and their bitmaps in it, (n, h, w)."""
    boxes, offsets, bits = masks.boxes.tolist(), masks.offsets.tolist(), masks.bits
    begin = 0
    for size, window in zip(clusters.sizes.tolist(), _around(masks, clusters), strict=True):
        x0, y0, x1, y1 = window
        stack = np.zeros((size, y1 - y0, x1 - x0), np.uint8)
        for layer, i in zip(stack, range(begin, begin + size), strict=True):
            left, top, right, bottom = boxes[i]
            if offsets[i] == offsets[i + 1]:
                continue
            bitmap = bits[offsets[i] : offsets[i + 1]].reshape(bottom - top, right - left)
            layer[top - y0 : bottom - y0, left - x0 : right - x0] = bitmap
        yield window, stack
        begin += size


def _around(masks: CropMasks, clusters: Clusters) -> list[tuple[int, int, int, int]]:
    """Smallest box around the boxes of each cluster's members, those without pixels left out."""
    if not len(clusters):
        return []
    boxes = masks.boxes.astype(np.int64)
    empty = np.diff(masks.offsets)[:, None] == 0
    far = np.iinfo(np.int64).max
    low = np.minimum.reduceat(np.where(empty, far, boxes[:, :2]), clusters.first)
    high = np.maximum.reduceat(np.where(empty, 0, boxes[:, 2:]), clusters.first)
    low = np.minimum(low, high)
    return [tuple(window) for window in np.concatenate([low, high], axis=1).tolist()]


def _lay_over(
    stack: NDArray[np.uint8], weights: NDArray[np.float32] | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weighted sum of flat masks (n, P) at each pixel, (P,), and the pixels they share, (n, n)."""
    count, pixels = stack.shape
    if stack.size <= _BLOCK_PIXELS:
        values = stack.astype(np.float32)
        return _NOTHING if weights is None else weights @ values, values @ values.T
    sums = np.zeros(pixels, np.float32)
    shared = np.zeros((count, count), np.float32)
    step = max(_BLOCK_PIXELS // count, 1)
    for start in range(0, pixels, step):
        values = stack[:, start : start + step].astype(np.float32)
        if weights is not None:
            sums[start : start + step] = weights @ values
        shared += values @ values.T
    return sums, shared
