"""The format of torchvision's Mask R-CNNs, both versions of ``maskrcnn_resnet50_fpn``."""

from __future__ import annotations

from napari_sartorius.zoo.checkpoints.checkpoint_format import CheckpointFormat
from napari_sartorius.zoo.checkpoints.plain_settings import plain_rules
from napari_sartorius.zoo.checkpoints.torchvision.architecture import TITLE, describe
from napari_sartorius.zoo.checkpoints.torchvision.names import (
    renamed,
    why_not_needed,
    without_background,
)

TORCHVISION = CheckpointFormat(
    title=TITLE,
    citation="torchvision (Marcel and Rodriguez 2010, https://github.com/pytorch/vision)",
    rules=plain_rules(TITLE),
    sign="backbone.body.",
    describe=describe,
    renamed=renamed,
    why_not_needed=why_not_needed,
    converted=without_background,
)
