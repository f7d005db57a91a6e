"""Pasting agrees with torch's grid_sample, whatever the box, threshold and chunk size."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import grid_sample

from napari_sartorius.core import paste as paste_module
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.paste import paste

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def _reference(
    grid: NDArray[np.float32], box: NDArray[np.float32], size: tuple[int, int]
) -> NDArray[np.float32]:
    """Probability of every pixel of the image, sampled at pixel centres."""
    x0, y0, x1, y1 = (float(v) for v in box)
    xs = (torch.arange(size[1]) + 0.5 - x0) / (x1 - x0) * 2 - 1
    ys = (torch.arange(size[0]) + 0.5 - y0) / (y1 - y0) * 2 - 1
    points = torch.stack([xs[None, :].expand(size[0], -1), ys[:, None].expand(-1, size[1])], dim=-1)
    sampled = grid_sample(torch.from_numpy(grid)[None, None], points[None], align_corners=False)
    return sampled[0, 0].numpy()


def _random_boxes(count: int, size: tuple[int, int], seed: int) -> NDArray[np.float32]:
    generator = np.random.default_rng(seed)
    sides = np.exp(generator.uniform(np.log(0.6), np.log(60), (count, 2)))
    centres = generator.uniform(-5, np.array(size)[::-1] + 5, (count, 2))
    return np.concatenate([centres - sides / 2, centres + sides / 2], 1).astype(np.float32)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10_000),
    side=st.sampled_from([1, 2, 7, 14, 28]),
    threshold=st.floats(0.05, 0.95),
)
def test_equals_grid_sample(seed: int, side: int, threshold: float) -> None:
    size = (50, 70)
    boxes = _random_boxes(6, size, seed)
    grids = np.random.default_rng(seed + 1).random((6, side, side), np.float32)
    masks = paste(grids, boxes, size, threshold)
    for i in range(6):
        expected = _reference(grids[i], boxes[i], size)
        # Rounding may differ by a few units in the last place; leave out the pixels it decides.
        clear = np.abs(expected - threshold) > 1e-4
        np.testing.assert_array_equal(masks.full(i)[clear], (expected >= threshold)[clear])


@pytest.mark.parametrize("size", ["crop", "full"])
@pytest.mark.parametrize("case", ["mask_rcnn_r50_fpn", "mask_rcnn_r101_fpn"])
def test_reproduces_detectron2(shared_golden: Path, case: str, size: str) -> None:
    with np.load(shared_golden / "networks" / case / f"outputs_{size}.npz") as golden:
        grids = golden["detections_netscale/mask_prob_first20"]
        boxes = golden["detections/boxes"][: len(grids)]
        height, width = golden["input/original_hw"].tolist()
        rles = json.loads(str(golden["detections/masks_rle_json"]))[: len(grids)]
    expected = CropMasks.from_rle(rles, (height, width))
    pasted = paste(grids, boxes, (height, width))
    for i in range(len(grids)):
        # Single pixels at probability one half may flip.
        different = np.count_nonzero(pasted.full(i) != expected.full(i))
        assert different <= max(1, 0.005 * expected.area()[i])


def test_threshold_per_object() -> None:
    grids = np.full((2, 28, 28), 0.6, np.float32)
    boxes = np.array([[10, 10, 30, 30], [10, 10, 30, 30]], np.float32)
    areas = paste(grids, boxes, (50, 50), np.array([0.5, 0.7])).area()
    assert areas[0] > 350
    assert areas[1] == 0


def test_a_full_grid_fills_its_box() -> None:
    masks = paste(np.ones((1, 28, 28), np.float32), np.array([[3, 5, 17, 21]]), (40, 40))
    full = np.zeros((40, 40), bool)
    full[5:21, 3:17] = True
    # Rounded off by at most the outermost half grid step at the four corners.
    assert np.count_nonzero(full ^ masks.full(0)) <= 4


def test_boxes_without_pixels_give_empty_masks() -> None:
    boxes = np.array(
        [[5, 5, 5, 9], [-30, -30, -10, -10], [100, 0, 120, 9], [4, 4, 2, 8], [1, 1, 9, 9]],
        np.float32,
    )
    masks = paste(np.ones((5, 4, 4), np.float32), boxes, (20, 20))
    assert masks.area().tolist()[:4] == [0, 0, 0, 0]
    assert masks.area()[4] > 50


def test_nothing_to_paste() -> None:
    masks = paste(np.zeros((0, 28, 28), np.float32), np.zeros((0, 4), np.float32), (20, 30))
    assert len(masks) == 0
    assert masks.image_size == (20, 30)


def test_chunks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    size = (200, 300)
    boxes = _random_boxes(40, size, 3)
    grids = np.random.default_rng(4).random((40, 28, 28), np.float32)
    whole = paste(grids, boxes, size)
    monkeypatch.setattr(paste_module, "_CHUNK_PIXELS", 500)
    pieces = paste(grids, boxes, size)
    np.testing.assert_array_equal(whole.bits, pieces.bits)
    np.testing.assert_array_equal(whole.boxes, pieces.boxes)
