"""The format of CenterMask2 and Lite with VoVNetV2 or ResNet trunks (Lee and Park 2020)."""

from __future__ import annotations

from napari_sartorius.zoo.checkpoints.centermask.architecture import describe
from napari_sartorius.zoo.checkpoints.centermask.names import renamed, why_not_needed
from napari_sartorius.zoo.checkpoints.centermask.rules import RULES
from napari_sartorius.zoo.checkpoints.checkpoint_format import CheckpointFormat

CENTERMASK = CheckpointFormat(
    title="CenterMask of CenterMask2",
    citation="CenterMask2 (Lee and Park 2020, https://github.com/youngwanLEE/centermask2)",
    rules=RULES,
    sign="proposal_generator.fcos_head.",
    describe=describe,
    renamed=renamed,
    why_not_needed=why_not_needed,
)
