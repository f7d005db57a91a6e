"""Generated phase-contrast scenes of dense spindle-shaped cells, as neuroblastoma lines grow.

Each cell is a body with two to four pointed arms, laid beside the others and over their tips.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import ndimage

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.samples.field_of_view import cells_wished
from napari_sartorius.samples.phase_optics import expose

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CELLS = 260  # for 520 x 704 pixels
_STEPS = 24  # circles that an arm is made of
_TRIES = 30
# So far, in pixels, people draw outside the dark border: through the bright rim.
_RIM = 1.25
# How much of a new cell may lie over others, and what must be left of each cell.
_MOST_COVERED, _LEAST_SEEN = 0.12, 0.5


class _Cell(NamedTuple):
    """Distance to its border, positive inside, with the position of its first row and column."""

    inside: NDArray[np.float32]
    top: int
    left: int


def spindle_scene(
    shape: tuple[int, int] = (520, 704), seed: int = 0, cells: int | None = None
) -> tuple[NDArray[np.uint8], Instances]:
    """Generate a phase-contrast field of spindle-shaped cells with its ground truth.

    Parameters
    ----------
    shape : (height, width)
        Size of the picture in pixels, at least 32 x 32.
    seed : int
        The same seed always gives the same picture.
    cells : int, optional
        Cells wished for; by default a crowd of 210 to 470 for every 520 x 704 pixels, or 65 to 130
        larger ones, by chance. Fewer are placed when there is no room left.

    Returns
    -------
    image : (height, width) uint8
        Grey values around 128.
    truth : Instances
        One mask per cell, none overlapping, of one category.

    Raises
    ------
    ValueError
        If `shape` is smaller than 32 x 32 or `cells` is negative.
    """
    rng = np.random.default_rng(seed)
    crowd = rng.uniform(0.8, 1.8) if rng.random() < 0.5 else rng.uniform(0.25, 0.5)
    wished = cells_wished(shape, crowd * _CELLS, cells)
    owner = np.zeros(shape, np.int32)
    thickness = np.zeros(shape, np.float32)
    favourite = rng.uniform(0, np.pi)  # cells lie along each other
    size = 1.0 if crowd > 0.5 else 1.2  # where there is room they spread
    for number in range(1, wished + 1):
        for _ in range(_TRIES):
            cell = _shape_cell(rng, shape, favourite, size)
            if _lay(rng, cell, owner, thickness, number):
                break
    _roughen(rng, thickness)
    return expose(rng, thickness, gain=rng.uniform(120, 190)), _masks(owner)


def _shape_cell(
    rng: np.random.Generator, shape: tuple[int, int], favourite: float, size: float
) -> _Cell:
    """A body and its arms at a place by chance, `size` times as large as in a crowd."""
    y, x = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
    first = favourite + rng.normal(0, 0.7)
    radius = size * float(np.clip(rng.normal(5.2, 1.0), 3.5, 8.0))
    count = int(rng.choice((2, 3, 4), p=(0.6, 0.3, 0.1)))
    circles = [np.array([[y, x, radius]])]
    for arm in range(count):
        angle = first + 2 * np.pi * arm / count + rng.normal(0, 0.25)
        length = radius + size**2 * rng.gamma(4.0, 3.2)
        along = np.linspace(0, 1, _STEPS)
        bent = angle + rng.normal(0, 0.35) * along
        width = radius * 0.95 * (1 - along) ** rng.uniform(0.9, 1.8) + 0.5
        circles.append(
            np.stack(
                [y + along * length * np.sin(bent), x + along * length * np.cos(bent), width], 1
            )
        )
    points = np.concatenate(circles)
    low = np.floor((points[:, :2] - points[:, 2:]).min(0)).astype(int) - 2
    high = np.ceil((points[:, :2] + points[:, 2:]).max(0)).astype(int) + 3
    rows, columns = np.mgrid[low[0] : high[0], low[1] : high[1]] + 0.5
    distance = np.hypot(rows[..., None] - points[:, 0], columns[..., None] - points[:, 1])
    inside = (points[:, 2] - distance).max(-1)
    return _Cell(inside.astype(np.float32), int(low[0]), int(low[1]))


def _lay(
    rng: np.random.Generator,
    cell: _Cell,
    owner: NDArray[np.int32],
    thickness: NDArray[np.float32],
    number: int,
) -> bool:
    """Put a cell where there is room for it; False where there is not."""
    rows, columns = owner.shape
    y0, x0 = max(cell.top, 0), max(cell.left, 0)
    y1 = min(cell.top + cell.inside.shape[0], rows)
    x1 = min(cell.left + cell.inside.shape[1], columns)
    if y0 >= y1 or x0 >= x1:
        return False
    seen = cell.inside[y0 - cell.top : y1 - cell.top, x0 - cell.left : x1 - cell.left]
    inside, here = seen > 0, (slice(y0, y1), slice(x0, x1))
    whole = np.count_nonzero(cell.inside > 0)
    if np.count_nonzero(inside) < _LEAST_SEEN * whole:
        return False
    if np.count_nonzero(inside & (owner[here] > 0)) > _MOST_COVERED * whole:
        return False
    # What is a cell's own is not given to the rim of the next one.
    owner[here][(seen > -_RIM) & (owner[here] == 0)] = number
    owner[here][inside & (thickness[here] < 0.5)] = number
    body = np.clip(seen / 1.4 + 0.5, 0, 1)
    np.maximum(thickness[here], body * rng.uniform(0.7, 1.1), out=thickness[here])
    # The nucleus: a pale oval with a dark speck.
    middle = ndimage.center_of_mass(np.clip(seen, 0, None) ** 2)
    far = np.hypot(*(np.indices(seen.shape) + 0.5 - np.reshape(middle, (2, 1, 1))))
    thickness[here] -= (0.35 * np.clip(3.5 - far, 0, 1) - 0.7 * np.exp(-(far**2) / 2)) * inside
    return True


def _roughen(rng: np.random.Generator, thickness: NDArray[np.float32]) -> None:
    """Granules within the cells, and bright round dead ones on top of a few places."""
    grain = ndimage.gaussian_filter(rng.standard_normal(thickness.shape).astype(np.float32), 1.0)
    thickness *= 1 + 0.5 * grain
    for y, x in rng.uniform((3, 3), np.array(thickness.shape) - 4, (thickness.size // 9000, 2)):
        row, column = int(y), int(x)
        dy, dx = np.mgrid[-3:4, -3:4]
        speck = np.clip(rng.uniform(1.5, 2.6) - np.hypot(dy, dx), 0, 1)
        window = thickness[row - 3 : row + 4, column - 3 : column + 4]
        np.maximum(window, 1.5 * speck, out=window)


def _masks(owner: NDArray[np.int32]) -> Instances:
    """Cells of which enough is seen, each in one piece."""
    bitmaps, origins = [], []
    for number, place in enumerate(ndimage.find_objects(owner), start=1):
        if place is None:
            continue
        parts, count = ndimage.label(owner[place] == number)
        if count > 1:
            sizes = np.bincount(parts.ravel())[1:]
            parts = parts == 1 + int(sizes.argmax())
        bitmaps.append(parts > 0)
        origins.append((place[1].start, place[0].start))
    masks = CropMasks.from_bitmaps(bitmaps, np.array(origins).reshape(-1, 2), owner.shape)
    return Instances.from_masks(masks.tight())
