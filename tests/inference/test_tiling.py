"""Whatever the sizes: tiles cover the image, overlap enough, and their cores partition it."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_sartorius.inference.tiling import (
    automatic_limits,
    largest_tile,
    plan_tiles,
    split_tile,
)


@given(
    height=st.integers(1, 900),
    width=st.integers(1, 900),
    largest=st.integers(32, 400),
    overlap=st.integers(0, 120),
    stride=st.sampled_from([1, 8, 16, 32]),
)
def test_plan(height: int, width: int, largest: int, overlap: int, stride: int) -> None:
    plan = plan_tiles((height, width), (largest, largest), overlap, stride)
    owners = np.zeros((height, width), np.int64)
    limit = max(largest // stride, 2) * stride
    for tile in plan.tiles:
        window, core = tile.window, tile.core
        assert 0 <= window.y0 <= core.y0 < core.y1 <= window.y1 <= height
        assert 0 <= window.x0 <= core.x0 < core.x1 <= window.x1 <= width
        owners[core.y0 : core.y1, core.x0 : core.x1] += 1
        assert window.y0 % stride == 0
        assert window.x0 % stride == 0
        # Every window fits the common padded shape, and short ones end with the image.
        for size, padded, end, whole in zip(
            window.shape, plan.padded, (window.y1, window.x1), (height, width), strict=True
        ):
            assert size <= padded
            assert size == padded or end == whole
            assert padded % stride == 0
            assert padded <= limit or whole <= largest
        assert tile.inner == (
            window.y0 > 0,
            window.x0 > 0,
            window.y1 < height,
            window.x1 < width,
        )
    assert (owners == 1).all()
    needed = min(overlap, limit // 2 // stride * stride)
    for axis in ("y", "x"):
        spans = sorted(
            {(getattr(t.window, f"{axis}0"), getattr(t.window, f"{axis}1")) for t in plan.tiles}
        )
        for (_, end), (start, _) in itertools.pairwise(spans):
            assert end - start >= needed


def test_no_tile_is_needless() -> None:
    plan = plan_tiles((10_000, 10_000), (768, 768), 96, 32)
    area = sum(t.window.shape[0] * t.window.shape[1] for t in plan.tiles)
    assert area < 1.4 * 10_000**2
    assert len({t.window.shape for t in plan.tiles}) <= 4


def test_memory_decides_the_edge() -> None:
    assert largest_tile(10**12, 4000, 32) == 768
    assert largest_tile(512 * 512 * 4000, 4000, 32) == 512
    assert largest_tile(0, 4000, 32) == 64


def test_a_slightly_larger_image_stays_whole() -> None:
    assert automatic_limits((520, 704), 768, 4000) == (520, 704)
    assert automatic_limits((800, 1100), 768, 4000) == (800, 1100)
    assert automatic_limits((800, 1100), 768, 900) == (768, 768)
    assert automatic_limits((3000, 3000), 768, 4000) == (768, 768)


@given(
    height=st.integers(100, 900),
    width=st.integers(100, 900),
    largest=st.integers(128, 800),
    overlap=st.integers(0, 60),
    stride=st.sampled_from([1, 8, 16, 32]),
    smallest=st.integers(128, 256),
)
def test_split(
    height: int, width: int, largest: int, overlap: int, stride: int, smallest: int
) -> None:
    size = (height, width)
    for tile in plan_tiles(size, (largest, largest), overlap, stride).tiles:
        plan = split_tile(tile, overlap, stride, smallest)
        if plan is None:
            for length in tile.window.shape:
                half = (length + overlap) / 2
                assert half < smallest or length <= half + 2 * stride
            continue
        assert len(plan.tiles) in (2, 4)
        seen, owners = np.zeros(size, bool), np.zeros(size, np.int64)
        for part in plan.tiles:
            window, core = part.window, part.core
            seen[window.y0 : window.y1, window.x0 : window.x1] = True
            owners[core.y0 : core.y1, core.x0 : core.x1] += 1
            assert core.intersection(window) == core
            assert (window.y0 - tile.window.y0) % stride == 0
            assert (window.x0 - tile.window.x0) % stride == 0
            assert window.shape < tile.window.shape
            for part_length, whole in zip(window.shape, tile.window.shape, strict=True):
                assert part_length <= whole
                assert part_length == whole or part_length >= smallest - 2 * stride
            assert part.inner == (
                window.y0 > 0,
                window.x0 > 0,
                window.y1 < height,
                window.x1 < width,
            )
        window, core = tile.window, tile.core
        assert seen.sum() == seen[window.y0 : window.y1, window.x0 : window.x1].sum()
        assert seen[window.y0 : window.y1, window.x0 : window.x1].all()
        assert owners.sum() == owners[core.y0 : core.y1, core.x0 : core.x1].sum()
        assert (owners[core.y0 : core.y1, core.x0 : core.x1] == 1).all()
