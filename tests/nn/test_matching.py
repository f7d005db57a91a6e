"""Anchors matched from overlapping pairs equal anchors matched from the full matrix."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchvision.ops import box_iou

from napari_sartorius.nn.anchors import grid_anchors, overlapping_anchors
from napari_sartorius.nn.config import ProposalConfig
from napari_sartorius.nn.matching import BACKGROUND, IGNORED, match_pairs

_SHAPES = ((32, 48), (16, 24), (8, 12), (4, 6))
_STRIDES = (2, 4, 8, 16)


def _dense(anchors: Tensor, truth: Tensor) -> Tensor:
    """The textbook way: the whole matrix, then the best anchors of each true box."""
    if len(truth) == 0:
        return torch.full((len(anchors),), BACKGROUND)
    iou = box_iou(truth, anchors)
    best, index = iou.max(dim=0)
    matched = torch.where(best >= 0.5, index, torch.full_like(index, IGNORED))
    matched[best < 0.3] = BACKGROUND
    best_of_truth = iou.max(dim=1, keepdim=True).values
    rescued = ((iou == best_of_truth) & (best_of_truth > 0)).any(dim=0)
    matched[rescued] = index[rescued]
    return matched


def _boxes(count: int, seed: int) -> Tensor:
    """Small and large boxes, some beyond the border, two the same."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 110 - 10
    size = torch.exp(torch.rand(count, 2, generator=generator) * 4.0)
    boxes = torch.cat([corner, corner + size], dim=1)
    if count > 1:
        boxes[1] = boxes[0]
    return boxes


@pytest.mark.parametrize("count", [0, 1, 7, 60])
@pytest.mark.parametrize("offset", [0.0, 0.5])
@pytest.mark.parametrize("seed", range(4))
def test_pairs_give_what_the_full_matrix_gives(count: int, offset: float, seed: int) -> None:
    config = ProposalConfig(anchor_offset=offset)
    anchors = torch.cat(grid_anchors(config, _SHAPES, _STRIDES, torch.device("cpu")))
    truth = _boxes(count, seed)
    pairs = overlapping_anchors(config, _SHAPES, _STRIDES, truth)
    assert torch.equal(match_pairs(anchors, truth, pairs, 0.5, 0.3), _dense(anchors, truth))


def test_every_overlapping_pair_is_listed_once() -> None:
    config = ProposalConfig()
    anchors = torch.cat(grid_anchors(config, _SHAPES, _STRIDES, torch.device("cpu")))
    truth = _boxes(20, 9)
    anchor, owner = overlapping_anchors(config, _SHAPES, _STRIDES, truth)
    listed = torch.zeros(len(truth), len(anchors), dtype=torch.long)
    listed.index_put_((owner, anchor), torch.ones_like(owner), accumulate=True)
    assert listed.max() == 1
    assert bool((listed[box_iou(truth, anchors) > 0] == 1).all())
    assert listed.sum() < 0.2 * listed.numel()


def test_anchors_as_torchvision_lays_them() -> None:
    """An image of 100 x 132 has a fifth map of 4 x 5, so that its steps are 25 and 26 pixels."""
    config = ProposalConfig(
        anchor_sizes=((14.0,), (28.0,)), rounded_anchors=True, strides_from_map=True
    )
    shapes = ((25, 33), (4, 5))
    fine, coarse = grid_anchors(config, shapes, (4, 32), torch.device("cpu"))
    # 14 pixels at the ratio 0.5 are 19.8 x 9.9: 10 and 5 from the centre.
    assert fine[0].tolist() == [-10, -5, 10, 5]
    centres = (coarse[:, :2] + coarse[:, 2:]).reshape(4, 5, 3, 2)[:, :, 1] / 2
    assert centres[:, 0, 1].tolist() == [0, 25, 50, 75]
    assert centres[0, :, 0].tolist() == [0, 26, 52, 78, 104]
    truth = _boxes(20, 3)
    pairs = overlapping_anchors(config, shapes, (4, 32), truth)
    anchors = torch.cat([fine, coarse])
    assert torch.equal(match_pairs(anchors, truth, pairs, 0.5, 0.3), _dense(anchors, truth))
