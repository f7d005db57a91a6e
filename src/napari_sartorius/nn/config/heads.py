"""What looks at one box at a time: pooling, box head, mask head."""

from __future__ import annotations

from pydantic import Field, model_validator

from napari_sartorius.nn.config.norms import Norm, check_groups
from napari_sartorius.nn.config.points import PointHeadConfig
from napari_sartorius.nn.config.tree import Tree


class PoolerConfig(Tree):
    """RoIAlign from the level that suits a box.

    Parameters
    ----------
    resolution
        Side of the pooled square.
    canonical_size
        A box of this side in input pixels is read from the third level; 224 with strides
        4, 8, 16, 32 is the published rule, 112 suits strides 2, 4, 8, 16.
    sampling_ratio
        Samples per bin and axis; 0 adapts to the size of the box as detectron2 does.
    aligned
        Pixels are where their centres are, as in detectron2's ROIAlignV2 and mmdetection; False
        reads half a pixel beside that and takes small boxes for one pixel wide, as torchvision's
        networks were trained to.
    """

    resolution: int
    canonical_size: float = 112.0
    sampling_ratio: int = 0
    aligned: bool = True


class BoxHeadConfig(Tree):
    """Head that scores and refines boxes: convolutions, then fully connected layers.

    Background is the last class.

    Parameters
    ----------
    convolutions, conv_width, norm
        How many 3x3 convolutions come first, their channels and what follows each; with 4 and one
        fully connected layer it is the "4conv1fc" head of Wu and He (2018).
    layers, width
        Fully connected layers and their width.
    class_agnostic
        One box for all classes, or one for each.
    delta_weights
        Box coding: dx, dy, dw, dh are multiplied by these.
    batch_per_image, positive_fraction, positive_iou
        Boxes of an image that train the head, the largest share of them that shows an object, and
        the overlap from which a box does.
    refinements
        How often a box that may be an object is looked at again from where the last look moved
        it, the scores being averaged (Gidaris and Komodakis 2015). Used when detecting only.
    """

    pooler: PoolerConfig = PoolerConfig(resolution=7, sampling_ratio=2)
    convolutions: int = Field(default=0, ge=0)
    conv_width: int = 256
    norm: Norm = "none"
    layers: int = 2
    width: int = 512
    class_agnostic: bool = True
    delta_weights: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)
    batch_per_image: int = 128
    positive_fraction: float = 0.25
    positive_iou: float = 0.5
    refinements: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _groups_divide(self) -> BoxHeadConfig:
        if self.convolutions:
            check_groups(self.norm, self.conv_width)
        return self


class MaskHeadConfig(Tree):
    """Convolutions, one doubling, one mask per class: (2 * resolution) square logits.

    Parameters
    ----------
    points
        Draws the masks again, finer, where they are uncertain; None leaves them as they are.
    """

    pooler: PoolerConfig = PoolerConfig(resolution=14, sampling_ratio=1)
    layers: int = 4
    width: int = 96
    norm: Norm = "batch"
    class_agnostic: bool = False
    batch_per_image: int = 64
    points: PointHeadConfig | None = None

    @model_validator(mode="after")
    def _groups_divide(self) -> MaskHeadConfig:
        check_groups(self.norm, self.width)
        return self
