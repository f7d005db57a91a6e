"""What the names and shapes of a checkpoint's tensors say about its CenterMask."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from napari_sartorius.core.errors import UserError
from napari_sartorius.nn.config import AnyTrunk, MaskIoUHeadConfig, VoVNetConfig
from napari_sartorius.nn.stock import stock_trunk
from napari_sartorius.zoo.checkpoints.facts import Facts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

Norm = Literal["batch", "none"]

_BODY = "backbone.bottom_up"
_POOLED = 14
# Blocks of the four stages, layers of a block and channels of the first layer.
_VOVNETS: dict[tuple[tuple[int, ...], int, int], Any] = {
    ((1, 1, 1, 1), 3, 64): "19-slim",
    ((1, 1, 1, 1), 3, 128): "19",
    ((1, 1, 2, 2), 5, 128): "39",
    ((1, 1, 4, 3), 5, 128): "57",
    ((1, 3, 9, 3), 5, 128): "99",
}
_RESNETS = {(3, 4, 6, 3): "resnet50", (3, 4, 23, 3): "resnet101"}


@dataclass(frozen=True)
class CenterMaskShapes:
    """Every size of a CenterMask that its tensors tell.

    Attributes
    ----------
    trunk
        Its tree; where a ResNet has its strides is not to be seen.
    pyramid_width, pyramid_norm
        Of the feature pyramid.
    num_classes
        Categories.
    class_layers, box_layers
        Of FCOS's towers.
    mask_layers, mask_width, mask_norm, mask_class_agnostic
        Of the mask head.
    mask_iou
        The head that judges masks, or None.
    """

    trunk: AnyTrunk
    pyramid_width: int
    pyramid_norm: Norm
    num_classes: int
    class_layers: int
    box_layers: int
    mask_layers: int
    mask_width: int
    mask_norm: Norm
    mask_class_agnostic: bool
    mask_iou: MaskIoUHeadConfig | None

    @property
    def is_lite(self) -> bool:
        """Whether this is one of the Lite networks, which look at smaller images."""
        return self.pyramid_width == 128 and self.class_layers == 2


def read_shapes(path: Path, weights: Mapping[str, NDArray[Any]]) -> CenterMaskShapes:
    """Find out the network's sizes.

    Parameters
    ----------
    path
        Named in errors.
    weights
        Tensors by CenterMask2's names.

    Raises
    ------
    UserError
        When this is another network, or a tensor that tells a size is missing.
    """
    facts = Facts(path, weights, "CenterMask of CenterMask2")
    head = "proposal_generator.fcos_head"
    classes = facts.shape(f"{head}.cls_logits.weight")[0]
    masks = facts.shape("roi_heads.mask_head.predictor.weight")[0]
    if masks not in (1, classes):
        raise facts.odd("roi_heads.mask_head.predictor.weight")
    return CenterMaskShapes(
        trunk=_trunk(facts),
        pyramid_width=facts.shape("backbone.fpn_output3.weight")[0],
        pyramid_norm=_norm(facts, "backbone.fpn_output3"),
        num_classes=classes,
        # A tower has a convolution and its normalisation with weights for each layer.
        class_layers=facts.count(rf"^{head}\.cls_tower\.(\d+)\.weight") // 2,
        box_layers=facts.count(rf"^{head}\.bbox_tower\.(\d+)\.weight") // 2,
        mask_layers=facts.count(r"^roi_heads\.mask_head\.mask_fcn(\d+)\.weight"),
        mask_width=facts.shape("roi_heads.mask_head.deconv.weight")[0],
        mask_norm=_norm(facts, "roi_heads.mask_head.mask_fcn1"),
        mask_class_agnostic=masks == 1 and classes > 1,
        mask_iou=_mask_iou(facts),
    )


def _norm(facts: Facts, layer: str) -> Norm:
    """What follows a convolution; frozen or not is the same when detecting."""
    return "none" if facts.norm(layer) == "none" else "batch"


def _trunk(facts: Facts) -> AnyTrunk:
    """Tree of the trunk; refuses what only looks like a known one."""
    if any(".dw_conv" in name or "/dw" in name for name in facts.weights):
        raise UserError(
            f"{facts.path} holds a VoVNet with depthwise convolutions, which cannot be imported"
        )
    if any("conv2_offset" in name or "conv_offset" in name for name in facts.weights):
        raise UserError(
            f"{facts.path} holds deformable convolutions, which cannot be imported for this kind "
            "of network"
        )
    if any(name.startswith(f"{_BODY}.res") for name in facts.weights):
        blocks = tuple(facts.count(rf"^backbone\.bottom_up\.res{s}\.(\d+)\.") for s in (2, 3, 4, 5))
        inner = facts.shape(f"{_BODY}.res2.0.conv1.weight")[0]
        plain = inner == 64 and facts.shape(f"{_BODY}.res2.0.conv2.weight")[1] == inner
        if blocks not in _RESNETS or not plain:
            raise UserError(
                f"{facts.path} holds a residual network that cannot be imported; only ResNets of "
                "50 and 101 layers can"
            )
        return stock_trunk(_RESNETS[blocks])
    blocks = tuple(
        facts.count(rf"^backbone\.bottom_up\.stage{s}\.OSA{s}_(\d+)\.") for s in (2, 3, 4, 5)
    )
    layers = facts.count(r"^backbone\.bottom_up\.stage2\.OSA2_1\.layers\.(\d+)\.")
    inner, channels = facts.shape(f"{_BODY}.stage2.OSA2_1.layers.0.OSA2_1_0/conv.weight")[0], 3
    if (blocks, layers, inner) not in _VOVNETS:
        raise UserError(
            f"{facts.path} holds a VoVNet with {'-'.join(map(str, blocks))} blocks of {layers} "
            f"layers and {inner} channels; only V-19-slim, V-19, V-39, V-57 and V-99 can be "
            "imported"
        )
    if facts.shape(f"{_BODY}.stem.stem_1/conv.weight")[1] != channels:
        raise facts.odd(f"{_BODY}.stem.stem_1/conv.weight")
    return VoVNetConfig(size=_VOVNETS[blocks, layers, inner])


def _mask_iou(facts: Facts) -> MaskIoUHeadConfig | None:
    """The head that judges masks; None where the network has none."""
    head = "roi_heads.maskiou_head"
    if not any(name.startswith(f"{head}.") for name in facts.weights):
        return None
    hidden, inputs = facts.shape(f"{head}.maskiou_fc1.weight")[:2]
    width = facts.shape(f"{head}.maskiou_fcn1.weight")[0]
    if inputs != width * math.ceil(_POOLED / 2) ** 2:
        raise facts.odd(f"{head}.maskiou_fc1.weight")
    layers = facts.count(rf"^{head}\.maskiou_fcn(\d+)\.weight")
    return MaskIoUHeadConfig(layers=layers, width=width, hidden=hidden)
