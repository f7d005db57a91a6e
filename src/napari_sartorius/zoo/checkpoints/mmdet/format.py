"""The format of mmdetection's R-CNNs: Mask R-CNN, Cascade Mask R-CNN and Hybrid Task Cascade."""

from __future__ import annotations

from napari_sartorius.zoo.checkpoints.checkpoint_format import CheckpointFormat
from napari_sartorius.zoo.checkpoints.mmdet.architecture import TITLE, describe
from napari_sartorius.zoo.checkpoints.mmdet.names import background_last, renamed, why_not_needed
from napari_sartorius.zoo.checkpoints.plain_settings import plain_rules

MMDET = CheckpointFormat(
    title=TITLE,
    citation="mmdetection (Chen et al. 2019, https://github.com/open-mmlab/mmdetection)",
    rules=plain_rules(TITLE),
    sign="rpn_head.rpn_conv.",
    describe=describe,
    renamed=renamed,
    why_not_needed=why_not_needed,
    converted=background_last,
)
