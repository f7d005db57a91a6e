"""The cascade: stages in a row, trees of both families, losses of each head."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from napari_sartorius.nn.boxes import apply_deltas, clip_boxes
from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.cascade import CascadeMaskRCNN, likeliest
from napari_sartorius.nn.config import (
    Architecture,
    BoxHeadConfig,
    CascadeMaskRCNNConfig,
    MaskHeadConfig,
    MaskRCNNConfig,
    ProposalConfig,
    PyramidConfig,
    TrunkConfig,
)
from napari_sartorius.nn.detector import DetectLimits
from napari_sartorius.nn.stock import stock_cascade_mask_rcnn
from napari_sartorius.nn.targets import Target
from two_crops import as_batch, average_precision_50, real_data, two_crops

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


def test_a_box_for_each_class_hands_on_the_likeliest(network: CascadeMaskRCNN) -> None:
    head = _small().box_head.model_copy(update={"class_agnostic": False})
    network = build_network(_small().model_copy(update={"box_head": head})).eval()  # type: ignore[assignment]
    for one in network._heads:
        torch.nn.init.normal_(one.deltas.weight, std=0.5)
        torch.nn.init.normal_(one.class_logits.weight, std=0.5)
    start = torch.tensor([[0.0, 0, 20, 30], [60, 60, 96, 90], [30, 5, 55, 55]])
    with torch.inference_mode():
        features = network.features(torch.randn(1, 1, *SIZE))
        (scored,) = network.score_boxes(features, [start], [SIZE])
        boxes, likeliest = start, []
        for one in network._heads:
            logits, deltas = one(network._pool(features, [boxes], one.config.pooler))
            moved = apply_deltas(boxes, deltas, one.config.delta_weights)
            assert moved.shape == (3, 2, 4)
            likeliest.append(logits[:, :2].argmax(dim=1).tolist())
            # A box whose likeliest category is the background goes on as its best object.
            boxes = clip_boxes(moved[torch.arange(3), likeliest[-1]], SIZE)
    assert {0, 1} == {column for row in likeliest for column in row}
    torch.testing.assert_close(scored.boxes, moved)


def test_training_hands_on_the_box_of_the_true_class() -> None:
    boxes = torch.arange(24.0).view(3, 2, 4)
    logits = torch.tensor([[5.0, 0, 0], [0, 1, 9], [5, 0, 9]])
    assert likeliest(boxes, logits)[:, 0].tolist() == [0, 12, 16]
    labels = torch.tensor([1, 0, 2])  # 2 is the background: the likeliest is taken
    assert likeliest(boxes, logits, labels)[:, 0].tolist() == [4, 8, 16]
    assert likeliest(boxes[:, :1], logits, labels)[:, 0].tolist() == [0, 8, 16]


def test_anchors_that_share_a_level_share_its_outputs() -> None:
    torch.manual_seed(0)
    config = _small().model_dump() | {
        "proposals": ProposalConfig(
            anchor_sizes=((4.0,), (9.0,), (17.0,), (64.0,)), levels=(0, 0, 1, 3)
        )
    }
    network: Any = build_network(CascadeMaskRCNNConfig.model_validate(config)).train()
    features = network.features(torch.randn(2, 1, *SIZE))
    logits, deltas = network.proposals(features)
    assert [x.shape[1] // 3 for x in logits] == [48 * 48, 48 * 48, 24 * 24, 6 * 6]
    torch.testing.assert_close(logits[0], logits[1])
    torch.testing.assert_close(deltas[0], deltas[1])
    anchors = network.proposals.anchors(features)
    centres = [(a[:, :2] + a[:, 2:]) / 2 for a in anchors]
    torch.testing.assert_close(centres[0], centres[1])
    torch.testing.assert_close(
        anchors[1][:, 2] - anchors[1][:, 0], (anchors[0][:, 2] - anchors[0][:, 0]) * 9 / 4
    )
    found = network.propose(features, [SIZE, SIZE])
    assert all(len(one.boxes) > 0 for one in found)
    losses = network.losses(torch.randn(2, 1, *SIZE), [_target(), _target()])
    sum(losses.values()).backward()
    assert network.proposals.head.conv.weight.grad.any()
    for levels, words in (((0, 1, 2, 4), "0 to 3"), ((0, 1), "each of 2 levels")):
        changed = config["proposals"].model_copy(update={"levels": levels})
        with pytest.raises(ValidationError, match=words):
            CascadeMaskRCNNConfig.model_validate(config | {"proposals": changed.model_dump()})


def test_convolutional_heads_learn_two_crops_by_heart() -> None:
    torch.manual_seed(0)
    crops = two_crops(real_data())
    network = build_network(
        CascadeMaskRCNNConfig(
            num_classes=1,
            trunk=TrunkConfig(name="resnet18", widths=(16, 32, 32, 32)),
            pyramid=PyramidConfig(width=32, norm="group"),
            proposals=ProposalConfig(
                anchor_sizes=((8.0,), (14.0,), (28.0,), (56.0,), (112.0,)),
                levels=(0, 0, 1, 2, 3),
                pre_nms_topk_train=200,
                post_nms_topk_train=100,
            ),
            box_head=BoxHeadConfig(
                convolutions=2,
                conv_width=32,
                norm="batch",
                layers=1,
                width=64,
                class_agnostic=False,
            ),
            mask_head=MaskHeadConfig(width=32, layers=2, norm="group"),
        )
    ).train()
    batch, targets = as_batch(crops)
    rate, steps = 2.5e-3, 160
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate)
    history = []
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 10, (steps - step) / 15)
        losses = network.losses(batch, targets)
        total = torch.stack(list(losses.values())).sum()
        optimiser.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10)
        optimiser.step()
        history.append({name: float(value.detach()) for name, value in losses.items()})
    # The later heads have nothing to refine before the first ones find something.
    for name, factor in {"proposal_objectness": 0.5, "class_1": 0.6, "mask": 0.6}.items():
        values = [one[name] for one in history]
        assert sum(values[-5:]) < factor * sum(values[:5]), name
    assert average_precision_50(network, crops) > 0.8


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
    with pytest.raises(ValidationError):
        CascadeMaskRCNNConfig(num_classes=1, stages=())
