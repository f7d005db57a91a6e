"""The cascade: stages in a row, trees of both families, losses of each head."""

from __future__ import annotations

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from napari_sartorius.nn.boxes import apply_deltas, clip_boxes
from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.cascade import CascadeMaskRCNN
from napari_sartorius.nn.config import (
    Architecture,
    BoxHeadConfig,
    CascadeMaskRCNNConfig,
    MaskHeadConfig,
    MaskRCNNConfig,
    PyramidConfig,
    TrunkConfig,
)
from napari_sartorius.nn.detector import DetectLimits
from napari_sartorius.nn.stock import stock_cascade_mask_rcnn
from napari_sartorius.nn.targets import Target

SIZE = (96, 96)


def _small() -> CascadeMaskRCNNConfig:
    return CascadeMaskRCNNConfig(
        num_classes=2,
        trunk=TrunkConfig(name="resnet18", widths=(16, 16, 16, 16)),
        pyramid=PyramidConfig(width=8),
        box_head=BoxHeadConfig(width=16, layers=1),
        mask_head=MaskHeadConfig(width=8, layers=1),
    )


@pytest.fixture
def network() -> CascadeMaskRCNN:
    torch.manual_seed(0)
    built = build_network(_small())
    assert isinstance(built, CascadeMaskRCNN)
    return built


def _target() -> Target:
    """Two square objects of 20 pixels."""
    boxes = torch.tensor([[10.0, 10, 30, 30], [50, 40, 70, 60]])
    return Target(
        boxes=boxes,
        labels=torch.tensor([0, 1]),
        bits=torch.ones(800, dtype=torch.uint8),
        offsets=torch.tensor([0, 400]),
        bitmap_boxes=boxes.long(),
    )


def test_stages_start_where_the_one_before_ended(network: CascadeMaskRCNN) -> None:
    network.eval()
    for head in (network.box_head, *network.later_heads):
        torch.nn.init.normal_(head.deltas.weight, std=0.5)  # type: ignore[union-attr, arg-type]
    start = torch.tensor([[0.0, 0, 20, 30], [60, 60, 96, 90], [5, 5, 5, 5]])
    with torch.inference_mode():
        features = network.features(torch.randn(1, 1, *SIZE))
        (scored,) = network.score_boxes(features, [start], [SIZE])
        boxes, total = start, torch.zeros(3, 3)
        for i, head in enumerate((network.box_head, *network.later_heads)):
            pooled = network._pool(features, [boxes], head.config.pooler)  # type: ignore[union-attr, arg-type]
            logits, deltas = head(pooled)
            total += logits.softmax(dim=1) / 3
            weights = ((10, 10, 5, 5), (20, 20, 10, 10), (30, 30, 15, 15))[i]
            moved = apply_deltas(boxes, deltas, weights)[:, 0]
            boxes = clip_boxes(moved, SIZE)
    torch.testing.assert_close(scored.boxes[:, 0], moved)
    torch.testing.assert_close(scored.probabilities, total)
    assert scored.boxes.shape == (3, 1, 4)


def test_it_detects(network: CascadeMaskRCNN) -> None:
    found = network.eval().detect(torch.randn(2, 1, *SIZE), DetectLimits(score=0.0), [SIZE] * 2)
    assert all(len(one.boxes) > 0 and one.mask_probs.shape[1:] == (28, 28) for one in found)


def test_every_head_learns(network: CascadeMaskRCNN) -> None:
    network.train()
    batch, targets = torch.randn(2, 1, *SIZE), [_target(), _target()]
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    sums = []
    for _ in range(12):
        losses = network.losses(batch, targets)
        total = torch.stack(list(losses.values())).sum()
        optimiser.zero_grad()
        total.backward()
        sums.append(float(total.detach()))
        assert torch.isfinite(total)
        optimiser.step()
    assert {f"{kind}_{i}" for kind in ("class", "box") for i in (1, 2, 3)} <= set(losses)
    for head in (network.box_head, *network.later_heads):
        gradient = head.class_logits.weight.grad  # type: ignore[union-attr]
        assert gradient is not None
        assert gradient.abs().sum() > 0  # type: ignore[operator]
    assert sum(sums[-3:]) < 0.9 * sum(sums[:3])


def test_an_image_without_objects_trains_too(network: CascadeMaskRCNN) -> None:
    empty = Target(
        torch.zeros(0, 4),
        torch.zeros(0, dtype=torch.int64),
        torch.zeros(0, dtype=torch.uint8),
        torch.zeros(0, dtype=torch.int64),
        torch.zeros(0, 4, dtype=torch.int64),
    )
    losses = network.train().losses(torch.randn(2, 1, *SIZE), [_target(), empty])
    assert all(torch.isfinite(value) for value in losses.values())


def test_trees_say_their_family_and_old_ones_need_not() -> None:
    reader: TypeAdapter[MaskRCNNConfig] = TypeAdapter(Architecture)
    assert type(reader.validate_python({"num_classes": 1})) is MaskRCNNConfig
    tree = stock_cascade_mask_rcnn(3)
    assert tree.family == "cascade_mask_rcnn"
    assert reader.validate_json(tree.model_dump_json()) == tree
    plain = MaskRCNNConfig(num_classes=1)
    assert reader.validate_python(plain) is plain
    with pytest.raises(ValidationError, match="yolo"):
        reader.validate_python({"num_classes": 1, "family": "yolo"})
    with pytest.raises(ValidationError, match="class_agnostic"):
        CascadeMaskRCNNConfig(num_classes=1, box_head=BoxHeadConfig(class_agnostic=False))
    with pytest.raises(ValidationError):
        CascadeMaskRCNNConfig(num_classes=1, stages=())
