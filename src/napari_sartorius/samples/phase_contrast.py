"""A generated phase-contrast scene of neurons, so that anyone can try the package without data.

The picture is made the way a phase-contrast microscope makes it: a map of optical thickness (cell
bodies, neurites, debris) is shown dark, minus a blurred copy of itself, which gives the bright
halos. Everything comes from one seed, so the ground truth is exact and the scene never changes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sartorius.core.categories import Category
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.samples.field_of_view import cells_wished, relative_area
from napari_sartorius.samples.neurites import grow_neurites
from napari_sartorius.samples.phase_optics import expose

CATEGORIES = (Category(1, "cort", "#e69f00"),)
"""The scene's own table of categories: cortical neurons only."""

_CELLS = 45  # as everything else, for 520 x 704 pixels
_DEBRIS = 260
_MARGIN = 40  # neurites of cells outside the picture reach into it


@dataclass(frozen=True)
class _Soma:
    """A cell body: its centre (y, x) in pixels and its outline as a bitmap with an origin."""

    y: float
    x: float
    radius: float
    height: NDArray[np.float32]
    top: int
    left: int


def phase_contrast_scene(
    shape: tuple[int, int] = (520, 704), seed: int = 0, cells: int | None = None
) -> tuple[NDArray[np.uint8], Instances]:
    """Generate a phase-contrast field of cortical neurons with its ground truth.

    Parameters
    ----------
    shape : (height, width)
        Size of the picture in pixels, at least 32 x 32.
    seed : int
        The same seed always gives the same picture.
    cells : int, optional
        Cell bodies wished for; by default 45 for every 520 x 704 pixels. Fewer are placed when
        there is no room left, and those seen by less than a quarter at the border are not counted.

    Returns
    -------
    image : (height, width) uint8
        Grey values around 128, as the incubator microscopes of the Sartorius data give them.
    truth : Instances
        One mask per cell body, none overlapping; categories index `CATEGORIES`.

    Raises
    ------
    ValueError
        If `shape` is smaller than 32 x 32 or `cells` is negative.
    """
    height, width = shape
    wished = cells_wished(shape, _CELLS, cells)
    rng = np.random.default_rng(seed)
    somas = _place_somas(rng, shape, wished)
    thickness = np.zeros((height + 2 * _MARGIN, width + 2 * _MARGIN), np.float32)
    grow_neurites(rng, thickness, [(s.y + _MARGIN, s.x + _MARGIN, s.radius) for s in somas])
    _scatter_debris(rng, thickness, round(_DEBRIS * relative_area(shape)))
    thickness = np.ascontiguousarray(thickness[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN])
    truth = _paint_somas(rng, thickness, somas)
    return expose(rng, thickness), truth


def _place_somas(rng: np.random.Generator, shape: tuple[int, int], wished: int) -> list[_Soma]:
    """Choose places at random, a third of them right beside another cell, none on top of one."""
    height, width = shape
    somas: list[_Soma] = []
    taken = np.zeros((0, 3))
    for _ in range(40 * wished):
        if len(somas) == wished:
            break
        radius = float(np.clip(rng.normal(8.6, 1.2), 6.0, 12.0))
        if somas and rng.random() < 0.3:
            beside = somas[int(rng.integers(len(somas)))]
            angle = rng.uniform(0, 2 * np.pi)
            distance = (beside.radius + radius) * rng.uniform(0.98, 1.3)
            y, x = beside.y + distance * np.sin(angle), beside.x + distance * np.cos(angle)
            if not (4 <= y <= height - 4 and 4 <= x <= width - 4):
                continue
        else:
            y, x = rng.uniform(4, height - 4), rng.uniform(4, width - 4)
        gaps = np.hypot(taken[:, 0] - y, taken[:, 1] - x) - taken[:, 2] - radius
        if np.any(gaps < -0.06 * radius):
            continue
        taken = np.vstack([taken, (y, x, radius)])
        somas.append(_shape_soma(rng, y, x, radius))
    return somas


