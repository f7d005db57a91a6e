"""FCOS: which places learn which cell, what they learn, and what the limits keep."""

from __future__ import annotations

import math

import pytest
import torch

from napari_sartorius.nn.config import FCOSConfig
from napari_sartorius.nn.detector import DetectLimits
from napari_sartorius.nn.fcos import FCOSHead, FCOSMaps, boxes_at, grid_places
from napari_sartorius.nn.fcos_losses import assign_places, centerness_of, fcos_losses
from napari_sartorius.nn.fcos_selection import TopK, select
from napari_sartorius.nn.targets import Target

SHAPES, STRIDES = ((16, 24), (8, 12), (4, 6)), (4, 8, 16)
CPU = torch.device("cpu")
CONFIG = FCOSConfig(level_limits=(16.0, 32.0))


def _by_definition(boxes: torch.Tensor, config: FCOSConfig) -> dict[int, int]:
    """Every place against every box, as the paper says it."""
    result: dict[int, int] = {}
    number = 0
    limits = (0.0, *config.level_limits, math.inf)
    for level, ((rows, columns), stride) in enumerate(zip(SHAPES, STRIDES, strict=True)):
        for row in range(rows):
            for column in range(columns):
                x, y = column * stride + stride // 2, row * stride + stride // 2
                best = math.inf
                for index, (x0, y0, x1, y1) in enumerate(boxes.tolist()):
                    sides = (x - x0, y - y0, x1 - x, y1 - y)
                    off = max(abs(x - (x0 + x1) / 2), abs(y - (y0 + y1) / 2))
                    area = (x1 - x0) * (y1 - y0)
                    inside = min(sides) > 0 and off < config.centre_radius * stride
                    fits = limits[level] <= max(sides) <= limits[level + 1]
                    if inside and fits and area < best:
                        best, result[number] = area, index
                number += 1
    return result


@pytest.mark.parametrize("radius", [0.6, 1.5, 2.5])
def test_places_learn_the_smallest_box_around_them(radius: float) -> None:
    config = CONFIG.model_copy(update={"centre_radius": radius})
    generator = torch.Generator().manual_seed(1)
    low = torch.rand(40, 2, generator=generator) * torch.tensor([90.0, 58.0]) - 4
    boxes = torch.cat([low, low + 3 + 60 * torch.rand(40, 2, generator=generator) ** 2], dim=1)
    places, objects = assign_places(boxes, SHAPES, STRIDES, config)
    assert dict(zip(places.tolist(), objects.tolist(), strict=True)) == _by_definition(
        boxes, config
    )
    assert len(places) > 20


def test_cells_of_ten_pixels_have_places_wherever_they_lie() -> None:
    for shift in torch.rand(50, 2, generator=torch.Generator().manual_seed(2)) * 8:
        box = torch.cat([20 + shift, 30 + shift])[None]
        places, _ = assign_places(box, SHAPES, STRIDES, CONFIG)
        assert len(places) >= 4
    nothing, _ = assign_places(torch.zeros(0, 4), SHAPES, STRIDES, CONFIG)
    assert len(nothing) == 0


def test_centerness_is_one_in_the_middle_and_falls_to_the_rim() -> None:
    box = torch.tensor([[0.0, 0, 8, 16]]).expand(3, 4)
    near = centerness_of(torch.tensor([[4.0, 8], [2, 8], [2, 4]]), box)
    torch.testing.assert_close(near, torch.tensor([1.0, 1 / 3, 1 / 9]).sqrt())


def _perfect(target: Target) -> tuple[FCOSMaps, tuple[torch.Tensor, ...]]:
    """What a head would say that has learnt everything."""
    places = grid_places(SHAPES, STRIDES, CPU)
    where = torch.cat(places)
    chosen, owner = assign_places(target.boxes, SHAPES, STRIDES, CONFIG)
    boxes = target.boxes[owner]
    classes = torch.full((1, len(where), 2), -20.0)
    classes[0, chosen, target.labels[owner]] = 20
    distances = torch.zeros(1, len(where), 4)
    at = where[chosen]
    distances[0, chosen] = torch.cat([at - boxes[:, :2], boxes[:, 2:] - at], dim=1)
    centerness = torch.zeros(1, len(where))
    centerness[0, chosen] = torch.logit(centerness_of(at, boxes), eps=1e-6)
    counts = [len(p) for p in places]
    split = (list(part.split(counts, dim=1)) for part in (classes, distances, centerness))
    return FCOSMaps(*split), places


def _target() -> Target:
    boxes = torch.tensor([[10.0, 10, 22, 24], [40, 8, 80, 40], [60, 40, 71, 52]])
    nothing = torch.zeros(0, dtype=torch.int64)
    return Target(boxes, torch.tensor([0, 1, 0]), nothing, nothing, nothing)


