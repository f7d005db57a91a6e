"""What a card says of a model's second level, ``rescorer.cbm``, and how it is used."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class RescorerCard(BaseModel):
    """The second level: a regressor of each object's IoU with the truth, ``rescorer.cbm``.

    Parameters
    ----------
    sha256
        Checksum of the file.
    min_predicted_iou
        By category name, 0..1: objects of which less is expected are dropped.
    rank
        What becomes the score of an object: its own score, the predicted IoU, or their product.
        Where masks overlap the pixels go to the object of higher score.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    min_predicted_iou: dict[str, Fraction] = Field(default_factory=dict)
    rank: Literal["score", "predicted_iou", "product"] = "score"