def _shape_soma(rng: np.random.Generator, y: float, x: float, radius: float) -> _Soma:
    """Give a cell body a lobed outline: 1 well inside, 0 outside, a smooth step between."""
    reach = int(np.ceil(radius * 1.6)) + 2
    top, left = int(y) - reach, int(x) - reach
    rows, columns = np.mgrid[top : top + 2 * reach + 1, left : left + 2 * reach + 1]
    dy, dx = rows + 0.5 - y, columns + 0.5 - x
    angle = np.arctan2(dy, dx)
    outline = np.ones_like(angle)
    for order, strength in ((2, 0.14), (3, 0.08), (4, 0.04), (5, 0.03)):
        turn = rng.uniform(0, 2 * np.pi)
        outline += rng.normal(0, strength) * np.cos(order * angle + turn)
    inside = radius * np.clip(outline, 0.65, 1.45) - np.hypot(dy, dx)
    height = np.clip(inside / 1.6 + 0.5, 0, 1).astype(np.float32)
    return _Soma(y, x, radius, height, top, left)


def _paint_somas(
    rng: np.random.Generator, thickness: NDArray[np.float32], somas: list[_Soma]
) -> Instances:
    """Lay the cell bodies into the thickness map and return their masks; the first wins."""
    height, width = thickness.shape
    free = np.ones((height, width), bool)
    bitmaps: list[NDArray[np.bool_]] = []
    origins: list[tuple[int, int]] = []
    for soma in somas:
        size_y, size_x = soma.height.shape
        y0, x0 = max(soma.top, 0), max(soma.left, 0)
        y1, x1 = min(soma.top + size_y, height), min(soma.left + size_x, width)
        seen = (slice(y0 - soma.top, y1 - soma.top), slice(x0 - soma.left, x1 - soma.left))
        here = (slice(y0, y1), slice(x0, x1))
        texture = ndimage.gaussian_filter(rng.standard_normal(soma.height.shape), 0.9) * 3.2
        texture += _nucleus(rng, soma)
        body = soma.height * (1.0 + 0.16 * texture) * rng.uniform(0.85, 1.2)
        covered = soma.height[seen]
        thickness[here] = thickness[here] * (1 - covered) + body[seen]
        mask = (covered > 0.5) & free[here]
        if mask.sum() >= max(0.25 * np.count_nonzero(soma.height > 0.5), 1):
            free[here] &= ~mask
            bitmaps.append(mask)
            origins.append((x0, y0))
    masks = CropMasks.from_bitmaps(bitmaps, np.array(origins).reshape(-1, 2), (height, width))
    return Instances.from_masks(masks.tight())


def _nucleus(rng: np.random.Generator, soma: _Soma) -> NDArray[np.float64]:
    """Return the relief of a nucleus: a pale disc with a dark nucleolus, off the centre."""
    rows, columns = np.indices(soma.height.shape)
    centre = np.array([soma.y - soma.top, soma.x - soma.left]) + rng.normal(0, 1.0, 2)
    distance = np.hypot(rows + 0.5 - centre[0], columns + 0.5 - centre[1])
    pale = np.clip(soma.radius * 0.5 - distance, -0.5, 0.5) + 0.5
    return np.asarray(2.0 * np.exp(-(distance**2) / 2.5) - 0.9 * pale, np.float64)


def _scatter_debris(rng: np.random.Generator, thickness: NDArray[np.float32], count: int) -> None:
    """Add small dense specks, some in little heaps: dark dots that are not cells."""
    height, width = thickness.shape
    specks = np.zeros_like(thickness)
    places = rng.uniform((4, 4), (height - 4, width - 4), (count, 2))
    heaps = places[rng.random(count) < 0.3] + rng.normal(0, 4.5, 2)
    for y, x in np.concatenate([places, heaps]):
        radius = rng.gamma(12.0, 0.12)
        row, column = int(np.clip(y, 4, height - 5)), int(np.clip(x, 4, width - 5))
        dy, dx = np.mgrid[-4:5, -4:5]
        inside = radius + 0.5 - np.hypot(dy - (y % 1) + 0.5, dx - (x % 1) + 0.5)
        dot = np.clip(inside, 0, 1) - 0.3 * np.clip(1 - np.abs(inside + 0.7), 0, 1)
        window = specks[row - 4 : row + 5, column - 4 : column + 5]
        dot *= rng.uniform(0.7, 1.8)
        np.copyto(window, dot, where=np.abs(dot) > np.abs(window))
    thickness += specks
