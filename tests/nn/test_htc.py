"""Hybrid Task Cascade: it learns, its stages compose, its parts do what the paper says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.config import (
    Architecture,
    BoxHeadConfig,
    HTCConfig,
    MaskHeadConfig,
    PoolerConfig,
    ProposalConfig,
    PyramidConfig,
    SemanticConfig,
    TrunkConfig,
)
from napari_sartorius.nn.detector import DetectLimits
from napari_sartorius.nn.htc import HybridTaskCascade
from napari_sartorius.nn.semantic import foreground
from napari_sartorius.nn.targets import Target
from napari_sartorius.zoo import save_bundle
from tiny_models import tiny_card
from two_crops import as_batch, average_precision_50, real_data, two_crops

if TYPE_CHECKING:
    from pathlib import Path

SIZE = (96, 128)
PLAIN: dict[str, Any] = {"interleaved": False, "mask_flow": False, "semantic": None}


def _tree(**changes: Any) -> HTCConfig:
    fields: dict[str, Any] = {
        "num_classes": 2,
        "trunk": TrunkConfig(name="resnet18", widths=(16, 16, 16, 16)),
        "pyramid": PyramidConfig(width=8),
        "box_head": BoxHeadConfig(width=16, layers=1),
        "mask_head": MaskHeadConfig(width=8, layers=1),
        "semantic": SemanticConfig(layers=1),
    }
    return HTCConfig(**(fields | changes))


def _built(**changes: Any) -> HybridTaskCascade:
    torch.manual_seed(0)
    network = build_network(_tree(**changes))
    assert isinstance(network, HybridTaskCascade)
    return network.eval()


@pytest.mark.parametrize("changes", [{}, {"semantic": None}, PLAIN])
def test_stages_compose(changes: dict[str, Any]) -> None:
    network = _built(**changes)
    with torch.inference_mode():
        features = network.features(torch.randn(2, 1, *SIZE))
        proposals = network.propose(features, [SIZE, (90, 100)])
        boxes = [p.boxes[:5] for p in proposals]
        scored = network.score_boxes(features, boxes, [SIZE, (90, 100)])
        masks = network.predict_masks(features, boxes)
    assert len(features) == (6 if "semantic" not in changes else 4)
    for one, mask in zip(scored, masks, strict=True):
        torch.testing.assert_close(one.probabilities.sum(dim=1), torch.ones(5))
        assert one.boxes.shape == (5, 1, 4)
        assert mask.shape == (5, 2, 28, 28)
    found = network.detect(torch.randn(1, 1, *SIZE), DetectLimits(score=0.0))
    assert len(found[0].boxes) > 0


def test_class_logits_are_averaged_before_the_softmax() -> None:
    network = _built()
    for head in network._heads:
        torch.nn.init.normal_(head.class_logits.weight, std=2)
        torch.nn.init.zeros_(head.deltas.weight)  # boxes stay where they are
    boxes = [torch.tensor([[4.0, 4, 40, 50], [60, 30, 90, 80]])]
    with torch.inference_mode():
        features = network.features(torch.randn(1, 1, *SIZE))
        (scored,) = network.score_boxes(features, boxes)
        pooled = network._pool(features, boxes, network.config.box_head.pooler)
        logits = [head(pooled)[0] for head in network._heads]
    wanted = ((logits[0] + logits[1] + logits[2]) / 3).softmax(dim=1)
    torch.testing.assert_close(scored.probabilities, wanted)
    apart = sum(one.softmax(dim=1) for one in logits) / 3
    assert (scored.probabilities - apart).abs().max() > 0.01


def test_masks_see_those_of_the_stage_before_and_are_averaged() -> None:
    network = _built()
    for head in network._mask_heads:
        torch.nn.init.normal_(head.predictor.weight)
    boxes = [torch.tensor([[4.0, 4, 40, 50]])]
    with torch.inference_mode():
        features = network.features(torch.randn(1, 1, *SIZE))
        (mask,) = network.predict_masks(features, boxes)
        pooled = network._pool(features, boxes, network.config.mask_head.pooler)
        seen, probabilities, hidden = pooled, [], None
        for i, head in enumerate((network.mask_head, *network.later_mask_heads)):
            if hidden is not None:
                seen = pooled + network.flows[i - 1](hidden)
            hidden = head.blocks(seen)  # type: ignore[union-attr, operator]
            probabilities.append(head.logits(hidden).sigmoid())  # type: ignore[union-attr, operator]
        torch.testing.assert_close(mask, sum(probabilities) / 3)
        assert (probabilities[0] - probabilities[1]).abs().max() > 0.01
        for flow in network.flows:
            torch.nn.init.zeros_(flow[0].weight)  # type: ignore[index, arg-type]
        assert (network.predict_masks(features, boxes)[0] - mask).abs().max() > 1e-3


def test_the_semantic_branch_reaches_boxes_and_masks() -> None:
    network = _built()
    boxes = [torch.tensor([[4.0, 4, 40, 50]])]
    with torch.inference_mode():
        features = network.features(torch.randn(1, 1, *SIZE))
        assert features[-2].shape == features[1].shape
        assert features[-1].shape == (1, 2, *features[1].shape[-2:])
        changed = [*features[:-2], features[-2] + 1, features[-1]]
        for pooler in (network.config.box_head.pooler, network.config.mask_head.pooler):
            plain, more = (network._pool(f, boxes, pooler) for f in (features, changed))
            torch.testing.assert_close(more, plain + 1)


def test_semantic_truth_is_the_union_of_the_objects() -> None:
    ring = torch.ones(8, 8, dtype=torch.uint8)
    ring[2:6, 2:6] = 0
    target = Target(
        boxes=torch.zeros(2, 4),
        labels=torch.tensor([0, 1]),
        bits=torch.cat([ring.flatten(), torch.ones(16, dtype=torch.uint8)]),
        offsets=torch.tensor([0, 64]),
        bitmap_boxes=torch.tensor([[-4, 4, 4, 12], [8, 8, 12, 12]]),
        scale=(2.0, 2.0),
    )
    canvas = np.zeros((16, 16), int)
    canvas[4:12, 0:4] = ring.numpy()[:, 4:]
    canvas[8:12, 8:12] = 1
    # Cells of 4 network pixels are 2 source pixels; their centre lies in the second of them.
    assert np.array_equal(foreground(target, (8, 8), 4).numpy(), canvas[1::2, 1::2])
    empty = Target(
        target.boxes[:0], target.labels[:0], *[torch.zeros(0).long()] * 2, torch.zeros(0, 4).long()
    )
    assert foreground(empty, (3, 5), 4).sum() == 0


@pytest.mark.parametrize("changes", [{}, {"interleaved": False, "semantic": None}, PLAIN])
def test_every_part_learns(changes: dict[str, Any]) -> None:
    network = _built(**changes).train()
    torch.manual_seed(1)  # the coarsest level has few anchors: not every sample holds one
    batch, targets = as_batch(two_crops(None))
    nothing = Target(
        targets[0].boxes[:0],
        targets[0].labels[:0],
        targets[0].bits[:0],
        targets[0].offsets[:0],
        targets[0].bitmap_boxes[:0],
    )
    losses = network.losses(batch, [targets[0], nothing])
    parts = {f"{kind}_{i}" for kind in ("class", "box", "mask") for i in (1, 2, 3)}
    assert parts <= set(losses)
    assert ("semantic" in losses) == (network.semantic is not None)
    sum(losses.values()).backward()
    heads = [(n, p) for n, p in network.named_parameters() if not n.startswith("trunk.")]
    assert [name for name, p in heads if p.grad is None or not p.grad.any()] == []


def test_it_learns_two_crops_by_heart() -> None:
    torch.manual_seed(0)
    crops = two_crops(real_data())
    network = build_network(
        _tree(
            num_classes=1,
            trunk=TrunkConfig(name="resnet18", widths=(16, 32, 32, 32)),
            pyramid=PyramidConfig(width=16),
            proposals=ProposalConfig(
                batch_per_image=128, pre_nms_topk_train=150, post_nms_topk_train=80
            ),
            box_head=BoxHeadConfig(width=64, layers=1, batch_per_image=48),
            mask_head=MaskHeadConfig(width=16, layers=1, batch_per_image=16),
        )
    ).train()
    batch, targets = as_batch(crops)
    rate, steps = 3e-3, 160
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate)
    sums = []
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 10, (steps - step) / 30)
        total = torch.stack(list(network.losses(batch, targets).values())).sum()
        optimiser.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10)
        optimiser.step()
        sums.append(float(total.detach()))
    assert sum(sums[-5:]) < 0.3 * sum(sums[:5])
    assert average_precision_50(network, crops) > 0.8


def test_weights_survive_a_bundle(tmp_path: Path) -> None:
    network = _built(semantic=SemanticConfig(layers=2, classes=8, level=0))
    card = tiny_card(architecture=network.config)
    bundle = save_bundle(tmp_path / "htc", card, network.state_dict(), "float32")
    loaded = bundle.load_network()
    assert type(loaded) is HybridTaskCascade
    before, after = network.state_dict(), loaded.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_trees_are_read_back_and_wrong_ones_refused() -> None:
    reader: TypeAdapter[HTCConfig] = TypeAdapter(Architecture)
    tree = _tree()
    assert reader.validate_json(tree.model_dump_json()) == tree
    with pytest.raises(ValidationError, match="stage_losses"):
        _tree(stage_losses=(1.0, 0.5))
    with pytest.raises(ValidationError, match="semantic"):
        _tree(semantic=SemanticConfig(level=4))
    with pytest.raises(ValidationError):
        SemanticConfig(classes=1, pooler=PoolerConfig(resolution=7))
