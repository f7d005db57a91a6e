"""How a second level is taught and used: one frozen object, kept in the rescorer's file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_sartorius.inference.config import Preset

Fraction = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]


class RescoreConfig(BaseModel):
    """How to teach a second level.

    Attributes
    ----------
    preset
        How often the model looks at each image; the second level is meant for what this finds.
    device
        As in `SegmentConfig`.
    folds
        Parts of the images; each is predicted by a second level taught on the others, and the
        figures are those of these predictions.
    group
        Key of the image records that tells which images belong together (same field, same well):
        they stay in one fold. Images without it stand alone.
    min_predicted_iou
        Objects of which less is expected are dropped; one for all, or by category name.
    rank
        What becomes the score, see `postprocess.second_level.rescoring.Rank`.
    trees, depth, learning_rate, l2
        Of the regressor; the 7th place's by default.
    seed
        Of folds and regressor.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    preset: Preset = "best"
    device: str = "auto"
    folds: Annotated[int, Field(ge=2)] = 5
    group: str = "group"
    min_predicted_iou: Fraction | dict[str, Fraction] = 0.3
    rank: Literal["score", "predicted_iou", "product"] = "score"
    trees: Annotated[int, Field(ge=1)] = 700
    depth: Annotated[int, Field(ge=1, le=16)] = 2
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.02
    l2: Annotated[float, Field(ge=0)] = 1.0
    seed: int = 67

    def limits(self, names: list[str]) -> dict[str, float]:
        """Smallest predicted IoU of each category."""
        value = self.min_predicted_iou
        if isinstance(value, dict):
            return {name: value.get(name, 0.0) for name in names}
        return dict.fromkeys(names, value)
