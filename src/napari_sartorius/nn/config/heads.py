"""What looks at one box at a time: pooling, box head, mask head."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from napari_sartorius.nn.config.points import PointHeadConfig
from napari_sartorius.nn.config.tree import Tree


class PoolerConfig(Tree):
    """Aligned RoIAlign from the level that suits a box.

    Parameters
    ----------
    resolution
        Side of the pooled square.
    canonical_size
        A box of this side in input pixels is read from the third level; 224 with strides
        4, 8, 16, 32 is the published rule, 112 suits strides 2, 4, 8, 16.
    sampling_ratio
        Samples per bin and axis; 0 adapts to the size of the box as detectron2 does.
    """

    resolution: int
    canonical_size: float = 112.0
    sampling_ratio: int = 0


class BoxHeadConfig(Tree):
    """Fully connected head that scores and refines boxes; background is the last class.

    Parameters
    ----------
    refinements
        How often a box that may be an object is looked at again from where the last look moved
        it, the scores being averaged (Gidaris and Komodakis 2015). Used when detecting only.
    """

    pooler: PoolerConfig = PoolerConfig(resolution=7, sampling_ratio=2)
    layers: int = 2
    width: int = 512
    class_agnostic: bool = True
    delta_weights: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)
    batch_per_image: int = 128
    positive_fraction: float = 0.25
    positive_iou: float = 0.5
    refinements: int = Field(default=0, ge=0)


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
    norm: Literal["batch", "none"] = "batch"
    class_agnostic: bool = False
    batch_per_image: int = 64
    points: PointHeadConfig | None = None
