"""Turn separate bitmaps or full-frame masks into one flat buffer with boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


def pack(
    bitmaps: Sequence[NDArray[Any]], origins: ArrayLike, image_size: tuple[int, int]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Put bitmaps back to back, without what sticks out of the image.

    Parameters
    ----------
    bitmaps : sequence of (h, w) bool or number
        Non-zero is set.
    origins : (N, 2) int
        x and y of each bitmap's top left pixel.
    image_size : (height, width)
        Size of the image in pixels.

    Returns
    -------
    bits : (total,) bool
        The flat buffer.
    boxes : (N, 4) int64
        xyxy, exclusive right and bottom, inside the image.
    """
    corners = np.asarray(origins, dtype=np.int64).reshape(-1, 2)
    if len(corners) != len(bitmaps):
        raise ValueError(f"got {len(bitmaps)} bitmaps but {len(corners)} origins")
    sizes = np.array([bitmap.shape for bitmap in bitmaps], np.int64).reshape(-1, 2)
    placed = np.concatenate([corners, corners + sizes[:, ::-1]], axis=1)
    height, width = image_size
    boxes = np.clip(placed, 0, [width, height, width, height])
    pieces = [
        bitmap[y0 - top : y1 - top, x0 - left : x1 - left].astype(np.bool_).reshape(-1)
        for bitmap, (left, top, _, _), (x0, y0, x1, y1) in zip(
            bitmaps, placed.tolist(), boxes.tolist(), strict=True
        )
    ]
    return np.concatenate([np.zeros(0, np.bool_), *pieces]), boxes


def crop_frames(stack: NDArray[Any]) -> tuple[list[NDArray[Any]], list[tuple[int, int]]]:
    """Return the tight bitmaps of full-frame masks (N, H, W), and their origins (x, y)."""
    bitmaps, origins = [], []
    for frame in stack:
        ys, xs = np.flatnonzero(frame.any(axis=1)), np.flatnonzero(frame.any(axis=0))
        if ys.size:
            bitmaps.append(frame[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1])
            origins.append((int(xs[0]), int(ys[0])))
        else:
            bitmaps.append(frame[:0, :0])
            origins.append((0, 0))
    return bitmaps, origins
