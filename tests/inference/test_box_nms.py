"""The box NMS of the configuration reaches the network."""

from __future__ import annotations

from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.selection import Selection
from tiny_models import tiny_card


def test_box_nms_is_a_setting() -> None:
    card = tiny_card()
    assert Selection.of(card, SegmentConfig()).network_limits(1).nms == 0.5
    assert Selection.of(card, SegmentConfig(box_nms=0.8)).network_limits(1).nms == 0.8


def test_limits_of_the_card_hold_until_the_user_sets_others() -> None:
    plain, card = tiny_card(), tiny_card(box_nms=0.6, max_objects=100)
    usual = Selection.of(plain, SegmentConfig())
    assert (usual.max_objects, usual.own_limit) == (1000, False)
    own = Selection.of(card, SegmentConfig())
    assert own.network_limits(1).nms == 0.6
    assert own.network_limits(1).max_detections == 100
    assert own.own_limit
    wish = Selection.of(card, SegmentConfig(box_nms=0.5, max_objects_per_tile=1000))
    assert wish.network_limits(1).nms == 0.5
    assert wish.network_limits(1).max_detections == 1000
    assert not wish.own_limit
