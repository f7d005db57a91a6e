"""CenterMask: boxes without anchors, masks with attention, and a judgement of each mask."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from napari_sartorius.nn.config.fcos import FCOSConfig
from napari_sartorius.nn.config.heads import MaskHeadConfig, PoolerConfig
from napari_sartorius.nn.config.timm_trunk import TrunkConfig
from napari_sartorius.nn.config.tree import Tree
from napari_sartorius.nn.config.trunks import AnyTrunk


class TopPyramidConfig(Tree):
    """Feature pyramid that grows further levels on top by strided convolutions.

    Parameters
    ----------
    width
        Channels of every level.
    norm
        ``batch`` normalises the convolutions of the pyramid (needed when training from scratch),
        ``none`` uses biased ones as published.
    finest
        The trunk's finest map that takes part: 1 leaves out the finest of four, as published; 0
        takes it too, for objects of a few strides.
    top_levels
        Levels above the trunk's coarsest map, each half the size of the one before.
    """

    width: int = Field(default=96, ge=1)
    norm: Literal["batch", "none"] = "batch"
    finest: Literal[0, 1] = 1
    top_levels: int = Field(default=2, ge=0)


class AreaPoolerConfig(PoolerConfig):
    """Aligned RoIAlign from the level that suits the share of the picture a box covers.

    A box of more than half the picture's area is read from the coarsest level, of more than a
    quarter from the one below, and so on (Lee and Park 2020).

    Parameters
    ----------
    canonical_size
        Side in network pixels of the square that stands for the picture, so that a cell is read
        from the same level in a training crop, a tile and a whole image.
    whole_image
        Compare with the image at hand instead, as published; `canonical_size` is not used then.
    """

    resolution: int = 14
    sampling_ratio: int = 1
    canonical_size: float = Field(default=224.0, gt=0)
    whole_image: bool = False


class AttentiveMaskHeadConfig(MaskHeadConfig):
    """Mask head that weighs places by what its convolutions found there (spatial attention).

    Parameters
    ----------
    positive_iou
        Overlap from which a found box shows an object whose mask it learns.
    """

    pooler: AreaPoolerConfig = AreaPoolerConfig()
    positive_iou: float = Field(default=0.5, gt=0, lt=1)


class MaskIoUHeadConfig(Tree):
    """Head that tells how well a mask fits its object (Huang et al. 2019).

    Parameters
    ----------
    layers, width
        3x3 convolutions and their channels; the last one halves the resolution.
    hidden
        Channels of the two fully connected layers.
    """

    layers: int = Field(default=4, ge=1)
    width: int = Field(default=96, ge=1)
    hidden: int = Field(default=256, ge=1)


class CenterMaskConfig(Tree):
    """CenterMask and its Lite variants (Lee and Park 2020), as CenterMask2 runs them.

    Parameters
    ----------
    pyramid
        From the trunk's maps to the levels that `fcos` looks at; masks are read from those that
        the trunk has, not from the top levels.
    mask_iou_head
        None for a network that does not judge its masks.
    rank_by
        What the score of an object is: of its box (``box_score``, as published), or that times
        the fit that `mask_iou_head` expects (``mask_score``). Both are known of every object.
    """

    family: Literal["centermask"] = "centermask"
    num_classes: int = Field(ge=1)
    trunk: AnyTrunk = TrunkConfig()
    pyramid: TopPyramidConfig = TopPyramidConfig()
    fcos: FCOSConfig = FCOSConfig()
    mask_head: AttentiveMaskHeadConfig = AttentiveMaskHeadConfig()
    mask_iou_head: MaskIoUHeadConfig | None = MaskIoUHeadConfig()
    rank_by: Literal["box_score", "mask_score"] = "box_score"

    @model_validator(mode="after")
    def _parts_agree(self) -> CenterMaskConfig:
        levels = 4 - self.pyramid.finest + self.pyramid.top_levels
        if len(self.fcos.level_limits) != levels - 1:
            raise ValueError(f"level_limits needs {levels - 1} entries between {levels} levels")
        if self.pyramid.width % self.fcos.groups:
            raise ValueError("groups must divide the pyramid's width")
        if self.rank_by == "mask_score" and self.mask_iou_head is None:
            raise ValueError("rank_by mask_score needs a mask_iou_head")
        return self

    @property
    def smallest_object(self) -> float:
        """Side of the smallest square that always holds four places of the finest level, pixels."""
        return float(2 * 2 * self.trunk.stem_stride * 2**self.pyramid.finest)
