"""Shapes, strides and stage-wise calls of the network; what its limits do."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from napari_sartorius.nn.boxes import apply_deltas, clip_boxes, encode_deltas
from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.config import MaskRCNNConfig, ProposalConfig, PyramidConfig, TrunkConfig
from napari_sartorius.nn.detector import DetectLimits, Proposals, ScoredBoxes
from napari_sartorius.nn.keep_best import keep_best
from napari_sartorius.nn.matching import BACKGROUND, IGNORED, match_boxes, match_pairs, sample
from napari_sartorius.nn.pooling import assign_levels, pool_boxes
from napari_sartorius.nn.targets import Target
from napari_sartorius.nn.trunks.timm_trunk import TimmTrunk


def _small(num_classes: int = 2, in_channels: int = 1, stem_stride: int = 1) -> MaskRCNNConfig:
    return MaskRCNNConfig(
        num_classes=num_classes,
        trunk=TrunkConfig(
            name="resnet18",
            in_channels=in_channels,
            stem_stride=stem_stride,
            widths=(16, 32, 48, 64),
        ),
        pyramid=PyramidConfig(width=16),
        proposals=ProposalConfig(pre_nms_topk_test=200, post_nms_topk_test=150),
    )


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnet101"])
@pytest.mark.parametrize("stem_stride", [1, 2])
@pytest.mark.parametrize("in_channels", [1, 3])
def test_trunks_have_the_strides_they_claim(name: str, stem_stride: int, in_channels: int) -> None:
    if name == "resnet101" and (stem_stride, in_channels) != (1, 1):
        pytest.skip("the largest trunk is built once")
    trunk = TimmTrunk(
        TrunkConfig(name=name, stem_stride=stem_stride, in_channels=in_channels)
    ).eval()
    with torch.inference_mode():
        maps = trunk(torch.zeros(1, in_channels, 64, 96))
    assert trunk.strides == tuple(s * stem_stride // 2 for s in (4, 8, 16, 32))
    for level, stride, channels in zip(maps, trunk.strides, trunk.channels, strict=True):
        assert level.shape == (1, channels, 64 // stride, 96 // stride)


def test_stages_compose_to_detect() -> None:
    torch.manual_seed(0)
    network = build_network(_small()).eval()
    batch = torch.randn(2, 1, 64, 96)
    with torch.inference_mode():
        features = network.features(batch)
        proposals = network.propose(features, [(64, 96), (60, 90)])
        scored = network.score_boxes(features, [p.boxes[:5] for p in proposals])
        masks = network.predict_masks(features, [p.boxes[:5] for p in proposals])
    assert [tuple(f.shape[2:]) for f in features] == [(32, 48), (16, 24), (8, 12), (4, 6)]
    for one in scored:
        assert one.probabilities.shape == (5, 3)
        torch.testing.assert_close(one.probabilities.sum(dim=1), torch.ones(5))
        assert one.boxes.shape == (5, 1, 4)
    assert masks[0].shape == (5, 2, 28, 28)
    assert float(proposals[1].boxes[:, 2].max()) <= 90
    assert float(proposals[1].boxes[:, 3].max()) <= 60


@pytest.mark.parametrize("class_agnostic", [True, False])
def test_nothing_to_find_is_no_error(class_agnostic: bool) -> None:
    config = _small()
    head = config.box_head.model_copy(update={"class_agnostic": class_agnostic})
    network = build_network(config.model_copy(update={"box_head": head})).eval()
    with torch.inference_mode():
        features = network.features(torch.zeros(1, 1, 64, 64))
        (scored,) = network.score_boxes(features, [torch.zeros(0, 4)])
    assert scored.boxes.shape == (0, 1 if class_agnostic else 2, 4)
    nothing = Target(
        boxes=torch.zeros(0, 4),
        labels=torch.zeros(0, dtype=torch.long),
        bits=torch.zeros(1, dtype=torch.uint8),
        offsets=torch.zeros(0, dtype=torch.long),
        bitmap_boxes=torch.zeros(0, 4, dtype=torch.long),
        scale=(1.0, 1.0),
    )
    losses = network.train().losses(torch.randn(1, 1, 64, 64), [nothing])
    sum(losses.values()).backward()
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert losses["box"].item() == losses["mask"].item() == 0


def test_limits_are_honoured_and_reported() -> None:
    torch.manual_seed(0)
    network = build_network(_small()).eval()
    batch = torch.randn(1, 1, 64, 96)
    everything = network.detect(batch, DetectLimits(score=0.0, nms=1.0, max_detections=100000))[0]
    capped = network.detect(batch, DetectLimits(score=0.0, nms=1.0, max_detections=7))[0]
    assert len(everything.scores) > 7
    assert len(capped.scores) == 7
    assert capped.capped
    torch.testing.assert_close(capped.scores, everything.scores[:7])
    assert (everything.scores[:-1] >= everything.scores[1:]).all()
    # 150 proposals were all that was allowed, and objects come from the last of them.
    assert everything.capped
    nothing = network.detect(batch, DetectLimits(score=1.0))[0]
    assert nothing.mask_probs.shape == (0, 28, 28)
    assert not nothing.capped


@pytest.mark.parametrize(
    ("at_end_only", "doubled", "wanted", "expected"),
    [
        (0, 0, 0.5, False),
        (4, 0, 0.5, True),
        # Earlier proposals show the same objects: a shorter list would have cost nothing.
        (0, 4, 0.5, False),
        # Objects that nobody wants cannot be missed.
        (4, 0, 0.95, False),
        # A few in the end of a long list happen by chance.
        (2, 0, 0.5, False),
    ],
)
def test_a_cut_list_of_proposals_counts_when_wanted_objects_are_found_at_its_end_only(
    at_end_only: int, doubled: int, wanted: float, expected: bool
) -> None:
    count = 100
    boxes = torch.arange(count)[:, None] * torch.tensor([[20.0, 0, 20, 0]])
    boxes = boxes + torch.tensor([[0.0, 0, 10, 10]])
    score = torch.full((count,), 0.01)
    score[:50] = 0.9
    last = count - torch.arange(1, at_end_only + doubled + 1)
    score[last] = 0.92
    boxes[last[:doubled]] = boxes[:doubled].clone()
    probabilities = torch.stack([score, 1 - score], dim=1)
    scored = ScoredBoxes(probabilities, boxes[:, None])
    limits = DetectLimits(score=0.1, wanted=(wanted,))
    size = (10, 20 * count)
    for cut in (True, False):
        proposals = Proposals(boxes, torch.zeros(count), cut)
        best = keep_best(scored, proposals, size, limits)
        assert len(best.scores) == 50 + at_end_only
        assert best.capped == (cut and expected)


def test_the_cap_counts_when_it_drops_wanted_objects() -> None:
    boxes = torch.arange(9)[:, None] * 20.0 + torch.tensor([[0.0, 0, 10, 10]])
    score = torch.linspace(0.9, 0.1, 9)
    scored = ScoredBoxes(torch.stack([score, 1 - score], dim=1), boxes[:, None])
    proposals = Proposals(boxes, torch.zeros(9))
    for wanted, expected in (((), True), ((0.45,), True), ((0.55,), False)):
        limits = DetectLimits(score=0.05, max_detections=4, wanted=wanted)
        assert keep_best(scored, proposals, (200, 200), limits).capped is expected


def test_detection_is_repeatable() -> None:
    torch.manual_seed(0)
    network = build_network(_small()).eval()
    batch = torch.randn(1, 1, 64, 64)
    first, again = (network.detect(batch, DetectLimits(score=0.1))[0] for _ in range(2))
    assert torch.equal(first.boxes, again.boxes)
    assert torch.equal(first.mask_probs, again.mask_probs)


def test_deltas_round_trip_and_clip() -> None:
    anchors = torch.tensor([[0.0, 0.0, 10.0, 20.0], [5.0, 5.0, 9.0, 7.0]])
    boxes = torch.tensor([[1.0, 2.0, 14.0, 17.0], [4.0, 4.0, 30.0, 7.5]])
    weights = (10.0, 10.0, 5.0, 5.0)
    back = apply_deltas(anchors, encode_deltas(anchors, boxes, weights), weights)[:, 0]
    torch.testing.assert_close(back, boxes)
    clipped = clip_boxes(boxes, (10, 12))
    assert clipped.tolist() == [[1, 2, 12, 10], [4, 4, 12, 7.5]]


def test_matching_knows_positive_background_and_ignored() -> None:
    truth = torch.tensor([[0.0, 0.0, 10.0, 10.0], [50.0, 50.0, 52.0, 52.0]])
    candidates = torch.tensor([[0.0, 0, 10, 9], [0, 0, 10, 4], [30, 30, 40, 40], [50, 50, 60, 60]])
    matched = match_boxes(candidates, truth, 0.7, 0.3)
    assert matched.tolist() == [0, IGNORED, BACKGROUND, BACKGROUND]
    # The small object has no good candidate; its best one is taken nevertheless.
    pairs = (torch.tensor([0, 1, 3]), torch.tensor([0, 0, 1]))
    kept = match_pairs(candidates, truth, pairs, 0.7, 0.3)
    assert kept.tolist() == [0, IGNORED, BACKGROUND, 1]
    assert (match_boxes(candidates, truth[:0], 0.7, 0.3) == BACKGROUND).all()
    positive, negative = sample(torch.tensor([0, 1, 2, -1, -1, -1, -1, -2]), 4, 0.5)
    assert len(positive) == 2
    assert len(negative) == 2


def test_boxes_are_pooled_from_the_level_of_their_size() -> None:
    boxes = torch.tensor([[0.0, 0, 20, 20], [0, 0, 60, 60], [0, 0, 130, 130], [0, 0, 500, 500]])
    assert assign_levels(boxes, 112, 4).tolist() == [0, 1, 2, 3]
    config = _small().box_head.pooler
    maps = [torch.full((1, 2, 512 // s, 512 // s), float(s)) for s in (2, 4, 8, 16)]
    pooled = pool_boxes(maps, (2, 4, 8, 16), [boxes], config)
    torch.testing.assert_close(pooled[:, 0, 3, 3], torch.tensor([2.0, 4, 8, 16]))


def test_a_tree_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValidationError, match="anchor_sizes"):
        MaskRCNNConfig(num_classes=1, proposals=ProposalConfig(anchor_sizes=((8.0,), (16.0,))))
    with pytest.raises(ValidationError):
        MaskRCNNConfig.model_validate({"num_classes": 1, "trnk": {}})
    with pytest.raises(ValidationError, match="multiples of 16"):
        TrunkConfig(widths=(8, 16, 32, 64))


def test_a_larger_image_may_give_more_proposals() -> None:
    torch.manual_seed(0)
    proposals = ProposalConfig(
        pre_nms_topk_test=40, post_nms_topk_test=30, nms_iou=1.0, topk_area=64 * 64
    )
    network = build_network(_small().model_copy(update={"proposals": proposals})).eval()
    with torch.inference_mode():
        counts = [
            len(network.propose(network.features(torch.randn(1, 1, h, 64)), [(h, 64)])[0].boxes)
            for h in (32, 64, 192)
        ]
    assert counts == [30, 30, 90]


@pytest.mark.parametrize("class_agnostic", [True, False])
def test_a_refinement_looks_again_where_the_box_moved(class_agnostic: bool) -> None:
    torch.manual_seed(0)
    config = _small()
    head = config.box_head.model_copy(update={"class_agnostic": class_agnostic})
    config = config.model_copy(update={"box_head": head})
    once = build_network(config).eval()
    again = build_network(
        config.model_copy(update={"box_head": head.model_copy(update={"refinements": 1})})
    ).eval()
    again.load_state_dict(once.state_dict())
    batch, size = torch.randn(1, 1, 64, 96), [(64, 96)]
    with torch.inference_mode():
        features = once.features(batch)
        proposals = once.propose(features, size)
        first = once.score_boxes(features, [proposals[0].boxes])[0]
        best = first.probabilities[:, :-1].argmax(dim=1)
        column = torch.zeros_like(best) if class_agnostic else best
        moved = clip_boxes(first.boxes[torch.arange(len(best)), column], size[0])
        second = once.score_boxes(features, [moved])[0]
        found = again.detect(batch, DetectLimits(score=0.0, nms=1.0), size)[0]
    mean = (first.probabilities + second.probabilities)[:, :-1] / 2
    torch.testing.assert_close(found.scores[0], mean.max())
    row, label = divmod(int(mean.argmax()), mean.shape[1])
    expected = clip_boxes(second.boxes[row, 0 if class_agnostic else label], size[0])
    torch.testing.assert_close(found.boxes[0], expected)
