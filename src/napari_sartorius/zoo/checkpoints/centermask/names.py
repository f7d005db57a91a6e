"""CenterMask2's names of its tensors, in the words of `napari_sartorius.nn`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sartorius.zoo.checkpoints.detectron2.names import renamed as renamed_in_detectron2
from napari_sartorius.zoo.checkpoints.tensor_names import reason_for, rewritten

if TYPE_CHECKING:
    from napari_sartorius.zoo.checkpoints.tensor_names import Renames

_LAYERS = {"cls": "class", "bbox": "box"}
_HEADS = {"cls_logits": "classes", "bbox_pred": "distances", "ctrness": "centerness"}
_BODY = r"^backbone\.bottom_up\."


def _conv_and_norm(prefix: str) -> tuple[tuple[str, str], ...]:
    return ((rf"^({prefix})/conv\.", r"\1.0."), (rf"^({prefix})/norm\.", r"\1.1."))


# Stem, blocks, pyramid, boxes, heads; parts of a name are rewritten one after the other.
_RENAMES: Renames = (
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
        r"^backbone\.fpn_(lateral|output)([3-5])\.norm\.",
        lambda m: f"pyramid.{m[1]}.{int(m[2]) - 3}.1.",
    ),
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
    (
        r"^roi_heads\.mask_head\.mask_fcn(\d+)\.norm\.",
        lambda m: f"mask_head.blocks.{int(m[1]) - 1}.1.",
    ),
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


# Tensors that some versions write and others do not, and heads that find something else.
_NOT_NEEDED = (
    (r"^pixel_(mean|std)$", "the card holds the normalisation"),
    (r"\.num_batches_tracked$", "a counter that only training needs"),
    (r"^roi_heads\.keypoint_head\.", "keypoints are not predicted"),
    (r"^sem_seg_head\.", "semantic maps are not predicted"),
)


def renamed(name: str) -> str:
    """Name that a tensor of CenterMask2 has in our network; unknown names come back unchanged."""
    name = rewritten(name, _RENAMES)
    if name.startswith("backbone.bottom_up."):
        return renamed_in_detectron2(name)  # a ResNet is detectron2's own
    return name


def why_not_needed(name: str) -> str | None:
    """Why a tensor of a checkpoint is not needed, or None when it is."""
    return reason_for(name, _NOT_NEEDED)
