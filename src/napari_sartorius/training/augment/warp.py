"""A window of any angle cut out of an image: bilinear on pixels, nearest on the bitmaps.

Every object is read from its own bitmap, so objects that overlap stay apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from napari_sartorius.core.masks import CropMasks

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray


class TurnedWindow(NamedTuple):
    """A window of an image that stands at an angle.

    Attributes
    ----------
    x, y
        Its centre, image pixels (edges: the first pixel reaches from 0 to 1).
    width, height
        Its sides, pixels.
    angle
        Degrees by which what is seen in it is turned, counter-clockwise on the screen.
    """

    x: float
    y: float
    width: int
    height: int
    angle: float

    def to_image(
        self, u: NDArray[np.floating[Any]], v: NDArray[np.floating[Any]]
    ) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]:
        """Places in the image of places in the window."""
        cos, sin = _direction(self.angle)
        right, down = u - self.width / 2, v - self.height / 2
        return self.x + cos * right - sin * down, self.y + sin * right + cos * down

    def from_image(
        self, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Places in the window of places in the image."""
        cos, sin = _direction(self.angle)
        right, down = x - self.x, y - self.y
        return cos * right + sin * down + self.width / 2, cos * down - sin * right + self.height / 2

    def bounds(self, image_size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Pixels of the image, xyxy, that the window needs; at least one row and column."""
        corners = np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0, 1.0])
        x, y = self.to_image(corners[0] * self.width, corners[1] * self.height)
        height, width = image_size
        x0 = int(np.clip(np.floor(x.min()) - 1, 0, width - 1))
        y0 = int(np.clip(np.floor(y.min()) - 1, 0, height - 1))
        x1 = int(np.clip(np.ceil(x.max()) + 1, x0 + 1, width))
        y1 = int(np.clip(np.ceil(y.max()) + 1, y0 + 1, height))
        return x0, y0, x1, y1


def turned_pixels(image: NDArray[Any], window: TurnedWindow) -> NDArray[np.float32]:
    """Pixels (height, width, C) float32 of the window; the border is repeated beyond the image.

    Parameters
    ----------
    image
        (Y, X, C) of any floating type.
    window
        Where.
    """
    x0, y0, x1, y1 = window.bounds((image.shape[0], image.shape[1]))
    part = torch.from_numpy(image[y0:y1, x0:x1].astype(np.float32)).permute(2, 0, 1)[None]
    u = np.arange(window.width, dtype=np.float32)[None] + np.float32(0.5)
    v = np.arange(window.height, dtype=np.float32)[:, None] + np.float32(0.5)
    x, y = window.to_image(u, v)
    # grid_sample counts from -1 to 1 over the edges of the part.
    grid = np.stack(
        [(x - x0) * (2 / (x1 - x0)) - 1, (y - y0) * (2 / (y1 - y0)) - 1], axis=-1
    ).astype(np.float32)
    seen = functional.grid_sample(
        part,
        torch.from_numpy(grid)[None],
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    return np.asarray(seen[0].permute(1, 2, 0).numpy())


def turned_masks(masks: CropMasks, window: TurnedWindow) -> tuple[CropMasks, NDArray[np.bool_]]:
    """Masks in the window, tight, and which of the N they are, (N,) bool.

    A pixel of the window belongs to an object when the image pixel under its centre does.
    """
    x0, y0, x1, y1 = masks.boxes.astype(np.float64).T
    u, v = window.from_image(np.stack([x0, x1, x0, x1]), np.stack([y0, y0, y1, y1]))
    limit = [window.width, window.height] * 2
    boxes = np.stack(
        [np.floor(u.min(0)), np.floor(v.min(0)), np.ceil(u.max(0)), np.ceil(v.max(0))], axis=1
    )
    boxes = np.clip(boxes, 0, limit).astype(np.int64)
    near = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1))
    boxes = boxes[near]
    bits = _bits_under(masks, near, boxes, window)
    found = CropMasks(bits, boxes, (window.height, window.width)).tight()
    some = found.area() > 0
    kept = np.zeros(len(masks), np.bool_)
    kept[near[some]] = True
    return found[some], kept


def _bits_under(
    masks: CropMasks, objects: NDArray[np.int64], boxes: NDArray[np.int64], window: TurnedWindow
) -> NDArray[np.uint8]:
    """Bits of the chosen objects under each pixel of their boxes in the window, back to back."""
    u = np.arange(window.width)[None] + 0.5
    v = np.arange(window.height)[:, None] + 0.5
    x, y = (np.floor(place).astype(np.int32) for place in window.to_image(u, v))
    parts = [np.zeros(0, np.uint8)]
    for (u0, v0, u1, v1), (left, top, right, bottom), start in zip(
        boxes.tolist(),
        masks.boxes[objects].tolist(),
        masks.offsets[objects].tolist(),
        strict=True,
    ):
        width, height = right - left, bottom - top
        column, row = x[v0:v1, u0:u1] - left, y[v0:v1, u0:u1] - top
        # Read as unsigned, what is below 0 is very large: one comparison tells both sides.
        inside = (column.view(np.uint32) < width) & (row.view(np.uint32) < height)
        bits = masks.bits[start : start + width * height]
        parts.append((bits.take(row * width + column, mode="clip") * inside).ravel())
    return np.concatenate(parts)


def _direction(angle: float) -> tuple[float, float]:
    """Cosine and sine; exact for quarter turns, so that these lose nothing."""
    quarter, rest = divmod(angle, 90.0)
    if rest == 0:
        return ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[int(quarter) % 4]
    return float(np.cos(np.deg2rad(angle))), float(np.sin(np.deg2rad(angle)))
