"""Ready configurations for data that comes without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from napari_sartorius.nn.config import (
    MaskHeadConfig,
    MaskRCNNConfig,
    PyramidConfig,
    TrunkConfig,
)
from napari_sartorius.training.config import TrainConfig

if TYPE_CHECKING:
    from napari_sartorius.io.coco import CocoDataset


def light_architecture(num_classes: int, in_channels: Literal[1, 3] = 1) -> MaskRCNNConfig:
    """Mask R-CNN that is quick on a laptop's processor: 6 million weights, strides 2 to 16.

    A slim ResNet-18 without stem stride keeps cells of ten pixels visible; the pyramid and both
    heads are 64 wide because their cost grows with the square of it at the finest level.
    """
    return MaskRCNNConfig(
        num_classes=num_classes,
        trunk=TrunkConfig(
            name="resnet18", in_channels=in_channels, stem_stride=1, widths=(48, 96, 192, 256)
        ),
        pyramid=PyramidConfig(width=64),
        mask_head=MaskHeadConfig(width=64),
    )


def default_config(dataset: CocoDataset) -> TrainConfig:
    """Configuration for any dataset: the light network, one class per category of the file."""
    return TrainConfig(architecture=light_architecture(len(dataset.categories)))
