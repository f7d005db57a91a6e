"""What the options of all fusion strategies have in common; pydantic without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from napari_sartorius.ensemble.looks import Strategy

Share = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
"""0 to 1."""

Overlap = Annotated[float, Field(ge=0.05, le=1.0, allow_inf_nan=False)]
"""Intersection over union that two objects must exceed to be the same; 1 joins nothing."""


class FusionOptions(BaseModel):
    """How objects of several looks become one set; frozen, and unknown keys are refused.

    Every strategy adds a field ``strategy`` with its name, which tells the options apart.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    def build(self) -> Strategy:
        """The function that fuses by these options."""
        raise NotImplementedError
