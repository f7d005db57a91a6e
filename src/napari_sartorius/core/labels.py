"""Between label images and masks, row by row runs at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.runs import Runs

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CHUNK_PIXELS = 1 << 23


def label_runs(label_image: NDArray[Any]) -> tuple[Runs, NDArray[np.int64]]:
    """Find the horizontal runs of every label.

    Parameters
    ----------
    label_image : (H, W) int or bool
        0 is background.

    Returns
    -------
    runs : Runs
        Ordered by label; `instance` counts the labels from 0.
    ids : (N,) int64
        The labels that occur, ascending.

    Raises
    ------
    ValueError
        If the image is not two-dimensional or not of whole numbers.
    """
    if label_image.ndim != 2:
        raise ValueError(f"expected a label image of shape (H, W), got {label_image.shape}")
    if label_image.dtype.kind not in "bui":
        raise ValueError(f"expected a label image of whole numbers, got {label_image.dtype}")
    height, width = label_image.shape
    values, lines, starts, stops = [], [], [], []
    band = max(_CHUNK_PIXELS // max(width, 1), 1)
    for top in range(0, height if width else 0, band):
        rows = label_image[top : top + band]
        change = np.ones((len(rows), width + 1), np.bool_)
        np.not_equal(rows[:, 1:], rows[:, :-1], out=change[:, 1:-1])
        line, place = np.nonzero(change)
        # Each row has a change at both of its ends; the last one starts no run.
        is_start = place < width
        first = np.flatnonzero(is_start)
        value = rows[line[first], place[first]]
        some = value != 0
        first = first[some]
        values.append(value[some].astype(np.int64))
        lines.append(line[first] + top)
        starts.append(place[first])
        stops.append(place[first + 1])
    nothing = np.zeros(0, np.int64)
    value = np.concatenate([nothing, *values])
    ids, instance = np.unique(value, return_inverse=True)
    order = np.argsort(instance, kind="stable")
    line, start, stop = (
        np.concatenate([nothing, *pieces])[order] for pieces in (lines, starts, stops)
    )
    return Runs(instance[order], line, start, stop), ids


def paint(
    bits: NDArray[np.uint8],
    boxes: NDArray[np.int32],
    offsets: NDArray[np.int64],
    image_size: tuple[int, int],
    ids: NDArray[Any],
    dtype: Any | None,
) -> NDArray[np.integer[Any]]:
    """Paint bitmaps into a label image (H, W), the first one on top; see `CropMasks.to_labels`.

    Raises
    ------
    ValueError
        If an id is below 1 or does not fit into `dtype`.
    """
    largest = int(ids.max()) if len(ids) else 0
    if len(ids) and int(ids.min()) < 1:
        raise ValueError("labels must be at least 1; 0 is the background")
    chosen = np.dtype(np.min_scalar_type(largest) if dtype is None else dtype)
    if chosen.kind not in "ui" or largest > np.iinfo(chosen).max:
        raise ValueError(f"label {largest} does not fit into {chosen}")
    image = np.zeros(image_size, chosen)
    edges, corners, values = offsets.tolist(), boxes.tolist(), ids.tolist()
    # Painting small windows back to front is faster than one scatter with an index per pixel.
    for i in range(len(values) - 1, -1, -1):
        x0, y0, x1, y1 = corners[i]
        bitmap = bits[edges[i] : edges[i + 1]].reshape(y1 - y0, x1 - x0).view(np.bool_)
        np.copyto(image[y0:y1, x0:x1], values[i], where=bitmap)
    return image
