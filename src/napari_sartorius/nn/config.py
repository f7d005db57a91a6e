"""The architecture of a detector as one nested tree that reads like the network.

Torch-free on purpose: a model card holds this tree, and the viewer shows cards without torch.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)


class _Tree(BaseModel):
    """Strict and immutable: an unknown or misspelt key in a card is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TrunkConfig(_Tree):
    """A timm network that turns an image into feature maps of growing stride.

    Parameters
    ----------
    name
        Any timm name that offers ``features_only``, e.g. ``resnet18``, ``resnet50``.
    in_channels
        Channels of the input, 1 (grey) or 3 (RGB).
    stem_stride
        Stride of the first convolution. 1 doubles the resolution of every level, which is how the
        11th-place Sartorius system kept cells of ten pixels visible.
    widths
        Channels of the four residual stages, multiples of 16; None keeps timm's own. ResNets
        only.
    stride_in_1x1
        Bottleneck blocks put their stride in the first 1x1 convolution as the original
        detectron2 ResNets do; False puts it in the 3x3 as torchvision and timm do.
    """

    name: str = "resnet18"
    in_channels: Literal[1, 3] = 1
    stem_stride: Literal[1, 2] = 1
    widths: tuple[int, int, int, int] | None = None
    stride_in_1x1: bool = False

    @field_validator("widths")
    @classmethod
    def _full_vectors(cls, widths: tuple[int, ...] | None) -> tuple[int, ...] | None:
        # oneDNN's weight gradient of a strided 1x1 convolution from 8 channels writes outside its
        # memory (seen with torch 2.15 on AVX-512); 16 channels fill a vector and are safe.
        if widths is not None and any(width < 16 or width % 16 for width in widths):
            raise ValueError("widths must be multiples of 16")
        return widths


class PyramidConfig(_Tree):
    """Feature pyramid: lateral 1x1, nearest upsampling and sum, 3x3 output.

    Parameters
    ----------
    width
        Channels of every pyramid level.
    norm
        ``batch`` normalises every convolution (needed when training from scratch), ``none`` uses
        biased convolutions as detectron2's stock models do.
    extra_level
        Adds one level by subsampling the coarsest (detectron2's p6), for proposals only.
    """

    width: int = 96
    norm: Literal["batch", "none"] = "batch"
    extra_level: bool = False


class ProposalConfig(_Tree):
    """Anchors and the region proposal network.

    Anchor sizes are the side in input pixels, one tuple per level, equally many on each.
    Ratios are height / width. Cell centres sit at ``(index + anchor_offset) * stride``;
    detectron2 uses offset 0.

    The ``topk`` limits hold for an image of `topk_area` pixels; with `topk_grows` a larger image
    may give proportionally more proposals when detecting, so that a dense field loses no cells
    for being large. detectron2's limits do not grow.
    """

    anchor_sizes: tuple[tuple[float, ...], ...] = ((14.0,), (28.0,), (56.0,), (112.0,))
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    anchor_offset: float = 0.0
    positive_iou: float = 0.5
    negative_iou: float = 0.3
    batch_per_image: int = 256
    positive_fraction: float = 0.5
    nms_iou: float = 0.7
    pre_nms_topk_train: int = 1000
    pre_nms_topk_test: int = 2000
    post_nms_topk_train: int = 500
    post_nms_topk_test: int = 2000
    topk_grows: bool = True
    topk_area: int = Field(default=512 * 512, ge=1)


class PoolerConfig(_Tree):
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


class BoxHeadConfig(_Tree):
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


class MaskHeadConfig(_Tree):
    """Convolutions, one doubling, one mask per class: (2 * resolution) square logits."""

    pooler: PoolerConfig = PoolerConfig(resolution=14, sampling_ratio=1)
    layers: int = 4
    width: int = 96
    norm: Literal["batch", "none"] = "batch"
    class_agnostic: bool = False
    batch_per_image: int = 64


class MaskRCNNConfig(_Tree):
    """Mask R-CNN with a feature pyramid (He et al. 2017, Lin et al. 2017)."""

    family: Literal["mask_rcnn"] = "mask_rcnn"
    num_classes: int = Field(ge=1)
    trunk: TrunkConfig = TrunkConfig()
    pyramid: PyramidConfig = PyramidConfig()
    proposals: ProposalConfig = ProposalConfig()
    box_head: BoxHeadConfig = BoxHeadConfig()
    mask_head: MaskHeadConfig = MaskHeadConfig()

    @model_validator(mode="after")
    def _levels_agree(self) -> MaskRCNNConfig:
        levels = 4 + self.pyramid.extra_level
        sizes = self.proposals.anchor_sizes
        if len(sizes) != levels:
            raise ValueError(f"anchor_sizes needs one entry for each of {levels} levels")
        if len({len(entry) for entry in sizes}) != 1:
            raise ValueError("anchor_sizes needs equally many sizes on every level")
        return self


class CascadeStageConfig(_Tree):
    """What a later box head of a cascade does differently from the first.

    Parameters
    ----------
    delta_weights
        Its box coding: later stages move boxes less.
    positive_iou
        Overlap from which a box counts as its true object in training: later stages ask for more.
    """

    delta_weights: tuple[float, float, float, float]
    positive_iou: float = Field(gt=0, lt=1)


class CascadeMaskRCNNConfig(MaskRCNNConfig):
    """Mask R-CNN whose boxes pass through several heads, each stricter (Cai and Vasconcelos 2018).

    Parameters
    ----------
    box_head
        The first head; the later ones have its sizes.
    stages
        The later heads.
    """

    family: Literal["cascade_mask_rcnn"] = "cascade_mask_rcnn"  # type: ignore[assignment]
    stages: tuple[CascadeStageConfig, ...] = Field(
        default=(
            CascadeStageConfig(delta_weights=(20.0, 20.0, 10.0, 10.0), positive_iou=0.6),
            CascadeStageConfig(delta_weights=(30.0, 30.0, 15.0, 15.0), positive_iou=0.7),
        ),
        min_length=1,
    )

    @model_validator(mode="after")
    def _one_box_each(self) -> CascadeMaskRCNNConfig:
        if not self.box_head.class_agnostic:
            raise ValueError("a cascade refines one box for all classes: set class_agnostic")
        return self


def _family(tree: Any) -> str:
    """Trees written before there were several families name none."""
    if isinstance(tree, dict):
        return str(tree.get("family", "mask_rcnn"))
    return str(getattr(tree, "family", "mask_rcnn"))


Architecture = Annotated[
    Annotated[MaskRCNNConfig, Tag("mask_rcnn")]
    | Annotated[CascadeMaskRCNNConfig, Tag("cascade_mask_rcnn")],
    Discriminator(_family),
]
"""The tree of any network; its `family` says which."""
