"""The format of detectron2's generalised R-CNNs with a feature pyramid (Wu et al. 2019)."""

from __future__ import annotations

from napari_sartorius.zoo.checkpoints.checkpoint_format import CheckpointFormat
from napari_sartorius.zoo.checkpoints.detectron2.architecture import describe
from napari_sartorius.zoo.checkpoints.detectron2.names import renamed, why_not_needed
from napari_sartorius.zoo.checkpoints.detectron2.rules import RULES

DETECTRON2 = CheckpointFormat(
    title="Mask R-CNN of detectron2",
    citation="detectron2 (Wu et al. 2019, https://github.com/facebookresearch/detectron2)",
    rules=RULES,
    sign="backbone.bottom_up.res",
    describe=describe,
    renamed=renamed,
    why_not_needed=why_not_needed,
)
