"""How thresholds are tuned: one frozen object."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from napari_sartorius.evaluation.competition import Variant
from napari_sartorius.inference.config import Preset

Fraction = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]


def _steps(low: float, high: float, step: float) -> tuple[float, ...]:
    return tuple(np.round(np.arange(low, high + step / 2, step), 3).tolist())


class TuningConfig(BaseModel):
    """How to tune.

    Attributes
    ----------
    preset
        How often the model looks at each image; the thresholds are meant for what this finds.
    device
        As in `SegmentConfig`.
    folds
        Parts of the images; each is measured with thresholds that were tuned on the others.
    group
        Key of the image records that tells which images belong together (same field, same well):
        they stay in one fold. Images without it stand alone.
    trials
        Combinations tried for each category and fold.
    variant
        Of the competition score, which is to be made as large as possible.
    scores, masks, overlaps
        Values tried for the smallest score, the mask probability and the largest mask IoU with a
        better object; those of the card are always tried as well. The networks are asked for
        objects down to the smallest score.
    sizes
        Values tried for the smallest object, pixels at the model's own scale; None goes in 15
        steps up to half the area of a disc of the typical diameter.
    predicted_ious
        Values tried for the smallest predicted IoU, where the preset uses a second level.
    only_better
        A category keeps its values where those tuned on the other folds are no better than them on
        the fold that was left out. With few images the search finds what suits these by chance.
    seed
        Of folds and search.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    preset: Preset = "balanced"
    device: str = "auto"
    folds: Annotated[int, Field(ge=2)] = 5
    group: str = "group"
    trials: Annotated[int, Field(ge=1)] = 150
    variant: Variant = "corrected"
    scores: Annotated[tuple[Fraction, ...], Field(min_length=1)] = _steps(0.1, 0.9, 0.025)
    masks: Annotated[tuple[Fraction, ...], Field(min_length=1)] = _steps(0.3, 0.6, 0.05)
    overlaps: Annotated[tuple[Fraction, ...], Field(min_length=1)] = _steps(0.05, 0.6, 0.05)
    sizes: Annotated[tuple[int, ...], Field(min_length=1)] | None = None
    predicted_ious: Annotated[tuple[Fraction, ...], Field(min_length=1)] = _steps(0.0, 0.8, 0.05)
    only_better: bool = True
    seed: int = 67

    def sizes_for(self, diameter: float) -> tuple[int, ...]:
        """Smallest sizes that are tried for cells of this diameter (pixels)."""
        if self.sizes is not None:
            return self.sizes
        largest = max(15.0, np.pi / 8 * diameter**2)
        return tuple(np.unique(np.linspace(0, largest, 16).round().astype(int)).tolist())
