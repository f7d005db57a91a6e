"""The box NMS of the configuration reaches the network."""

from __future__ import annotations

from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.selection import Selection
from napari_sartorius.nn.config import MaskRCNNConfig
from napari_sartorius.zoo.card import CategoryCard, ModelCard


def test_box_nms_is_a_setting() -> None:
    card = ModelCard(
        name="m",
        title="m",
        description="m",
        categories=(CategoryCard(name="cell", colour="#ffffff"),),
        cell_diameter=10,
        architecture=MaskRCNNConfig(num_classes=1),
        licence="CC0",
        training_data="none",
    )
    assert Selection.of(card, SegmentConfig()).network_limits(1).nms == 0.5
    assert Selection.of(card, SegmentConfig(box_nms=0.8)).network_limits(1).nms == 0.8
