"""Outlines along pixel edges give every mask back, pixel for pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from shapely.geometry import Polygon

from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.rings import masks_of, ring_area, rings_of, with_holes

stacks = st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: arrays(bool, shape)
)


@settings(max_examples=150, deadline=None)
@given(stacks)
def test_masks_come_back_exactly(stack: np.ndarray) -> None:
    masks = CropMasks.from_full(stack)
    rings = rings_of(masks)
    back = masks_of(rings, masks.image_size)
    for i in range(len(masks)):
        np.testing.assert_array_equal(back.full(i), stack[i])
        assert sum(map(ring_area, rings[i])) == stack[i].sum()


@settings(max_examples=100, deadline=None)
@given(arrays(bool, (8, 8)))
def test_parts_are_valid_polygons_that_add_up(mask: np.ndarray) -> None:
    (rings,) = rings_of(CropMasks.from_full(mask[None]))
    parts = with_holes(rings)
    polygons = [Polygon(part[0], part[1:]) for part in parts]
    assert sum(polygon.area for polygon in polygons) == mask.sum()
    for one in polygons:
        assert len(one.interiors) == 0 or one.envelope.contains(one.interiors[0])
    for i, one in enumerate(polygons):
        for other in polygons[i + 1 :]:
            assert one.buffer(-0.01).intersection(other.buffer(-0.01)).area == pytest.approx(0)
    # no corner is listed that the line passes straight
    for ring in rings:
        before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
        assert (before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]).all()


def test_a_ring_in_a_hole_is_a_part_of_its_own() -> None:
    mask = np.zeros((9, 9), bool)
    mask[0:9, 0:9] = True
    mask[1:8, 1:8] = False
    mask[3:6, 3:6] = True
    mask[4, 4] = False
    (rings,) = rings_of(CropMasks.from_full(mask[None]))
    parts = with_holes(rings)
    assert [len(part) for part in parts] == [2, 2]
    assert [abs(ring_area(part[0])) for part in parts] == [9, 81]
    assert [abs(ring_area(part[1])) for part in parts] == [1, 49]


def test_a_smooth_polygon_covers_the_pixels_whose_centres_are_inside() -> None:
    angle = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    ring = np.stack([20 + 9.3 * np.cos(angle), 15 + 9.3 * np.sin(angle)], axis=1)
    (mask,) = [masks_of([[ring]], (30, 40)).full(0)]
    y, x = np.mgrid[:30, :40] + 0.5
    inside = (x - 20) ** 2 + (y - 15) ** 2 < 9.29**2
    outside = (x - 20) ** 2 + (y - 15) ** 2 > 9.31**2
    assert mask[inside].all()
    assert not mask[outside].any()


def test_what_sticks_out_of_the_image_is_cut_off() -> None:
    ring = np.array([[-5, -5], [100, -5], [100, 3], [-5, 3]])
    mask = masks_of([[ring], []], (6, 8))
    assert mask.full(0)[:3].all()
    assert not mask.full(0)[3:].any()
    assert not mask.full(1).any()


def _walked(mask: np.ndarray) -> list[list[tuple[int, int]]]:
    """The rings of a mask by walking along its pixels' sides, one step after the other."""
    inside = np.pad(mask, 1)
    steps = {}  # corner and direction (right, down, left, up) by the side of a pixel
    for y, x in np.argwhere(inside).tolist():
        for turn, (dy, dx, v, u) in enumerate(
            ((-1, 0, 0, 0), (0, 1, 0, 1), (1, 0, 1, 1), (0, -1, 1, 0))
        ):
            if not inside[y + dy, x + dx]:
                steps[y + v - 1, x + u - 1, turn] = False
    rings = []
    for first in sorted(step for step in steps if step[2] == 0):
        if steps[first]:
            continue
        ring, step, before = [], first, -1
        while not steps[step]:
            steps[step] = True
            y, x, turn = step
            if turn != before:
                ring.append((x, y))
            y, x = y + (0, 1, 0, -1)[turn], x + (1, 0, -1, 0)[turn]
            options = [(y, x, (turn + change) % 4) for change in (1, 0, 3)]  # right where it can
            before, step = turn, next(one for one in options if one in steps)
        rings.append(ring)
    return rings


@pytest.mark.parametrize("density", [0.2, 0.5, 0.8])
def test_rings_are_those_of_a_walk_point_by_point(density: float) -> None:
    rng = np.random.default_rng(int(10 * density))
    full = rng.random((40, 11, 9)) < density
    full[3] = False
    found = rings_of(CropMasks.from_full(full))
    assert [[list(map(tuple, ring.tolist())) for ring in rings] for rings in found] == [
        _walked(mask) for mask in full
    ]
    assert rings_of(CropMasks.from_full(full[:0])) == []
