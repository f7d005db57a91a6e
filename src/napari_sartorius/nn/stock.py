"""The networks of detectron2's model zoo as architecture trees: the start of an import.

Torch-free, as all trees are. Numbers are those of ``mask_rcnn_R_50_FPN_3x.yaml``,
``mask_rcnn_R_101_FPN_3x.yaml`` and ``cascade_mask_rcnn_R_50_FPN_3x.yaml`` of detectron2 (Wu et al.
2019); networks built from these trees give the outputs of the originals.
"""

from __future__ import annotations

from typing import Literal

from napari_sartorius.nn.config import (
    BoxHeadConfig,
    CascadeMaskRCNNConfig,
    MaskHeadConfig,
    MaskRCNNConfig,
    PoolerConfig,
    ProposalConfig,
    PyramidConfig,
    TrunkConfig,
)

STOCK_ANCHOR_SIZES = ((32.0,), (64.0,), (128.0,), (256.0,), (512.0,))
STOCK_ANCHOR_RATIOS = (0.5, 1.0, 2.0)


def stock_trunk(name: str) -> TrunkConfig:
    """ResNet with a strided stem that reads three channels and strides in its 1x1 convolutions."""
    return TrunkConfig(name=name, in_channels=3, stem_stride=2, stride_in_1x1=True)


def stock_proposals(post_nms_topk_train: int = 1000) -> ProposalConfig:
    """Anchors of 32 to 512 pixels on five levels; 1000 proposals whatever the image's size."""
    return ProposalConfig(
        anchor_sizes=STOCK_ANCHOR_SIZES,
        anchor_ratios=STOCK_ANCHOR_RATIOS,
        positive_iou=0.7,
        pre_nms_topk_train=2000,
        post_nms_topk_train=post_nms_topk_train,
        pre_nms_topk_test=1000,
        post_nms_topk_test=1000,
        topk_grows=False,
    )


def stock_pooler(resolution: int) -> PoolerConfig:
    """ROIAlignV2 that takes as many samples as a bin has pixels."""
    return PoolerConfig(resolution=resolution, canonical_size=224.0, sampling_ratio=0)


def stock_cascade_mask_rcnn(num_classes: int) -> CascadeMaskRCNNConfig:
    """Cascade Mask R-CNN R50-FPN as detectron2 builds it from ``cascade_mask_rcnn_R_50_FPN_3x``.

    Parameters
    ----------
    num_classes
        Categories without the background.
    """
    plain = stock_mask_rcnn(50, num_classes)
    return CascadeMaskRCNNConfig(
        num_classes=num_classes,
        trunk=plain.trunk,
        pyramid=plain.pyramid,
        proposals=stock_proposals(post_nms_topk_train=2000),
        box_head=plain.box_head.model_copy(update={"class_agnostic": True}),
        mask_head=plain.mask_head,
    )


def stock_mask_rcnn(depth: Literal[50, 101], num_classes: int) -> MaskRCNNConfig:
    """Mask R-CNN R50-FPN or R101-FPN as detectron2 builds it.

    Parameters
    ----------
    depth
        Layers of the residual network.
    num_classes
        Categories without the background.
    """
    return MaskRCNNConfig(
        num_classes=num_classes,
        trunk=stock_trunk(f"resnet{depth}"),
        pyramid=PyramidConfig(width=256, norm="none", extra_level=True),
        proposals=stock_proposals(),
        box_head=BoxHeadConfig(
            pooler=stock_pooler(7), width=1024, class_agnostic=False, batch_per_image=512
        ),
        mask_head=MaskHeadConfig(pooler=stock_pooler(14), width=256, norm="none"),
    )
