"""Confidence of masks against statistics of each pasted mask."""

from __future__ import annotations

import numpy as np

from napari_sartorius.core.mask_confidence import NAMES, mask_confidence
from napari_sartorius.core.paste import paste, pasted_values


def test_confidence_is_that_of_the_pasted_pixels() -> None:
    random = np.random.default_rng(0)
    grids = random.random((4, 8, 8)).astype(np.float32) * (random.random((4, 8, 8)) < 0.6)
    boxes = np.array([[2, 3, 17, 20.5], [-6, 4, 9, 30], [5, 5, 5, 9], [30, 30, 60, 61]], np.float32)
    columns = mask_confidence(grids, boxes, (40, 50))
    assert tuple(columns) == NAMES
    ((_, sizes, values),) = pasted_values(grids, boxes, (40, 50))
    for i, own in enumerate(np.split(values, np.cumsum(sizes)[:-1])):
        inside = own[own > 0].astype(np.float64)
        found = [float(columns[name][i]) for name in NAMES]
        if not len(inside):
            assert i == 2
            assert np.isnan(found).all()
            continue
        q1, q3 = np.quantile(inside, (0.25, 0.75))
        median = np.sort(inside)[(len(inside) - 1) // 2]
        expected = [inside.min(), inside.max(), median, inside.mean(), q1, q3, inside.std(ddof=1)]
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_values_give_the_masks() -> None:
    random = np.random.default_rng(1)
    grids = random.random((3, 14, 14)).astype(np.float32)
    boxes = np.array([[1, 1, 12, 9], [20.2, 3.7, 44, 33], [0, 0, 50, 40]], np.float32)
    masks = paste(grids, boxes, (40, 50), 0.5)
    ((_, sizes, values),) = pasted_values(grids, boxes, (40, 50))
    above = [int((own >= 0.5).sum()) for own in np.split(values, np.cumsum(sizes)[:-1])]
    assert above == masks.area().tolist()
