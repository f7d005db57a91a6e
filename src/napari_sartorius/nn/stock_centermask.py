"""The networks of CenterMask2's model zoo as architecture trees: the start of an import.

Torch-free, as all trees are. Numbers are those of ``Base-CenterMask-VoVNet.yaml``,
``Base-CenterMask-Lite-VoVNet.yaml`` (Lee and Park 2020) and of LIVECell's anchor-free
configurations (Edlund et al. 2021); networks built from these trees give the outputs of the
originals.
"""

from __future__ import annotations

from napari_sartorius.nn.config import (
    AreaPoolerConfig,
    AttentiveMaskHeadConfig,
    CenterMaskConfig,
    FCOSConfig,
    MaskIoUHeadConfig,
    TopPyramidConfig,
    VoVNetConfig,
)

STOCK_LIMITS = (64.0, 128.0, 256.0, 512.0)


def stock_fcos(layers: int = 4) -> FCOSConfig:
    """FCOS of CenterMask2; it keeps 1000 candidates of a level and 50 boxes of any image."""
    return FCOSConfig(
        class_layers=layers,
        box_layers=layers,
        level_limits=STOCK_LIMITS,
        pre_nms_topk_train=1000,
        pre_nms_topk_test=1000,
        post_nms_topk_train=100,
        post_nms_topk_test=50,
        topk_grows=False,
    )


def stock_centermask(trunk: VoVNetConfig, num_classes: int) -> CenterMaskConfig:
    """CenterMask2 with this trunk.

    Parameters
    ----------
    trunk
        Its size.
    num_classes
        Categories without the background.
    """
    return _centermask(trunk, num_classes, width=256, layers=4, fcos=stock_fcos())


def stock_centermask_lite(trunk: VoVNetConfig, num_classes: int) -> CenterMaskConfig:
    """CenterMask-Lite and CenterMask2-Lite: half as wide and half as deep."""
    return _centermask(trunk, num_classes, width=128, layers=2, fcos=stock_fcos(2))


def livecell_centermask() -> CenterMaskConfig:
    """CenterMask2 V-99 as LIVECell's nine anchor-free models are: one class, many cells."""
    limits = {
        "pre_nms_topk_train": 2000,
        "pre_nms_topk_test": 4000,
        "post_nms_topk_train": 15000,
        "post_nms_topk_test": 3000,
    }
    plain = stock_centermask(VoVNetConfig(size="99"), 1)
    return plain.model_copy(update={"fcos": plain.fcos.model_copy(update=limits)})


def _centermask(
    trunk: VoVNetConfig, num_classes: int, *, width: int, layers: int, fcos: FCOSConfig
) -> CenterMaskConfig:
    return CenterMaskConfig(
        num_classes=num_classes,
        trunk=trunk,
        pyramid=TopPyramidConfig(width=width, norm="none"),
        fcos=fcos,
        mask_head=AttentiveMaskHeadConfig(
            pooler=AreaPoolerConfig(sampling_ratio=0, whole_image=True),
            layers=layers,
            width=width,
            norm="none",
        ),
        mask_iou_head=MaskIoUHeadConfig(layers=layers, width=width, hidden=1024),
    )
