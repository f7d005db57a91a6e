"""Mask R-CNN."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from napari_sartorius.nn.config.heads import BoxHeadConfig, MaskHeadConfig
from napari_sartorius.nn.config.proposals import ProposalConfig
from napari_sartorius.nn.config.pyramid import PyramidConfig
from napari_sartorius.nn.config.timm_trunk import TrunkConfig
from napari_sartorius.nn.config.tree import Tree
from napari_sartorius.nn.config.trunks import AnyTrunk


class MaskRCNNConfig(Tree):
    """Mask R-CNN with a feature pyramid (He et al. 2017, Lin et al. 2017)."""

    family: Literal["mask_rcnn"] = "mask_rcnn"
    num_classes: int = Field(ge=1)
    trunk: AnyTrunk = TrunkConfig()
    pyramid: PyramidConfig = PyramidConfig()
    proposals: ProposalConfig = ProposalConfig()
    box_head: BoxHeadConfig = BoxHeadConfig()
    mask_head: MaskHeadConfig = MaskHeadConfig()

    @model_validator(mode="after")
    def _levels_agree(self) -> MaskRCNNConfig:
        count = 4 + self.pyramid.extra_level
        sizes, levels = self.proposals.anchor_sizes, self.proposals.levels
        if levels is None:
            levels = tuple(range(count))
        if not all(0 <= level < count for level in levels):
            raise ValueError(f"levels must be 0 to {count - 1}")
        if len(sizes) != len(levels):
            raise ValueError(f"anchor_sizes needs one entry for each of {len(levels)} levels")
        if len({len(entry) for entry in sizes}) != 1:
            raise ValueError("anchor_sizes needs equally many sizes on every level")
        return self

    @property
    def smallest_object(self) -> float:
        """Side of the smallest anchor, pixels."""
        return min(self.proposals.anchor_sizes[0])
