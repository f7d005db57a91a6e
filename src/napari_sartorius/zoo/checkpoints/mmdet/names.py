"""mmdetection's names of the tensors of its R-CNNs, in the words of `napari_sartorius.nn`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from napari_sartorius.zoo.checkpoints.tensor_names import reason_for, rewritten_once

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_sartorius.zoo.checkpoints.tensor_names import Renames

# Version 1 had the heads beside each other, version 2 puts them into one.
_ROI = r"^(?:roi_head\.)?"
_LAYER = {"conv": "0", "bn": "1", "gn": "1"}


def _head(part: str, stage: str | None) -> str:
    """Our name of a box or mask head: the first, or one of the later ones of a cascade."""
    first, later = ("box_head", "later_heads") if part == "bbox" else _MASK_HEADS
    return first if stage in (None, "0") else f"{later}.{int(stage) - 1}"


_MASK_HEADS = ("mask_head", "later_mask_heads")


def _box_layer(match: re.Match[str]) -> str:
    return f"{_head('bbox', match[1])}.layers.{2 * int(match[2])}."


def _convolution(match: re.Match[str]) -> str:
    part, stage, number, kind = match.groups()
    return f"{_head(part, stage)}.blocks.{number}.{_LAYER[kind]}."


def _proposal_layer(match: re.Match[str]) -> str:
    return "proposals.head." + ("conv." if match[1] == "0" else f"later.{int(match[1]) - 1}.")


_RENAMES: Renames = (
    (r"^backbone\.effnet\.", "trunk.body."),
    (r"^backbone\.", "trunk.body."),
    (
        r"^neck\.(lateral|fpn)_convs\.(\d)\.(conv|bn|gn)\.",
        lambda m: f"pyramid.{'lateral' if m[1] == 'lateral' else 'output'}.{m[2]}.{_LAYER[m[3]]}.",
    ),
    (r"^rpn_head\.rpn_conv\.(\d)\.conv\.", _proposal_layer),
    (r"^rpn_head\.rpn_conv\.", "proposals.head.conv."),
    (r"^rpn_head\.rpn_cls\.", "proposals.head.objectness."),
    (r"^rpn_head\.rpn_reg\.", "proposals.head.deltas."),
    (rf"{_ROI}bbox_head\.(?:(\d)\.)?shared_fcs\.(\d)\.", _box_layer),
    (rf"{_ROI}(bbox)_head\.(?:(\d)\.)?shared_convs\.(\d)\.(conv|bn|gn)\.", _convolution),
    (rf"{_ROI}(mask)_head\.(?:(\d)\.)?convs\.(\d)\.(conv|bn|gn)\.", _convolution),
    (
        rf"{_ROI}bbox_head\.(?:(\d)\.)?fc_(cls|reg)\.",
        lambda m: f"{_head('bbox', m[1])}.{'class_logits' if m[2] == 'cls' else 'deltas'}.",
    ),
    (
        rf"{_ROI}mask_head\.(?:(\d)\.)?(upsample|conv_logits)\.",
        lambda m: f"{_head('mask', m[1])}.{'upsample' if m[2] == 'upsample' else 'predictor'}.",
    ),
    (rf"{_ROI}mask_head\.(\d)\.conv_res\.conv\.", lambda m: f"flows.{int(m[1]) - 1}.0."),
    (rf"{_ROI}semantic_head\.lateral_convs\.(\d)\.conv\.", r"semantic.lateral.\1.0."),
    (rf"{_ROI}semantic_head\.convs\.(\d)\.conv\.", r"semantic.blocks.\1.0."),
    (rf"{_ROI}semantic_head\.conv_embedding\.conv\.", "semantic.embedding.0."),
    (rf"{_ROI}semantic_head\.conv_logits\.", "semantic.predictor."),
)

_NOT_NEEDED = (
    (r"\.num_batches_tracked$", "a counter that only training needs"),
    (r"^backbone\.effnet\.(conv_head|bn2|classifier)\.", "it classifies whole images"),
    (r"^backbone\.fc\.", "it classifies whole images"),
    (rf"{_ROI}mask_head\.0\.conv_res\.", "there is no mask head before the first"),
    (r"^ema_", "an average of the weights that training kept"),
    (r"^data_preprocessor\.", "the card holds the normalisation"),
)


def renamed(name: str) -> str:
    """Name that a tensor has in our network; unknown names come back unchanged."""
    return rewritten_once(name, _RENAMES)


def why_not_needed(name: str) -> str | None:
    """Why a tensor of a checkpoint is not needed, or None when it is."""
    return reason_for(name, _NOT_NEEDED)


def background_last(name: str, value: NDArray[np.generic]) -> NDArray[np.generic]:
    """Rows of a predictor in our order: in version 1 the background comes first.

    It moves to the end of the scores, and loses its box and its mask.
    """
    import numpy as np

    kind = re.match(r"^(?:bbox|mask)_head\.(?:\d\.)?(fc_cls|fc_reg|conv_logits)\.", name)
    if kind is None:
        return value
    if kind[1] == "fc_cls":
        return np.concatenate([value[1:], value[:1]])
    if kind[1] == "fc_reg":
        return value if len(value) == 4 else value[4:]
    return value if len(value) == 1 else value[1:]
