"""The CPU's RoIAlign gives torchvision's values and gradients."""

from __future__ import annotations

import weakref

import pytest
import torch
from torch import Tensor
from torchvision.ops import roi_align

from napari_sartorius.nn import bag_pooling
from napari_sartorius.nn.bag_pooling import bag_pool
from napari_sartorius.nn.bag_taps import cell_taps, close_samples

_STRIDES = (2, 4, 8)


def _maps(dtype: torch.dtype = torch.float32) -> list[Tensor]:
    torch.manual_seed(0)
    maps = [torch.randn(3, 5, 96 // s, 128 // s, dtype=dtype) for s in _STRIDES]
    return [m.to(memory_format=torch.channels_last).requires_grad_() for m in maps]


def _rois(count: int) -> Tensor:
    """Boxes of all sizes, some beyond the border or wholly outside, some without area, one huge."""
    torch.manual_seed(1)
    corner = torch.rand(count, 2) * 150 - 20
    size = torch.exp(torch.rand(count, 2) * 4.5)
    size[0] = 0
    for row, special in enumerate([(0.0, 20.0), (-3.0, 5.0), (900.0, 700.0), (2.0, 400.0)], 1):
        size[row : row + 1] = torch.tensor(special)
    return torch.cat([torch.randint(0, 3, (count, 1)).float(), corner, corner + size], dim=1)


def _torchvision(
    maps: list[Tensor], level: Tensor, rois: Tensor, side: int, samples: int
) -> Tensor:
    pooled = torch.zeros(len(rois), 5, side, side)
    for i, stride in enumerate(_STRIDES):
        chosen = torch.nonzero(level == i).flatten()
        part = roi_align(maps[i], rois[chosen], (side, side), 1.0 / stride, samples, aligned=True)
        pooled = pooled.index_copy(0, chosen, part)
    return pooled


@pytest.mark.parametrize(("side", "samples"), [(7, 2), (14, 1), (3, 3), (7, 0), (14, 0)])
@pytest.mark.parametrize("count", [1, 40, 1100])  # more than one chunk
def test_values_and_gradients_are_torchvisions(side: int, samples: int, count: int) -> None:
    rois = _rois(count)
    level = torch.arange(count) % 3
    ours, theirs = _maps(), _maps()
    a = bag_pool(ours, _STRIDES, level, rois, side, samples)
    b = _torchvision(theirs, level, rois, side, samples)
    torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
    torch.manual_seed(2)
    slope = torch.randn_like(b)
    (a * slope).sum().backward()
    (b * slope).sum().backward()
    for mine, other in zip(ours, theirs, strict=True):
        wanted = torch.zeros_like(other) if other.grad is None else other.grad
        torch.testing.assert_close(mine.grad, wanted, atol=1e-3, rtol=1e-3)


def test_a_sample_that_rounding_moves_to_the_next_pixel_is_not_lost() -> None:
    maps = [m[:1] for m in _maps()[:1]]
    # Cells of exactly whole pixels whose samples lie a rounding error below pixel centres.
    offset = torch.linspace(-1e-5, 1e-5, 41)
    corner = torch.stack([40 + offset, 20 - offset], dim=1) * 2 + 1
    rois = torch.cat([torch.zeros(41, 1), corner, corner + 2 * 21], dim=1)
    with torch.no_grad():
        ours = bag_pool(maps, (2,), torch.zeros(41, dtype=torch.long), rois, 7, 0)
        theirs = roi_align(maps[0], rois, (7, 7), 0.5, 0, aligned=True)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_half_precision_maps_are_summed_in_full_precision() -> None:
    rois = _rois(30)
    level = torch.zeros(30, dtype=torch.long)
    maps = _maps(torch.bfloat16)
    with torch.no_grad():
        half = bag_pool(maps, _STRIDES, level, rois, 7, 2)
        full = _torchvision([m.float() for m in maps], level, rois, 7, 2)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, full, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("samples", [2, 0])
def test_no_boxes_give_an_empty_result_that_can_be_trained_through(samples: int) -> None:
    maps = _maps()
    none = torch.zeros(0, dtype=torch.long)
    pooled = bag_pool(maps, _STRIDES, none, torch.zeros(0, 5), 7, samples)
    assert pooled.shape == (0, 5, 7, 7)
    pooled.sum().backward()
    assert maps[0].grad is not None
    assert float(maps[0].grad.abs().sum()) == 0


def test_samples_close_together_read_their_pixels_once() -> None:
    # Cells of 1.5 pixels with two samples each along x, then of 3 along y.
    rois = torch.tensor([[0.0, 4.0, 5.0, 4.0 + 10.5, 5.0 + 10.5], [0.0, 4.0, 5.0, 14.5, 26.0]])
    close = close_samples(rois, 7, 2)
    assert close.tolist() == [[True, True], [False, True]]
    counts = [
        cell_taps(rois[i : i + 1], (40, 40), 7, (2, 2), (bool(y), bool(x))).row.shape
        for i, (y, x) in enumerate(close.tolist())
    ]
    assert counts == [(49, 9), (49, 12)]
    assert not close_samples(rois, 7, 1).any()
    assert not close_samples(rois[:, [0, 3, 2, 1, 4]], 7, 2)[:, 1].any()  # right of its own left


def test_rounded_maps_are_converted_once_and_still_learn() -> None:
    rois, level = _rois(40), torch.arange(40) % 3
    maps = _maps(torch.bfloat16)
    with torch.no_grad():
        first = bag_pool(maps, _STRIDES, level, rois, 7, 2)
        known = [bag_pooling._ROWS[one] for one in maps]
        again = bag_pool(maps, _STRIDES, level, rois, 7, 2)
        assert all(bag_pooling._ROWS[m] is one for m, one in zip(maps, known, strict=True))
    learning = bag_pool(maps, _STRIDES, level, rois, 7, 2)
    assert torch.equal(first, again)
    assert torch.equal(first, learning)
    (learning.sum() + bag_pool(maps, _STRIDES, level, rois, 14, 1).sum()).backward()
    plain = _maps(torch.bfloat16)
    whole = [one.float() for one in plain]
    pooled = [
        _torchvision(whole, level, rois, side, samples) for side, samples in ((7, 2), (14, 1))
    ]
    (pooled[0].sum() + pooled[1].sum()).backward()
    for mine, other in zip(maps, plain, strict=True):
        torch.testing.assert_close(mine.grad, other.grad, atol=1e-2, rtol=2e-2)


def test_what_was_converted_goes_with_its_maps() -> None:
    maps = [one.detach() for one in _maps(torch.bfloat16)]
    bag_pool(maps, _STRIDES, torch.zeros(5, dtype=torch.long), _rois(5), 7, 2)
    known = [weakref.ref(bag_pooling._ROWS[one]) for one in maps]
    del maps
    assert [one() for one in known] == [None] * 3
