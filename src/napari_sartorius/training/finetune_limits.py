"""What a fine-tuning may take, and from how many images on it spares whole ones; without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from napari_sartorius.core.progress import Monitor
from napari_sartorius.training.data import sides_sparing_few

if TYPE_CHECKING:
    from napari_sartorius.io.coco import CocoDataset
    from napari_sartorius.training.config import TrainConfig

Effort = Literal["quick", "thorough"]

BUDGETS: dict[str, float] = {"quick": 15 * 60, "thorough": 60 * 60}
"""Seconds in which a fine-tuning should end, on whatever computer."""

FEW_IMAGES = 8
"""With fewer a strip of each is kept apart: every image that is not learnt from is missed."""


def learnt_count(dataset: CocoDataset, config: TrainConfig) -> int:
    """How many of the corrected images are learnt from, those with a strip kept apart included.

    Raises
    ------
    UserError
        As `training.data.sides_of`.
    """
    return len(sides_sparing_few(dataset, config, Monitor(), FEW_IMAGES).training)
