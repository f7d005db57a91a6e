"""The box NMS of the configuration reaches the network."""

from __future__ import annotations

from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.selection import Selection
from tiny_models import tiny_card


def test_box_nms_is_a_setting() -> None:
    card = tiny_card()
    assert Selection.of(card, SegmentConfig()).network_limits(1).nms == 0.5
    assert Selection.of(card, SegmentConfig(box_nms=0.8)).network_limits(1).nms == 0.8