def test_losses_vanish_for_a_head_that_is_right_and_not_for_others() -> None:
    target = _target()
    maps, places = _perfect(target)
    losses = fcos_losses(maps, places, SHAPES, STRIDES, [target], CONFIG)
    assert losses["class"] < 1e-6
    assert losses["box"] < 1e-6
    # Centerness between 0 and 1 has an entropy of its own; nothing is below it.
    worse = maps._replace(centerness=[level + 1 for level in maps.centerness])
    worse = worse._replace(distances=[level * 1.5 for level in maps.distances])
    worse = worse._replace(classes=[-level for level in maps.classes])
    others = fcos_losses(worse, places, SHAPES, STRIDES, [target], CONFIG)
    assert all(others[name] > losses[name] + 0.01 for name in losses)


def test_what_was_learnt_is_found_and_once() -> None:
    target = _target()
    maps, places = _perfect(target)
    found = select(maps, places, 0, CONFIG, TopK(1000, 100), DetectLimits(0.05, 0.6))
    assert len(found.scores) == 3
    order = found.boxes[:, 0].argsort()
    torch.testing.assert_close(found.boxes[order], target.boxes)
    assert found.labels[order].tolist() == [0, 1, 0]
    assert (found.scores > 0.7).all()
    assert not found.capped


@pytest.mark.parametrize(("before", "capped"), [(1000, False), (6, False), (1, True)])
def test_a_cut_list_of_candidates_counts_when_an_object_is_lost(before: int, capped: bool) -> None:
    maps, places = _perfect(_target())
    everything = select(maps, places, 0, CONFIG, TopK(1000, 100), DetectLimits(0.0, 0.6))
    candidates = [(classes.sigmoid() > 0.05).sum() for classes in maps.classes]
    assert max(candidates) > 12
    found = select(maps, places, 0, CONFIG, TopK(before, 100), DetectLimits(0.0, 0.6))
    assert found.capped is capped
    assert (len(found.scores) < len(everything.scores)) is capped


def test_boxes_of_the_last_score_stay_together() -> None:
    places = (torch.tensor([[10.0 * i, 5.0] for i in range(6)]),)
    classes = torch.tensor([0.9, 0.8, 0.7, 0.7, 0.7, 0.6]).logit()[None, :, None]
    maps = FCOSMaps([classes], [torch.full((1, 6, 4), 4.0)], [torch.full((1, 6), 20.0)])
    found = select(maps, places, 0, CONFIG, TopK(100, 3), DetectLimits(0.0, 0.6))
    assert len(found.scores) == 5
    assert found.capped
    assert not select(maps, places, 0, CONFIG, TopK(100, 3), DetectLimits(0, 0.6, 9, (0.9,))).capped
    # What is no number is no object.
    maps.distances[0][0, 1] = math.nan
    assert len(select(maps, places, 0, CONFIG, TopK(100, 9), None).scores) == 5


def test_candidates_do_not_count_centerness() -> None:
    places = (torch.tensor([[10.0, 5.0], [30.0, 5.0]]),)
    classes = torch.tensor([0.06, 0.04]).logit()[None, :, None]
    maps = FCOSMaps([classes], [torch.full((1, 2, 4), 4.0)], [torch.full((1, 2), -3.0)])
    found = select(maps, places, 0, CONFIG, TopK(10, 10), DetectLimits(0.0, 0.6))
    expected = math.sqrt(0.06 * torch.tensor(-3.0).sigmoid())
    torch.testing.assert_close(found.scores, torch.tensor([expected]))
    torch.testing.assert_close(found.boxes, torch.tensor([[6.0, 1, 14, 9]]))


def test_limits_grow_with_the_image_where_the_tree_says_so() -> None:
    grows = FCOSConfig(pre_nms_topk_test=40, post_nms_topk_test=30, topk_area=64 * 64)
    fixed = grows.model_copy(update={"topk_grows": False})
    assert TopK.of(grows, (32, 64), training=False) == (40, 30)
    assert TopK.of(grows, (192, 64), training=False) == (120, 90)
    assert TopK.of(fixed, (192, 64), training=False) == (40, 30)
    assert TopK.of(grows, (192, 64), training=True) == (1000, 300)


@torch.no_grad()
def test_an_untrained_head_says_little_and_near() -> None:
    torch.manual_seed(0)
    head = FCOSHead(32, 2, FCOSConfig(class_layers=1, box_layers=0, groups=8), (4, 8))
    maps = head([torch.randn(1, 32, 6, 8), torch.randn(1, 32, 3, 4)])
    assert [tuple(level.shape) for level in maps.classes] == [(1, 48, 2), (1, 12, 2)]
    assert abs(float(maps.classes[0].sigmoid().mean()) - 0.01) < 0.005
    for level, stride in zip(maps.distances, (4, 8), strict=True):
        assert abs(float(level.mean()) / stride - 1) < 0.5
        assert float(level.min()) > 0
    torch.testing.assert_close(
        boxes_at(torch.tensor([[5.0, 6.0]]), torch.tensor([[1.0, 2, 3, 4]])),
        torch.tensor([[4.0, 4, 8, 10]]),
    )
