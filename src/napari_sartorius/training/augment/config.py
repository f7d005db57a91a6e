"""Which random changes a training crop gets, and how strong they are."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class AugmentConfig(BaseModel):
    """Random changes of a training crop. Flips and quarter turns are always on.

    Parameters
    ----------
    scale
        Smallest and largest zoom, drawn log-uniformly.
    contrast, brightness
        Largest relative gain and largest shift (in network units, where an image spans about 4).
    gamma
        Largest exponent of a random monotone bend of the grey levels; 1 is off.
    noise
        Largest standard deviation of added Gaussian noise, network units.
    colour
        Largest share of each channel that comes from another one: stains differ between labs. No
        effect on grey images.
    invert
        Probability of turning bright into dark.
    """

    model_config = ConfigDict(extra="forbid")

    scale: tuple[float, float] = (0.8, 1.25)
    contrast: float = Field(default=0.25, ge=0, lt=1)
    brightness: float = Field(default=0.25, ge=0)
    gamma: float = Field(default=1.3, ge=1)
    noise: float = Field(default=0.15, ge=0)
    colour: float = Field(default=0.0, ge=0, le=1)
    invert: float = Field(default=0.0, ge=0, le=1)
