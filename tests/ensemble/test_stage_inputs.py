"""What joined networks are shown: views together or apart, own scales, grey levels and channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.nn import functional

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.views import View
from napari_sartorius.ensemble.join import join
from napari_sartorius.ensemble.member_input import MemberInput
from napari_sartorius.ensemble.sight import boxes_back, boxes_seen, masks_back, see
from napari_sartorius.ensemble.stage_config import BoxesThenMasksConfig, StageMeansConfig
from napari_sartorius.nn.detector import DetectLimits

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Any]
    Sizes = list[tuple[int, int]]

LIMITS = DetectLimits(score=0.3, nms=0.5, max_detections=50)
EVERY_FLIP = (
    "identity",
    "horizontal",
    "vertical",
    "both",
    "transpose",
    "rot90",
    "rot270",
    "anti_transpose",
)
STRATEGIES = (StageMeansConfig, BoxesThenMasksConfig)


@pytest.mark.parametrize("kind", STRATEGIES)
def test_views_together_or_apart_give_the_same(
    kind: Any, network: Make, pictures: torch.Tensor, sizes: Sizes
) -> None:
    config = kind(views=("identity", "both", "rot90", "rot270", "horizontal@1.5"))
    joined = join([network(), network("cascade", 1)], config)
    answers = []
    for together in (False, True):
        joined.views_together = together
        answers.append(joined.detect(pictures, LIMITS, sizes))
    for apart, one in zip(*answers, strict=True):
        assert len(apart.scores) > 5
        torch.testing.assert_close(one.scores, apart.scores, atol=1e-5, rtol=0)
        torch.testing.assert_close(one.boxes, apart.boxes, atol=1e-3, rtol=0)
        torch.testing.assert_close(one.mask_probs, apart.mask_probs, atol=1e-5, rtol=0)
        for name, column in apart.columns.items():
            torch.testing.assert_close(one.columns[name], column, atol=1e-4, rtol=0)


@pytest.mark.parametrize("flip", EVERY_FLIP)
@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_boxes_and_masks_come_back_from_every_view(flip: Any, scale: float) -> None:
    view, size = View(flip, scale), (41, 60)
    boxes = torch.tensor([[3.0, 5, 20, 31], [0, 0, 60, 41]])
    where = view.box_map(size)
    seen = boxes_seen(boxes, where)
    assert (seen[:, 2:] > seen[:, :2]).all()
    torch.testing.assert_close(boxes_back(seen, where), boxes)
    picture = torch.rand(1, 1, 64, 64)
    shown = see(picture, [(64, 64)], View(flip), MemberInput(), 32)
    torch.testing.assert_close(masks_back(shown[:, 0], view), picture[:, 0], atol=0, rtol=0)


def test_pictures_lie_at_the_top_left_of_their_padding(
    pictures: torch.Tensor, sizes: Sizes
) -> None:
    turned = see(pictures, sizes, View("rot90"), MemberInput(), 32)
    assert turned.shape == (2, 1, 96, 64)
    torch.testing.assert_close(turned[1, :, :70, :50], pictures[1, :, :50, :70].rot90(1, (1, 2)))
    assert not turned[1, :, 70:].any()
    assert not turned[1, :, :, 50:].any()
    larger = see(pictures, sizes, View("horizontal", 1.3), MemberInput(offset=(5.0,)), 32)
    assert larger.shape == (2, 1, 96, 128)
    assert not larger[1, :, 65:].any()
    assert larger[1, :, :65, :91].mean() > 4


def test_a_network_with_other_grey_levels_and_channels(
    network: Make, pictures: torch.Tensor
) -> None:
    grey, coloured = network(), network(trunk=_trunk(3))
    given = MemberInput(gain=(2.0, 1.0, 0.5), offset=(1.0, 0.0, -1.0), channels=3)
    own = torch.cat([pictures * 2 + 1, pictures, pictures / 2 - 1], dim=1)
    joined = join([coloured], StageMeansConfig(), [given])
    for one, other in zip(
        joined.detect(pictures, LIMITS), coloured.detect(own, LIMITS), strict=True
    ):
        assert len(other.scores) > 5
        torch.testing.assert_close(one.scores, other.scores, atol=1e-5, rtol=0)
    (mixed,) = join([grey], StageMeansConfig(), [MemberInput(channels=1)]).detect(own[:1], LIMITS)
    (alone,) = grey.detect(own[:1].mean(dim=1, keepdim=True), LIMITS)
    torch.testing.assert_close(mixed.scores, alone.scores, atol=1e-5, rtol=0)


def test_a_network_that_sees_cells_larger(network: Make, pictures: torch.Tensor) -> None:
    alone = network()
    whole = pictures[:1]
    enlarged = functional.interpolate(whole, scale_factor=2.0, mode="bilinear")
    (other,) = alone.detect(enlarged, LIMITS)
    joined = join([alone], StageMeansConfig(), [MemberInput(scale=2.0)])
    (one,) = joined.detect(whole, LIMITS)
    assert len(other.scores) > 5
    torch.testing.assert_close(one.scores, other.scores, atol=1e-4, rtol=0)
    torch.testing.assert_close(one.boxes, other.boxes / 2, atol=1e-2, rtol=0)
    mixed = join([network(seed=1), alone], StageMeansConfig(), [MemberInput(), MemberInput(2.0)])
    assert len(mixed.detect(whole, LIMITS)[0].scores) > 5


@pytest.mark.parametrize("kind", STRATEGIES)
def test_networks_without_anchors_join_in(
    kind: Any, network: Make, centermask: Any, pictures: torch.Tensor, sizes: Sizes
) -> None:
    joined = join([network(), centermask], kind(views=("identity", "vertical")))
    for one in joined.detect(pictures, DetectLimits(0.1), sizes):
        assert len(one.scores) > 5
        assert one.columns["votes"].max() <= 4
    if kind is StageMeansConfig:
        sure = join([network(), centermask], kind(proposal_score=0.9999999))
        assert [len(one.scores) for one in sure.detect(pictures, LIMITS)] == [0, 0]


def test_more_looks_and_larger_ones_take_more_memory(network: Make) -> None:
    one, two = network(), network(seed=1)
    single = join([one], StageMeansConfig()).memory_growth
    flips = StageMeansConfig(views=EVERY_FLIP)
    assert single == 1
    assert single < join([one, two], StageMeansConfig()).memory_growth < 1.5
    joined = join([one, two], flips)
    apart = joined.memory_growth
    joined.views_together = True
    assert 1.5 < apart < joined.memory_growth
    assert join([one], StageMeansConfig(), [MemberInput(scale=2.0)]).memory_growth == 4


def test_networks_that_disagree_on_categories_only_when_they_run_are_told(
    network: Make, pictures: torch.Tensor
) -> None:
    members = [network(), network(num_classes=3)]
    members[1].config = None
    joined = join(members, StageMeansConfig(), names=["a", "b"])
    members[1].config = network(num_classes=3).config
    with pytest.raises(UserError, match=r"a, b have different numbers of categories \(2, 3\)"):
        joined.detect(pictures, LIMITS)


def _trunk(channels: int) -> Any:
    from napari_sartorius.nn.config import TrunkConfig

    return TrunkConfig(name="resnet18", widths=(16, 16, 16, 16), in_channels=channels)
