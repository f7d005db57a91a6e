"""detectron2's names of the tensors of a Mask R-CNN, in the words of `napari_sartorius.nn`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sartorius.zoo.checkpoints.tensor_names import reason_for, rewritten

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_sartorius.zoo.checkpoints.tensor_names import Renames


def _head(stage: str) -> str:
    """Our name of the box head of a stage of a cascade."""
    return "box_head" if stage == "0" else f"later_heads.{int(stage) - 1}"


# Stem, residual blocks, pyramid, proposals, heads; the first part of a name is rewritten first.
_RENAMES: Renames = (
    (r"^backbone\.bottom_up\.stem\.conv1(_3)?\.norm\.", "trunk.body.bn1."),
    (
        r"^backbone\.bottom_up\.stem\.conv1_([12])\.norm\.",
        lambda m: f"trunk.body.conv1.{3 * int(m[1]) - 2}.",
    ),
    (
        r"^backbone\.bottom_up\.stem\.conv1_([1-3])\.",
        lambda m: f"trunk.body.conv1.{3 * int(m[1]) - 3}.",
    ),
    (r"^backbone\.bottom_up\.stem\.conv1\.", "trunk.body.conv1."),
    (
        r"^backbone\.bottom_up\.res([2-5])\.(\d+)\.",
        lambda m: f"trunk.body.layer{int(m[1]) - 1}.{m[2]}.",
    ),
    (r"^(trunk\.body\.layer\d\.\d+\.)shortcut\.norm\.", r"\1downsample.1."),
    (r"^(trunk\.body\.layer\d\.\d+\.)shortcut\.", r"\1downsample.0."),
    (r"^(trunk\.body\.layer\d\.\d+\.)conv([1-3])\.norm\.", r"\1bn\2."),
    (r"^(trunk\.body\.layer\d\.\d+\.)conv2_offset\.", r"\1conv2.conv.offset."),
    (
        r"^backbone\.fpn_(lateral|output)([2-5])\.norm\.",
        lambda m: f"pyramid.{m[1]}.{int(m[2]) - 2}.1.",
    ),
    (
        r"^backbone\.fpn_(lateral|output)([2-5])\.",
        lambda m: f"pyramid.{m[1]}.{int(m[2]) - 2}.0.",
    ),
    (r"^proposal_generator\.rpn_head\.conv\.", "proposals.head.conv."),
    (r"^proposal_generator\.rpn_head\.objectness_logits\.", "proposals.head.objectness."),
    (r"^proposal_generator\.rpn_head\.anchor_deltas\.", "proposals.head.deltas."),
    (
        r"^roi_heads\.box_head\.(?:(\d+)\.)?conv(\d+)\.(norm\.)?",
        lambda m: f"{_head(m[1] or '0')}.blocks.{int(m[2]) - 1}.{1 if m[3] else 0}.",
    ),
    (
        r"^roi_heads\.box_head\.fc(\d+)\.",
        lambda m: f"box_head.layers.{2 * int(m[1]) - 2}.",
    ),
    (
        r"^roi_heads\.box_head\.(\d+)\.fc(\d+)\.",
        lambda m: f"{_head(m[1])}.layers.{2 * int(m[2]) - 2}.",
    ),
    (
        r"^roi_heads\.box_predictor\.(\d+)\.cls_score\.",
        lambda m: f"{_head(m[1])}.class_logits.",
    ),
    (r"^roi_heads\.box_predictor\.(\d+)\.bbox_pred\.", lambda m: f"{_head(m[1])}.deltas."),
    (r"^roi_heads\.box_predictor\.cls_score\.", "box_head.class_logits."),
    (r"^roi_heads\.box_predictor\.bbox_pred\.", "box_head.deltas."),
    (
        r"^roi_heads\.mask_head\.mask_fcn(\d+)\.norm\.",
        lambda m: f"mask_head.blocks.{int(m[1]) - 1}.1.",
    ),
    (
        r"^roi_heads\.mask_head\.mask_fcn(\d+)\.",
        lambda m: f"mask_head.blocks.{int(m[1]) - 1}.0.",
    ),
    (r"^roi_heads\.mask_head\.deconv\.", "mask_head.upsample."),
    (r"^roi_heads\.mask_head\.predictor\.", "mask_head.predictor."),
)

# Tensors that some versions write and others do not, and heads that find something else.
_NOT_NEEDED = (
    (r"^pixel_(mean|std)$", "the card holds the normalisation"),
    (r"^proposal_generator\.anchor_generator\.cell_anchors\.\d+$", "the card holds the anchors"),
    (r"\.num_batches_tracked$", "a counter that only training needs"),
    (r"^roi_heads\.keypoint_head\.", "keypoints are not predicted"),
    (r"^sem_seg_head\.", "semantic maps are not predicted"),
)


def renamed(name: str) -> str:
    """Name that a tensor of detectron2 has in our network; unknown names come back unchanged."""
    return rewritten(name, _RENAMES)


def why_not_needed(name: str) -> str | None:
    """Why a tensor of a checkpoint is not needed, or None when it is."""
    return reason_for(name, _NOT_NEEDED)


def original_names(names: Iterable[str]) -> dict[str, str]:
    """Our name to the checkpoint's, for all tensors that are needed."""
    return {renamed(name): name for name in names if why_not_needed(name) is None}
