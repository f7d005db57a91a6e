"""Parts of a stage ``train``: how long it lasts, and which further images it learns from."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

RULES = ConfigDict(extra="forbid", frozen=True)
"""An entry of a recipe says nothing that is unknown, and stays as it is."""


class Epochs(BaseModel):
    """A schedule in passes over the images, for recipes whose authors counted so.

    One epoch is as many crops as there are training images.

    Parameters
    ----------
    total
        Length of the run.
    warmup
        Share of it in which the rate rises.
    decay
        Epochs after which the rate falls, with the schedule ``steps``.
    validate_every
        Epochs between validations.
    """

    model_config = RULES

    total: float = Field(gt=0)
    warmup: float = Field(default=0.0, ge=0, lt=1)
    decay: tuple[float, ...] = ()
    validate_every: float = Field(default=1.0, gt=0)


class Mixture(BaseModel):
    """Images that a stage learns from beside its own.

    Parameters
    ----------
    images
        ``pretrain``, or ``stage:NAME`` for what a stage ``pseudo_labels`` has labelled.
    categories
        Their category -> ours. Other categories of the same name are kept; an image that shows
        one without a name here is left out, as its cells would be learnt as background.
    categories_from
        As in `TrainStage`, before `categories` names them.
    share
        Of the crops at the beginning, 0..1; None as many as there are images.
    decay
        ``none`` keeps the share; ``linear`` lets it fall to zero at `until`; ``counts`` takes so
        many further images per epoch as the 11th Sartorius place did (see `mixture.image_counts`).
    until
        Part of the run after which the linear share is zero.
    most
        With ``counts``: most images of an epoch.
    """

    model_config = RULES

    images: str
    categories: dict[str, str] = {}
    categories_from: str | None = None
    share: float | None = Field(default=None, gt=0, lt=1)
    decay: Literal["none", "linear", "counts"] = "none"
    until: float = Field(default=1.0, gt=0, le=1)
    most: int = Field(default=800, ge=1)

    @model_validator(mode="after")
    def _linear_needs_a_share(self) -> Self:
        if self.decay == "linear" and self.share is None:
            raise ValueError("decay linear needs a share to begin with")
        return self
