"""CenterMask: stages, ranking, limits, learning, and its tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.centermask import CenterMask
from napari_sartorius.nn.config import (
    Architecture,
    AreaPoolerConfig,
    AttentiveMaskHeadConfig,
    CenterMaskConfig,
    FCOSConfig,
    MaskIoUHeadConfig,
    MaskRCNNConfig,
    TopPyramidConfig,
    TrunkConfig,
    VoVNetConfig,
)
from napari_sartorius.nn.detector import DetectLimits
from napari_sartorius.nn.mask_iou_head import mask_iou, object_areas
from napari_sartorius.nn.pooling import assign_levels_by_area
from napari_sartorius.nn.stock_centermask import stock_centermask_lite
from napari_sartorius.zoo import save_bundle
from tiny_models import tiny_card
from two_crops import as_batch, average_precision_50, real_data, two_crops

if TYPE_CHECKING:
    from pathlib import Path

SIZE = (96, 128)
_COLUMNS = ("boxes", "labels", "bits", "offsets", "bitmap_boxes")
EVERYTHING = DetectLimits(score=0.0, nms=1.0, max_detections=10_000)


def _tree(**changes: Any) -> CenterMaskConfig:
    fields: dict[str, Any] = {
        "num_classes": 2,
        "trunk": TrunkConfig(name="resnet18", widths=(16, 16, 16, 16)),
        "pyramid": TopPyramidConfig(width=16),
        "fcos": FCOSConfig(class_layers=1, box_layers=1, groups=4, candidate_score=0.0),
        "mask_head": AttentiveMaskHeadConfig(width=8, layers=1),
        "mask_iou_head": MaskIoUHeadConfig(width=8, layers=2, hidden=16),
    }
    return CenterMaskConfig(**(fields | changes))


def _built(**changes: Any) -> CenterMask:
    torch.manual_seed(0)
    network = build_network(_tree(**changes))
    assert isinstance(network, CenterMask)
    return network.eval()


@pytest.mark.parametrize(
    ("changes", "strides"),
    [
        ({}, (4, 8, 16, 32, 64)),
        (
            {
                "pyramid": TopPyramidConfig(width=16, finest=0, top_levels=0),
                "fcos": FCOSConfig(
                    groups=4, level_limits=(16, 32, 64), class_layers=1, box_layers=0
                ),
            },
            (2, 4, 8, 16),
        ),
        ({"trunk": VoVNetConfig(size="19-slim", in_channels=1)}, (8, 16, 32, 64, 128)),
    ],
)
def test_stages_can_be_called_one_by_one(changes: dict[str, Any], strides: Any) -> None:
    network = _built(**changes)
    torch.nn.init.zeros_(network.fcos.classes.bias)  # or nothing would be found
    batch, sizes = torch.randn(2, 1, *SIZE), [SIZE, (90, 100)]
    with torch.inference_mode():
        features = network.features(batch)
        proposals = network.propose(features, sizes)
        boxes = [p.boxes[:5] for p in proposals]
        scored = network.score_boxes(features, boxes, sizes)
        masks = network.predict_masks(features, boxes, sizes)
    assert network.strides == strides
    for level, stride in zip(features, strides, strict=True):
        assert level.shape[2:] == (-(-SIZE[0] // stride), -(-SIZE[1] // stride))
    assert float(proposals[1].boxes[:, 2].max()) <= 100
    assert float(proposals[1].boxes[:, 3].max()) <= 90
    for proposal, one, mask in zip(proposals, scored, masks, strict=True):
        assert (proposal.logits[:-1] >= proposal.logits[1:]).all()
        assert one.probabilities.shape == (5, 3)
        assert one.boxes.shape == (5, 1, 4)
        assert ((one.probabilities >= 0) & (one.probabilities <= 1)).all()
        assert mask.shape == (5, 2, 28, 28)


def test_a_box_is_scored_by_the_place_in_its_middle() -> None:
    network = _built()
    torch.nn.init.normal_(network.fcos.classes.weight, std=1.0)
    with torch.inference_mode():
        features = network.features(torch.randn(1, 1, *SIZE))
        maps, places = network.fcos(features), network._places(features)
        # 20 pixels wide: the finest level; 100 pixels wide: distances of 50, the next one.
        boxes = torch.tensor([[30.0, 40, 50, 60], [10, 20, 110, 60]])
        (scored,) = network.score_boxes(features, [boxes])
    for row, (level, middle) in enumerate(((0, (42, 50)), (1, (60, 44)))):
        place = int((places[level] == torch.tensor(middle)).all(dim=1).nonzero()[0])
        expected = maps.classes[level][0, place].sigmoid()
        expected = (expected * maps.centerness[level][0, place].sigmoid()).sqrt()
        torch.testing.assert_close(scored.probabilities[row, :2], expected)
        torch.testing.assert_close(scored.probabilities[row, 2], 1 - expected.max())


def test_masks_are_the_same_however_many_are_drawn_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = _built()
    torch.nn.init.zeros_(network.fcos.classes.bias)
    batch, some = torch.randn(2, 1, *SIZE), DetectLimits(0.0, 1.0, 30)
    whole = network.detect(batch, some, [SIZE, (90, 100)])
    assert [len(one.scores) for one in whole] == [len(one.mask_probs) for one in whole]
    monkeypatch.setattr("napari_sartorius.nn.centermask._CHUNK", 7)
    parts = network.detect(batch, some, [SIZE, (90, 100)])
    for one, other in zip(whole, parts, strict=True):
        assert len(one.scores) > 7
        torch.testing.assert_close(one.mask_probs, other.mask_probs)
        torch.testing.assert_close(one.columns["mask_score"], other.columns["mask_score"])


def test_objects_are_ranked_by_what_the_tree_says() -> None:
    network = _built()
    torch.nn.init.normal_(network.fcos.classes.weight, std=0.5)
    assert network.mask_iou_head is not None
    torch.nn.init.normal_(network.mask_iou_head.fit.weight, std=1.0)
    torch.nn.init.constant_(network.mask_iou_head.fit.bias, 0.5)
    judged = _built(rank_by="mask_score")
    judged.load_state_dict(network.state_dict())
    plain = _built(mask_iou_head=None)
    plain.load_state_dict(network.state_dict(), strict=False)
    batch = torch.randn(1, 1, *SIZE)
    (by_box,), (by_mask,) = (one.detect(batch, EVERYTHING) for one in (network, judged))
    assert torch.equal(by_box.scores, by_box.columns["box_score"])
    fit = by_box.columns["mask_score"] / by_box.columns["box_score"]
    assert fit.min() < 0.4 < 0.6 < fit.max()
    expected = (by_box.scores * fit.clamp(0, 1)).sort(descending=True).values
    expected = expected[expected > 0]
    torch.testing.assert_close(by_mask.scores, expected)
    best = int((by_box.scores * fit.clamp(0, 1)).argmax())
    torch.testing.assert_close(by_mask.boxes[0], by_box.boxes[best])
    torch.testing.assert_close(by_mask.columns["box_score"][0], by_box.scores[best])
    (unjudged,) = plain.detect(batch, EVERYTHING)
    assert unjudged.columns == {}
    torch.testing.assert_close(unjudged.scores, by_box.scores)
    # A limit is on the score, whichever it is.
    limit = float(by_mask.scores[len(by_mask.scores) // 2])
    assert (judged.detect(batch, DetectLimits(limit, 1.0, 10_000))[0].scores > limit).all()


def test_limits_are_honoured_and_reported() -> None:
    fcos = _tree().fcos.model_copy(update={"post_nms_topk_test": 5000})
    network = _built(fcos=fcos)
    torch.nn.init.normal_(network.fcos.classes.weight, std=0.5)
    batch = torch.randn(1, 1, *SIZE)
    everything = network.detect(batch, EVERYTHING)[0]
    assert not everything.capped
    assert len(everything.scores) > 100
    cut = network.detect(batch, DetectLimits(0.0, 1.0, 9))[0]
    assert cut.capped
    torch.testing.assert_close(cut.scores, everything.scores[:9])
    wanted = float(everything.scores[8])
    for above, capped in ((-1e-4, True), (1e-4, False)):
        limits = DetectLimits(0.0, 1.0, 8, (wanted + above,) * 2)
        assert network.detect(batch, limits)[0].capped is capped
    apart = network.detect(batch, DetectLimits(0.0, 0.1, 10_000))[0]
    assert 0 < len(apart.scores) < len(everything.scores)
    nothing = network.detect(batch, DetectLimits(score=1.0))[0]
    assert nothing.mask_probs.shape == (0, 28, 28)
    assert not nothing.capped


def test_boxes_outside_of_the_image_are_left_out_and_others_limited_to_it() -> None:
    network = _built()
    torch.nn.init.zeros_(network.fcos.classes.bias)
    found = network.detect(torch.randn(1, 1, *SIZE), EVERYTHING, [(40, 50)])[0]
    assert len(found.scores) > 0
    assert (found.boxes[:, 2:] > found.boxes[:, :2]).all()
    assert found.boxes.min() >= 0
    assert found.boxes[:, 2].max() <= 50
    assert found.boxes[:, 3].max() <= 40


def test_masks_are_read_from_the_level_of_their_share_of_the_picture() -> None:
    boxes = torch.tensor([[0.0, 0, 100, 51], [0, 0, 100, 50], [0, 0, 25, 100], [3, 3, 3, 9]])
    levels = assign_levels_by_area(boxes, torch.full((4,), 10_000.0), 3)
    assert levels.tolist() == [2, 1, 0, 0]
    maps = [torch.full((1, 16, *SIZE), float(i)) for i in range(5)]
    for whole, size, level in ((False, SIZE, 0), (True, (40, 40), 2), (True, SIZE, 0)):
        pooler = AreaPoolerConfig(whole_image=whole)
        network = _built(mask_head=AttentiveMaskHeadConfig(width=8, layers=1, pooler=pooler))
        pooled = network._pool(maps, [torch.tensor([[0.0, 0, 40, 30]])], [size])
        assert pooled.round().unique().tolist() == [level]


def test_a_mask_is_judged_with_what_its_box_cuts_off() -> None:
    crop = two_crops(None)[0]
    _, targets = as_batch([crop])
    torch.testing.assert_close(
        object_areas(targets[0]), torch.from_numpy(crop.masks.area()).float()
    )
    masks = torch.zeros(2, 4, 4)
    masks[:, :2] = 1
    truth = torch.zeros(2, 4, 4)
    truth[0, :, :2], truth[1] = 1, 1
    boxes = torch.tensor([[0.0, 0, 8, 4], [0, 0, 8, 8]])
    # Shared 8 of 16 + 16 - 8; shared 32 of 32 + 128 - 32, for half of that object is cut off.
    fit = mask_iou(masks, truth, boxes, torch.tensor([16.0, 128.0]))
    torch.testing.assert_close(fit, torch.tensor([1 / 3, 1 / 4]))


def test_every_part_gets_a_gradient_and_an_image_may_be_empty() -> None:
    network = _built(num_classes=1).train()
    batch, targets = as_batch(two_crops(None))
    empty = type(targets[0])(*(getattr(targets[0], name)[:0] for name in _COLUMNS))
    losses = network.losses(batch, [targets[0], empty])
    assert set(losses) == {"class", "box", "centerness", "mask", "mask_iou"}
    sum(losses.values()).backward()
    idle = {n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()}
    # Far levels hold no cell of this size: their scales have nothing to learn from. timm starts
    # its residual branches at 0, which their first layers do not feel yet.
    idle = {name for name in idle if not name.startswith("trunk.")}
    assert idle <= {f"fcos.scales.{level}" for level in (1, 2, 3, 4)}
    nothing = network.losses(batch, [empty, empty])
    assert all(torch.isfinite(loss) for loss in nothing.values())
    sum(nothing.values()).backward()


def test_half_precision_runs_and_trains() -> None:
    network = _built(num_classes=1)
    torch.nn.init.zeros_(network.fcos.classes.bias)
    batch, targets = as_batch(two_crops(None))
    exact = network.detect(batch, EVERYTHING)[0]
    with torch.autocast("cpu", torch.bfloat16):
        rough = network.detect(batch, EVERYTHING)[0]
        losses = network.train().losses(batch, targets)
    assert rough.boxes.dtype == rough.scores.dtype == rough.mask_probs.dtype == torch.float32
    assert abs(float(rough.scores.max() - exact.scores.max())) < 0.02
    assert all(loss.dtype == torch.float32 and torch.isfinite(loss) for loss in losses.values())
    sum(losses.values()).backward()


def test_it_learns_two_crops_by_heart() -> None:
    torch.manual_seed(0)
    crops = two_crops(real_data())
    network = build_network(
        CenterMaskConfig(
            num_classes=1,
            trunk=TrunkConfig(name="resnet18", widths=(16, 32, 32, 32)),
            pyramid=TopPyramidConfig(width=32, top_levels=0),
            fcos=FCOSConfig(class_layers=1, box_layers=1, groups=8, level_limits=(32.0, 64.0)),
            mask_head=AttentiveMaskHeadConfig(width=16, layers=1, batch_per_image=24),
            mask_iou_head=MaskIoUHeadConfig(width=16, layers=1, hidden=32),
        )
    ).train()
    batch, targets = as_batch(crops)
    rate, steps = 4e-3, 60
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate)
    sums = []
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 10, (steps - step) / 20)
        total = torch.stack(list(network.losses(batch, targets).values())).sum()
        optimiser.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10)
        optimiser.step()
        sums.append(float(total.detach()))
    assert sum(sums[-5:]) < 0.5 * sum(sums[:5])
    assert average_precision_50(network, crops) > 0.8


def test_weights_survive_a_bundle(tmp_path: Path) -> None:
    network = _built()
    card = tiny_card(architecture=network.config)
    bundle = save_bundle(tmp_path / "centermask", card, network.state_dict(), "float32")
    loaded = bundle.load_network()
    assert type(loaded) is CenterMask
    before, after = network.state_dict(), loaded.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    folded = bundle.load_network(for_inference=True)
    batch = torch.randn(1, 1, *SIZE)
    torch.testing.assert_close(
        folded.detect(batch, EVERYTHING)[0].scores, network.detect(batch, EVERYTHING)[0].scores
    )


def test_trees_are_read_back_and_wrong_ones_refused() -> None:
    reader: TypeAdapter[MaskRCNNConfig] = TypeAdapter(Architecture)
    for tree in (_tree(), stock_centermask_lite(VoVNetConfig(size="19-slim"), 3)):
        assert reader.validate_json(tree.model_dump_json()) == tree
    assert _tree().smallest_object == 8
    assert stock_centermask_lite(VoVNetConfig(size="39"), 3).smallest_object == 16
    with pytest.raises(ValidationError, match="level_limits needs 4 entries"):
        _tree(fcos=FCOSConfig(groups=4, level_limits=(8.0, 16.0)))
    with pytest.raises(ValidationError, match="ascend"):
        FCOSConfig(level_limits=(64.0, 32.0, 128.0, 256.0))
    with pytest.raises(ValidationError, match="groups must divide"):
        _tree(fcos=FCOSConfig(groups=32))
    with pytest.raises(ValidationError, match="mask_iou_head"):
        _tree(rank_by="mask_score", mask_iou_head=None)
