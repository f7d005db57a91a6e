"""Twenty thousand cells on a large image stay small in memory."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT_BYTES = 300e6


def test_twenty_thousand_instances() -> None:
    side, extent, count = 32, 10_000, 20_000
    yy, xx = np.mgrid[:side, :side] - (side - 1) / 2
    disc = yy**2 + xx**2 < (side / 2) ** 2
    origins = np.random.default_rng(1).integers(-4, extent - side + 4, (count, 2))

    def step(what: str, function: Callable[[], Any]) -> Any:
        tracemalloc.reset_peak()
        result = function()
        peak = tracemalloc.get_traced_memory()[1]
        assert peak < LIMIT_BYTES, f"{what} took {peak / 1e6:.0f} MB"
        return result

    tracemalloc.start()
    try:
        masks = step(
            "building",
            lambda: CropMasks.from_bitmaps([disc] * count, origins, (extent, extent)),
        )
        area = step("area", masks.area)
        rows, cols, shared = step("overlaps", masks.overlaps)
        codes = step("to_rle", masks.to_rle)
        apart = step("remove_overlap", masks.remove_overlap)
        back = step("from_rle", lambda: CropMasks.from_rle(codes, masks.image_size))
        step("table", lambda: Instances.from_masks(masks).table())
    finally:
        tracemalloc.stop()
    assert len(rows) > 1000
    assert np.all(shared <= np.minimum(area[rows], area[cols]))
    assert len(apart.overlaps()[0]) == 0
    assert 0 < area.sum() - apart.area().sum() <= shared.sum()
    np.testing.assert_array_equal(back.area(), area)
