"""Every format of checkpoints that can be imported: one line each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from napari_sartorius.core.errors import UserError
from napari_sartorius.zoo.checkpoints.centermask import CENTERMASK
from napari_sartorius.zoo.checkpoints.detectron2 import DETECTRON2
from napari_sartorius.zoo.checkpoints.mmdet import MMDET
from napari_sartorius.zoo.checkpoints.torchvision import TORCHVISION

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sartorius.zoo.checkpoints.checkpoint_format import CheckpointFormat

FORMATS: tuple[CheckpointFormat, ...] = (
    CENTERMASK,
    DETECTRON2,
    TORCHVISION,
    MMDET,
)

# What shows that a checkpoint is of another kind, and how to call it.
_OTHERS = (
    (
        r"^bbox_head\.(retina_|gfl_|cls_convs)|^mask_head\.kernel_convs",
        "a one-stage network of mmdetection",
    ),
    (r"^backbone\.res\d\.|^roi_heads\.res5\.", "a Mask R-CNN without a feature pyramid"),
    (r"point_head", "PointRend"),
    (r"^head\.(cls|bbox)_subnet", "RetinaNet"),
    (r"^sem_seg_head\.pixel_decoder|query_embed", "a transformer"),
)


def format_of(path: Path, weights: Mapping[str, NDArray[Any]]) -> CheckpointFormat:
    """The format in which a checkpoint is written.

    Parameters
    ----------
    path
        The checkpoint, for errors.
    weights
        Its tensors.

    Raises
    ------
    UserError
        When it is of a network that cannot be imported.
    """
    known = ", ".join(one.title for one in FORMATS)
    for pattern, called in _OTHERS:
        if any(re.search(pattern, name) for name in weights):
            raise UserError(
                f"{path} is a checkpoint of {called}; only these can be imported: {known}"
            )
    for one in FORMATS:
        if one.recognises(weights):
            return one
    first = next(iter(weights))
    raise UserError(
        f"{path} is no checkpoint that can be imported: no tensor is called as in {known} (the "
        f"first one is {first}); choose another file"
    )
