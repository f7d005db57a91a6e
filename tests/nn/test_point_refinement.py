"""PointRend: the subdivision is the paper's whatever the head; gradients reach all parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from napari_sartorius.nn import point_refinement
from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.config import (
    BoxHeadConfig,
    CascadeMaskRCNNConfig,
    MaskHeadConfig,
    MaskRCNNConfig,
    PointHeadConfig,
    PoolerConfig,
    PyramidConfig,
    TrunkConfig,
)
from napari_sartorius.nn.detector import DetectLimits
from napari_sartorius.nn.mask_rcnn import MaskRCNN
from napari_sartorius.nn.point_refinement import PointHead
from napari_sartorius.nn.point_sampling import _by_grid, sample_map
from napari_sartorius.nn.targets import Target

if TYPE_CHECKING:
    from collections.abc import Iterator

STRIDE, CENTRE, RADIUS = 2, (21.3, 18.6), 9.0


class CircleHead(PointHead):
    """Reads coordinates from the map and answers with the distance to a circle, per category."""

    def __init__(self, config: PointHeadConfig) -> None:
        super().__init__(2, 2, STRIDE, config)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        away = (fine - torch.tensor(CENTRE)).norm(dim=1)
        return torch.stack([RADIUS - away, away - 2 * RADIUS], dim=1) + 0.01 * coarse


def _coordinate_map(rows: int, columns: int) -> Tensor:
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return (torch.stack([x, y])[None] + 0.5) * STRIDE


def _by_the_book(
    head: CircleHead, boxes: Tensor, coarse: Tensor, column: list[int], finest: float = 0.0
) -> Tensor:
    """One box, one step, one point at a time."""
    results = []
    for box, logits, map_index in zip(boxes, coarse, column, strict=True):
        mask = logits[map_index]
        for _ in range(head.config.steps):
            mask = functional.interpolate(
                mask[None, None], scale_factor=2, mode="bilinear", align_corners=False
            )[0, 0]
            side = len(mask)
            if float((box[2:] - box[:2]).max()) / side < finest:
                continue
            order = sorted(range(side * side), key=lambda i: abs(float(mask.flatten()[i])))
            redrawn = mask.flatten().clone()
            for index in order[: head.config.points]:
                share = torch.tensor([index % side + 0.5, index // side + 0.5]) / side
                at = box[:2] + share * (box[2:] - box[:2])
                there = functional.grid_sample(
                    logits[None],
                    (share * 2 - 1)[None, None, None],
                    padding_mode="border",
                    align_corners=False,
                )[0, :, 0, 0]
                redrawn[index] = head(at[None], there[None])[0, map_index]
            mask = redrawn.view(side, side)
        results.append(mask)
    return torch.stack(results)


@pytest.fixture
def boxes() -> Tensor:
    return torch.tensor([[8.0, 6.5, 37.2, 33.0], [12.0, 10.0, 30.0, 26.0], [2.0, 2.0, 60.0, 50.0]])


@pytest.mark.parametrize("finest", [0.0, 0.8])
def test_subdivision_is_that_of_the_paper(boxes: Tensor, finest: float) -> None:
    torch.manual_seed(0)
    head = CircleHead(PointHeadConfig(steps=2, points=40, finest=finest))
    coarse = torch.randn(3, 2, 7, 7)
    column = [0, 1, 0]
    given = head.refine(_coordinate_map(32, 40), [boxes], coarse, torch.tensor(column))
    assert given.shape == (3, 28, 28)
    torch.testing.assert_close(given, _by_the_book(head, boxes, coarse, column, finest))


def test_a_refined_circle_is_rounder(boxes: Tensor) -> None:
    head = CircleHead(PointHeadConfig(steps=3, points=400, finest=0.0))
    side = (torch.arange(56) + 0.5) / 56
    at = torch.stack(torch.meshgrid(side, side, indexing="xy"), dim=-1)
    box = boxes[0]
    at = box[:2] + at * (box[2:] - box[:2])
    truth = (at - torch.tensor(CENTRE)).norm(dim=-1) <= RADIUS
    fine = torch.where(truth, 3.0, -3.0)
    coarse = functional.avg_pool2d(fine[None, None], 8).expand(-1, 2, -1, -1)
    given = head.refine(_coordinate_map(32, 40), [box[None]], coarse, torch.tensor([0]))[0]
    smooth = functional.interpolate(coarse[:, :1], size=56, mode="bilinear")[0, 0]
    wrong, before = ((m > 0) != truth for m in (given, smooth))
    assert int(before.sum()) > 40
    assert int(wrong.sum()) <= 4


def test_parts_give_what_all_at_once_give(boxes: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    head = CircleHead(PointHeadConfig(steps=2, points=40))
    features = _coordinate_map(32, 40).expand(2, -1, -1, -1)
    of_images = [boxes[:1], boxes[1:]]
    coarse, column = torch.randn(3, 2, 7, 7), torch.tensor([0, 1, 1])
    whole = head.refine(features, of_images, coarse, column)
    monkeypatch.setattr(point_refinement, "_CHUNK_NUMBERS", 1)
    torch.testing.assert_close(head.refine(features, of_images, coarse, column), whole)


def test_no_boxes_are_no_error() -> None:
    head = CircleHead(PointHeadConfig(steps=2))
    features = _coordinate_map(8, 8)
    none = [torch.zeros(0, 4)]
    refined = head.refine(features, none, torch.zeros(0, 2, 7, 7), torch.zeros(0).long())
    assert refined.shape == (0, 28, 28)
    assert float(head.loss(features, none, torch.zeros(0, 2, 7, 7), [_target()], none)) == 0


def test_points_of_maps_are_those_of_grid_sample() -> None:
    torch.manual_seed(0)
    maps = torch.randn(2, 5, 9, 12, requires_grad=True)
    image = torch.tensor([0, 1, 1])
    at = torch.rand(3, 50, 2) * torch.tensor([14.0, 11.0]) - 1
    gathered = sample_map(maps, image, at)
    wanted = _by_grid(maps, image, at)
    torch.testing.assert_close(gathered, wanted)
    weight = torch.randn_like(wanted)
    (first,) = torch.autograd.grad((gathered * weight).sum(), maps)
    (second,) = torch.autograd.grad((wanted * weight).sum(), maps)
    torch.testing.assert_close(first, second)


def _tree(points: PointHeadConfig | None) -> dict[str, object]:
    return {
        "num_classes": 2,
        "trunk": TrunkConfig(name="resnet18", widths=(16, 16, 16, 16)),
        "pyramid": PyramidConfig(width=16),
        "box_head": BoxHeadConfig(width=16, layers=1),
        "mask_head": MaskHeadConfig(
            pooler=PoolerConfig(resolution=7), width=16, layers=1, points=points
        ),
    }


@pytest.fixture(params=[MaskRCNNConfig, CascadeMaskRCNNConfig])
def network(request: pytest.FixtureRequest) -> Iterator[MaskRCNN]:
    torch.manual_seed(0)
    built = build_network(request.param(**_tree(PointHeadConfig(width=16, points=49))))
    assert isinstance(built, MaskRCNN)
    yield built


def _target() -> Target:
    boxes = torch.tensor([[10.0, 10, 30, 30], [50, 40, 70, 60]])
    return Target(
        boxes=boxes,
        labels=torch.tensor([0, 1]),
        bits=torch.ones(800, dtype=torch.uint8),
        offsets=torch.tensor([0, 400]),
        bitmap_boxes=boxes.long(),
    )


def test_families_with_boxes_refine_their_masks(network: MaskRCNN) -> None:
    assert network.point_head is not None
    torch.nn.init.normal_(network.point_head.predictor.weight, std=1.0)
    batch = torch.randn(2, 1, 96, 96)
    network.eval()
    limits = DetectLimits(score=0.0, max_detections=20)
    found = network.detect(batch, limits)
    with torch.inference_mode():
        features = network.features(batch)
        maps = network.predict_masks(features, [one.boxes for one in found])
    for one, every in zip(found, maps, strict=True):
        assert one.mask_probs.shape == (20, 56, 56)
        assert every.shape == (20, 2, 56, 56)
        torch.testing.assert_close(one.mask_probs, every[torch.arange(20), one.labels])
    head, network.point_head = network.point_head, None
    coarse = network.detect(batch, limits)
    network.point_head = head
    assert coarse[0].mask_probs.shape == (20, 14, 14)
    torch.testing.assert_close(coarse[0].boxes, found[0].boxes)


def test_the_loss_teaches_all_parts(network: MaskRCNN) -> None:
    losses = network.train().losses(torch.randn(2, 1, 96, 96), [_target(), _target()])
    losses["mask_points"].backward()
    assert torch.isfinite(losses["mask_points"])
    assert network.point_head is not None
    for part in (network.point_head, network.mask_head, network.pyramid, network.trunk):
        gradients = [p.grad for p in part.parameters() if p.grad is not None]
        assert sum(float(g.abs().sum()) for g in gradients) > 0


def test_points_learn_where_an_edge_is() -> None:
    """The loss compares points with the truth at their own place, not with its square."""
    torch.manual_seed(0)
    head = PointHead(2, 1, STRIDE, PointHeadConfig(width=32, train_points=200, important=0.0))
    features = _coordinate_map(48, 48) / 96
    target = _target()
    optimiser = torch.optim.Adam(head.parameters(), lr=0.02)
    box = [torch.tensor([[0.0, 0, 60, 60]])]
    for _ in range(150):
        loss = head.loss(features, box, torch.zeros(1, 1, 7, 7), [target], [torch.tensor([0])])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.1
    with torch.no_grad():
        mask = head.refine(features, box, torch.zeros(1, 1, 15, 15), torch.tensor([0]))[0] > 0
    inside = torch.zeros(60, 60, dtype=torch.bool)
    inside[10:30, 10:30] = True
    assert (mask & inside).sum() / (mask | inside).sum() > 0.85


def test_trees_with_points_are_read_back() -> None:
    tree = MaskRCNNConfig(**_tree(PointHeadConfig()))  # type: ignore[arg-type]
    assert MaskRCNNConfig.model_validate_json(tree.model_dump_json()) == tree
    assert MaskRCNNConfig(num_classes=1).mask_head.points is None
