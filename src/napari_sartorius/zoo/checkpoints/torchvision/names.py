"""torchvision's names of the tensors of a Mask R-CNN, in the words of `napari_sartorius.nn`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sartorius.zoo.checkpoints.tensor_names import rewritten_once

if TYPE_CHECKING:
    import re

    import numpy as np
    from numpy.typing import NDArray

    from napari_sartorius.zoo.checkpoints.tensor_names import Renames

BOX_CONVOLUTIONS = 4
"""Of the box head of the second version; a layer that flattens follows them."""

_PYRAMID = {"inner": "lateral", "layer": "output"}


def _pyramid(match: re.Match[str]) -> str:
    return f"pyramid.{_PYRAMID[match[1]]}.{match[2]}.{match[3] or 0}."


def _proposal_layer(match: re.Match[str]) -> str:
    return "proposals.head." + ("conv." if match[1] == "0" else f"later.{int(match[1]) - 1}.")


# Each network has two spellings: before and after layers with their activation became one block.
_RENAMES: Renames = (
    (r"^backbone\.body\.", "trunk.body."),
    (r"^backbone\.fpn\.(inner|layer)_blocks\.(\d)\.(?:(\d)\.)?", _pyramid),
    (r"^rpn\.head\.conv\.(\d)\.0\.", _proposal_layer),
    (r"^rpn\.head\.conv\.", "proposals.head.conv."),
    (r"^rpn\.head\.cls_logits\.", "proposals.head.objectness."),
    (r"^rpn\.head\.bbox_pred\.", "proposals.head.deltas."),
    (r"^roi_heads\.box_head\.fc6\.", "box_head.layers.0."),
    (r"^roi_heads\.box_head\.fc7\.", "box_head.layers.2."),
    (r"^roi_heads\.box_head\.(\d)\.([01])\.", r"box_head.blocks.\1.\2."),
    (
        r"^roi_heads\.box_head\.(\d+)\.(?=weight|bias)",
        lambda m: f"box_head.layers.{int(m[1]) - BOX_CONVOLUTIONS - 1}.",
    ),
    (r"^roi_heads\.box_predictor\.cls_score\.", "box_head.class_logits."),
    (r"^roi_heads\.box_predictor\.bbox_pred\.", "box_head.deltas."),
    (
        r"^roi_heads\.mask_head\.mask_fcn(\d+)\.",
        lambda m: f"mask_head.blocks.{int(m[1]) - 1}.0.",
    ),
    (r"^roi_heads\.mask_head\.(\d)\.([01])\.", r"mask_head.blocks.\1.\2."),
    (r"^roi_heads\.mask_predictor\.conv5_mask\.", "mask_head.upsample."),
    (r"^roi_heads\.mask_predictor\.mask_fcn_logits\.", "mask_head.predictor."),
)


def renamed(name: str) -> str:
    """Name that a tensor has in our network; unknown names come back unchanged."""
    return rewritten_once(name, _RENAMES)


def why_not_needed(name: str) -> str | None:
    """Why a tensor of a checkpoint is not needed, or None when it is."""
    if name.endswith(".num_batches_tracked"):
        return "a counter that only training needs"
    if name.startswith("roi_heads.keypoint_"):
        return "keypoints are not predicted"
    return None


def without_background(name: str, value: NDArray[np.generic]) -> NDArray[np.generic]:
    """Rows of a predictor in our order: torchvision has the background first.

    It comes last among the scores, and has neither a box nor a mask.
    """
    import numpy as np

    if name.startswith("roi_heads.box_predictor.cls_score."):
        return np.concatenate([value[1:], value[:1]])
    if name.startswith("roi_heads.box_predictor.bbox_pred."):
        return value[4:]
    if name.startswith("roi_heads.mask_predictor.mask_fcn_logits."):
        return value[1:]
    return value
