"""CenterMask2's names of its tensors, in the words of `napari_sartorius.nn`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_LAYERS = {"cls": "class", "bbox": "box"}
_HEADS = {"cls_logits": "classes", "bbox_pred": "distances", "ctrness": "centerness"}
_BODY = r"^backbone\.bottom_up\."


def _conv_and_norm(prefix: str) -> tuple[tuple[str, str], ...]:
    return ((rf"^({prefix})/conv\.", r"\1.0."), (rf"^({prefix})/norm\.", r"\1.1."))


# Stem, blocks, pyramid, boxes, heads; parts of a name are rewritten one after the other.
_RENAMES: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (_BODY + r"stem\.stem_(\d+)/", lambda m: f"trunk.stem.{int(m[1]) - 1}/"),
    (
        _BODY + r"stage(\d)\.OSA\d_(\d+)\.",
        lambda m: f"trunk.stages.{int(m[1]) - 2}.{int(m[2]) - 1}.",
    ),
    (r"^(trunk\.stages\.\d+\.\d+\.)layers\.(\d+)\.\w+/", r"\1layers.\2/"),
    (r"^(trunk\.stages\.\d+\.\d+\.)concat\.\w+/", r"\1join/"),
    (r"^(trunk\.stages\.\d+\.\d+\.)ese\.fc\.", r"\1weigh."),
    *_conv_and_norm(r"trunk\.stem\.\d+"),
    *_conv_and_norm(r"trunk\.stages\.\d+\.\d+\.(?:layers\.\d+|join)"),
    (
        r"^backbone\.fpn_(lateral|output)([3-5])\.",
        lambda m: f"pyramid.{m[1]}.{int(m[2]) - 3}.0.",
    ),
    (r"^backbone\.top_block\.p([67])\.", lambda m: f"top.convs.{int(m[1]) - 6}."),
    # Three entries for each convolution of a tower: itself, its normalisation, a ReLU.
    (
        r"^proposal_generator\.fcos_head\.(cls|bbox)_tower\.(\d+)\.",
        lambda m: f"fcos.{_LAYERS[m[1]]}_tower.{int(m[2]) // 3}.{int(m[2]) % 3}.",
    ),
    (
        r"^proposal_generator\.fcos_head\.(cls_logits|bbox_pred|ctrness)\.",
        lambda m: f"fcos.{_HEADS[m[1]]}.",
    ),
    (r"^proposal_generator\.fcos_head\.scales\.(\d+)\.scale$", r"fcos.scales.\1"),
    (r"^roi_heads\.mask_head\.mask_fcn(\d+)\.", lambda m: f"mask_head.blocks.{int(m[1]) - 1}.0."),
    (r"^roi_heads\.mask_head\.spatialAtt\.conv\.", "mask_head.attention.conv."),
    (r"^roi_heads\.mask_head\.deconv\.", "mask_head.upsample."),
    (r"^roi_heads\.mask_head\.predictor\.", "mask_head.predictor."),
    (
        r"^roi_heads\.maskiou_head\.maskiou_fcn(\d+)\.",
        lambda m: f"mask_iou_head.convs.{2 * int(m[1]) - 2}.",
    ),
    (
        r"^roi_heads\.maskiou_head\.maskiou_fc([12])\.",
        lambda m: f"mask_iou_head.hidden.{2 * int(m[1]) - 2}.",
    ),
    (r"^roi_heads\.maskiou_head\.maskiou\.", "mask_iou_head.fit."),
)


def renamed(name: str) -> str:
    """Name that a tensor of CenterMask2 has in our network; unknown names come back unchanged."""
    for pattern, replacement in _RENAMES:
        name = re.sub(pattern, replacement, name)
    return name
