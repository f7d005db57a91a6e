"""Joined networks against the networks themselves: what one knows, two equal ones know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from napari_sartorius.core.errors import UserError
from napari_sartorius.ensemble.join import join
from napari_sartorius.ensemble.proposal_counts import CountRule
from napari_sartorius.ensemble.stage_config import (
    BoxesThenMasksConfig,
    StageMeansConfig,
    read_stage_config,
)
from napari_sartorius.ensemble.stage_means import StageMeans
from napari_sartorius.nn.config import ProposalConfig
from napari_sartorius.nn.detector import Detections, DetectLimits, ScoredBoxes
from napari_sartorius.nn.keep_best import keep_best

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Any]
    Sizes = list[tuple[int, int]]

LIMITS = DetectLimits(score=0.3, nms=0.5, max_detections=50)
FAMILIES = ("mask_rcnn", "cascade", "htc")
STRATEGIES = (StageMeansConfig(), BoxesThenMasksConfig(member_nms=0.5, box_nms=0.5))


def _same(ours: list[Detections], theirs: list[Detections], atol: float = 1e-5) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert len(other.scores) > 5
        torch.testing.assert_close(one.scores, other.scores, atol=atol, rtol=0)
        torch.testing.assert_close(one.boxes, other.boxes, atol=100 * atol, rtol=0)
        torch.testing.assert_close(one.mask_probs, other.mask_probs, atol=atol, rtol=0)
        assert one.labels.tolist() == other.labels.tolist()
        assert one.capped == other.capped


@pytest.mark.parametrize("config", STRATEGIES, ids=lambda c: c.strategy)
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("family", FAMILIES)
def test_equal_networks_are_as_one(
    family: str, count: int, config: Any, network: Make, pictures: torch.Tensor, sizes: Sizes
) -> None:
    alone = network(family)
    joined = join([alone, network(family)][:count], config)
    found = joined.detect(pictures, LIMITS, sizes)
    _same(found, alone.detect(pictures, LIMITS, sizes))
    for one in found:
        expected = (one.scores >= 0.3).float() * count
        torch.testing.assert_close(one.columns["votes"], expected)
        torch.testing.assert_close(one.columns["members"], expected)
        assert (one.columns["score_spread"] < 1e-6).all()
        assert (one.columns["mask_agreement"] > 0.999).all()


@pytest.mark.parametrize("config", STRATEGIES, ids=lambda c: c.strategy)
@pytest.mark.parametrize(
    "changes",
    [
        {"box_head": {"refinements": 2}},
        {"box_head": {"class_agnostic": False, "refinements": 1}},
        {"mask_head": {"class_agnostic": True}},
    ],
    ids=["refined", "box per class", "one mask"],
)
def test_whatever_the_heads_are_like(
    changes: dict[str, Any], config: Any, network: Make, pictures: torch.Tensor, sizes: Sizes
) -> None:
    alone = network(**changes)
    found = join([alone], config).detect(pictures, LIMITS, sizes)
    _same(found, alone.detect(pictures, LIMITS, sizes))


@pytest.mark.parametrize("config", STRATEGIES, ids=lambda c: c.strategy)
def test_families_mix(config: Any, network: Make, pictures: torch.Tensor, sizes: Sizes) -> None:
    views = ("identity", "horizontal", "rot90")
    members = [network("mask_rcnn"), network("cascade", 1), network("htc", 2)]
    joined = join(members, config.model_copy(update={"views": views}))
    for one, size in zip(joined.detect(pictures, LIMITS, sizes), sizes, strict=True):
        assert len(one.scores) > 5
        assert (one.scores.diff() <= 0).all()
        assert (one.scores > LIMITS.score).all()
        limit = torch.tensor([size[1], size[0]] * 2)
        assert ((one.boxes >= 0) & (one.boxes <= limit)).all()
        assert one.mask_probs.shape == (len(one.scores), 28, 28)
        columns = one.columns
        assert set(columns) == {
            "members",
            "votes",
            "agreement",
            "score_spread",
            "mask_agreement",
        }
        assert (columns["members"] <= columns["votes"]).all()
        assert (columns["votes"] <= 9).all()
        torch.testing.assert_close(columns["agreement"], columns["votes"] / 9)
        assert columns["members"].max() <= 3
        assert columns["mask_agreement"].min() < 1


def test_scores_are_means_of_what_the_heads_say(network: Make, pictures: torch.Tensor) -> None:
    """Against the stages called one by one, two networks and one flip written out."""
    first, second = network(seed=0), network(seed=1)
    config = StageMeansConfig(views=("identity", "horizontal"))
    (found,) = join([first, second], config).detect(pictures[:1], LIMITS)
    size = (64, 96)
    with torch.inference_mode():
        maps = [one.features(pictures[:1]) for one in (first, second)]
        flipped = [one.features(pictures[:1].flip(3)) for one in (first, second)]
        answers = [one.proposals(m) for one, m in zip((first, second), maps, strict=True)]
        logits, deltas = (
            [(a + b) / 2 for a, b in zip(answers[0][i], answers[1][i], strict=True)] for i in (0, 1)
        )
        network_ = first.proposals
        (proposals,) = network_.select(logits, deltas, network_.anchors(maps[0]), [size])
        mirrored = proposals.boxes[:, [2, 1, 0, 3]] * torch.tensor([-1.0, 1, -1, 1])
        mirrored += torch.tensor([96.0, 0, 96, 0])
        total, places = torch.zeros(()), torch.zeros(())
        for one, plain, mirror in zip((first, second), maps, flipped, strict=True):
            (a,) = one.score_boxes(plain, [proposals.boxes], [size])
            (b,) = one.score_boxes(mirror, [mirrored], [size])
            back = b.boxes[:, 0][:, [2, 1, 0, 3]] * torch.tensor([-1.0, 1, -1, 1])
            total = total + (a.probabilities + b.probabilities) / 4
            places = places + (a.boxes[:, 0] + back + torch.tensor([96.0, 0, 96, 0])) / 4
    best = keep_best(ScoredBoxes(total, places[:, None]), proposals, size, LIMITS)
    assert len(best.scores) > 5
    torch.testing.assert_close(found.scores, best.scores, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.boxes, best.boxes, atol=1e-3, rtol=0)
    assert found.labels.tolist() == best.labels.tolist()


def test_masks_of_different_resolution_are_brought_to_the_finer(
    network: Make, pictures: torch.Tensor, sizes: Sizes
) -> None:
    pooler = {"pooler": {"resolution": 7, "sampling_ratio": 1}}
    coarse, fine = network(mask_head=pooler), network(seed=1)
    for config in STRATEGIES:
        found = join([coarse, fine], config).detect(pictures, LIMITS, sizes)
        assert found[0].mask_probs.shape[1:] == (28, 28)
        again = join([fine, coarse], config).detect(pictures, LIMITS, sizes)
        assert again[0].mask_probs.shape[1:] == (28, 28)


@pytest.mark.parametrize("config", STRATEGIES, ids=lambda c: c.strategy)
def test_pictures_without_objects(config: Any, network: Make, pictures: torch.Tensor) -> None:
    joined = join([network(), network("cascade", 1)], config)
    none = DetectLimits(score=0.999999)
    for one in joined.detect(pictures, none):
        assert one.mask_probs.shape == (0, 28, 28)
        assert all(len(column) == 0 for column in one.columns.values())
    blank = joined.detect(torch.zeros_like(pictures), none)
    assert [len(one.scores) for one in blank] == [0, 0]


def test_rescoring_multiplies_by_the_confidence_of_the_mask(
    network: Make, pictures: torch.Tensor
) -> None:
    members = [network(), network(seed=1)]
    plain = join(members, StageMeansConfig()).detect(pictures, LIMITS)[0]
    scored = join(members, StageMeansConfig(rescore=True)).detect(pictures, LIMITS)[0]
    drawn = plain.mask_probs >= 0.5
    mean = (plain.mask_probs * drawn).sum(dim=(1, 2)) / drawn.sum(dim=(1, 2)).clamp(min=1)
    expected = (plain.scores * mean).sort(descending=True).values
    torch.testing.assert_close(scored.scores, expected)
    assert (scored.scores < plain.scores.max()).all()


def test_what_cannot_be_joined_is_said(network: Make, pictures: torch.Tensor) -> None:
    with pytest.raises(UserError, match="second has 3"):
        join([network(), network(num_classes=3)], StageMeansConfig(), names=["first", "second"])
    with pytest.raises(UserError, match="at least one network"):
        join([], StageMeansConfig())
    lonely: Any = torch.nn.Identity()
    lonely.size_divisibility = 32
    with pytest.raises(UserError, match="network 2 cannot be given boxes"):
        join([network(), lonely], BoxesThenMasksConfig())
    with pytest.raises(UserError, match="cannot be trained"):
        join([network()], StageMeansConfig()).losses(pictures, [])


@pytest.mark.parametrize("strategy", ["stage_means", "boxes_then_masks"])
def test_settings_are_read_by_their_strategy(strategy: str) -> None:
    config = read_stage_config({"strategy": strategy, "views": ["both", "identity"]})
    assert config.strategy == strategy
    assert read_stage_config(config.model_dump(mode="json")) == config
    for wrong in (["identity", "identity@1"], ["sideways", "identity"]):
        with pytest.raises(ValueError, match="view"):
            read_stage_config({"strategy": strategy, "views": wrong})
    with pytest.raises(ValueError, match="strategy"):
        read_stage_config({"strategy": "guess"})


def test_proposals_need_the_image_as_it_is(network: Make) -> None:
    with pytest.raises(ValueError, match="identity must be"):
        StageMeansConfig(views=("both",))
    unchecked = StageMeansConfig().model_copy(update={"views": ("both", "rot90")})
    with pytest.raises(UserError, match="both, rot90"):
        join([network()], unchecked)
    assert len(BoxesThenMasksConfig(views=("both",)).parsed_views) == 1


def test_proposals_tell_the_cell_type(network: Make, pictures: torch.Tensor, sizes: Sizes) -> None:
    members = [network(seed=0), network(seed=1)]
    joined = join(members, StageMeansConfig(views=("horizontal", "identity")))
    assert isinstance(joined, StageMeans)
    with torch.inference_mode():
        logits = [one.proposals(one.features(pictures))[0] for one in members]
    means = [(a + b).view(2, -1, 3) / 2 for a, b in zip(*logits, strict=True)]
    rule = CountRule(probability=0.5, most_large=0)
    large = [sum((level[i].max(dim=1).values > 0).sum() for level in means[-2:]) for i in (0, 1)]
    expected = ["astro" if count > 0 else "cort" for count in large]
    assert joined.cell_types(pictures, rule, sizes) == expected
    sure = CountRule(probability=1 - 1e-6, large="x", small="none", dense="y")
    assert joined.cell_types(pictures, sure, sizes) == ["none", "none"]
    sizes_of_own = ProposalConfig(anchor_sizes=((9.0,), (18.0,), (36.0,), (72.0,)))
    other = join([members[0], network(proposals=sizes_of_own)], StageMeansConfig())
    assert isinstance(other, StageMeans)
    with pytest.raises(UserError, match="same anchors"):
        other.cell_types(pictures, rule, sizes)
