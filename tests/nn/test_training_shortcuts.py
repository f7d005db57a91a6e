"""What makes a training step quicker changes neither its losses nor its gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_sartorius.nn.config import ProposalConfig
from napari_sartorius.nn.predictors import ConvPredictor, both
from napari_sartorius.nn.proposals import ProposalNetwork
from napari_sartorius.nn.sparse_proposals import scores_at
from napari_sartorius.nn.sub_pixel import doubled_logits


def test_two_products_equal_the_two_convolutions() -> None:
    torch.manual_seed(0)
    upsample, predictor = nn.ConvTranspose2d(8, 6, 2, stride=2), nn.Conv2d(6, 3, 1)
    hidden = torch.randn(5, 8, 7, 4, requires_grad=True)
    slope = torch.randn(5, 3, 14, 8)
    parts = [hidden, upsample.weight, upsample.bias, predictor.weight, predictor.bias]

    def results(logits: Tensor) -> list[Tensor]:
        return [logits, *torch.autograd.grad((logits * slope).sum(), parts)]

    plain = results(predictor(functional.relu(upsample(hidden))))
    for one, other in zip(results(doubled_logits(hidden, upsample, predictor)), plain, strict=True):
        torch.testing.assert_close(one, other)


def _by_place(maps: Tensor) -> Tensor:
    """(B, C, H, W) to (B, H, W, C)."""
    return maps.permute(0, 2, 3, 1)


def test_two_predictors_of_one_map_give_what_each_gives() -> None:
    torch.manual_seed(0)
    one, other = ConvPredictor(16, 3, 1), ConvPredictor(16, 12, 1)
    hidden = torch.randn(2, 16, 7, 5).bfloat16().requires_grad_()
    parts = [hidden, *one.parameters(), *other.parameters()]
    slopes = torch.randn(2, 7, 5, 3), torch.randn(2, 7, 5, 12)

    def results(answers: tuple[Tensor, Tensor]) -> list[Tensor]:
        loss = (answers[0] * slopes[0]).sum() + (answers[1] * slopes[1]).sum()
        return [*answers, *torch.autograd.grad(loss, parts)]

    with torch.autocast("cpu", torch.bfloat16):
        answers = both(hidden, one, other)
        single = _by_place(one(hidden)), _by_place(other(hidden))
    joint, apart = results(answers), results(single)
    assert joint[0].dtype == torch.float32
    for mine, wanted in zip(joint, apart, strict=True):
        # The gradient of the map is rounded once for both, and not for each.
        exact = mine.dtype == torch.float32
        limit = 1e-5 if exact else 2e-2
        torch.testing.assert_close(mine, wanted, atol=limit, rtol=limit)


@pytest.mark.parametrize("levels", [None, (0, 0, 1)])
def test_head_at_single_anchors_equals_the_head_on_whole_maps(
    levels: tuple[int, ...] | None,
) -> None:
    torch.manual_seed(0)
    sizes = ((8.0,), (16.0,), (32.0,))[: 3 if levels else 2]
    network = ProposalNetwork(6, ProposalConfig(anchor_sizes=sizes, levels=levels), (4, 8))
    features = [torch.randn(2, 6, 9, 5), torch.randn(2, 6, 4, 3)]
    for one in features:
        one.requires_grad_()
    maps = [features[level] for level in network.levels]
    count = sum(3 * one.shape[2] * one.shape[3] for one in maps)
    # Corners, doubled places, and several anchors of one place are among them.
    anchor = torch.cat([torch.tensor([0, 0, 1, 2, count - 1]), torch.randint(0, count, (40,))])
    image = torch.randint(0, 2, (len(anchor),))
    slope, slopes = torch.randn(len(anchor)), torch.randn(len(anchor), 4)
    parts = [*features, *network.head.parameters()]

    def results(logits: Tensor, deltas: Tensor) -> list[Tensor]:
        loss = (logits * slope).sum() + (deltas * slopes).sum()
        return [logits, deltas, *torch.autograd.grad(loss, parts)]

    logits, deltas = network(features)
    plain = results(
        torch.cat(logits, dim=1)[image, anchor], torch.cat(deltas, dim=1)[image, anchor]
    )
    single = results(*scores_at(network.head, maps, image, anchor))
    for one, other in zip(single, plain, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
