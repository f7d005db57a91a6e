"""Which random changes a training crop gets, and how strong they are.

Grey levels are in network units: the normalisation of most models brings the 1st and the 99th
percentile of an image to -2 and 2, so that 4 units are what a screen shows from black to white.
Lengths are in pixels of the image. Probabilities are per crop.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

Probability = Annotated[float, Field(ge=0, le=1)]


class MosaicConfig(BaseModel):
    """Four tiles of images of the same category in one crop (Bochkovskiy et al. 2020).

    Both are off: the authors who made them for cells found no gain (see the guide).

    Parameters
    ----------
    fixed
        Probability of four equal tiles: two of turned images, two of transposed ones.
    random
        Probability of tiles that meet in a random place near the middle.
    angle
        Largest rotation of the turned tiles, degrees.
    smallest_box
        Objects whose box in a tile has fewer pixels are left out.
    """

    model_config = ConfigDict(extra="forbid")

    fixed: Probability = 0.0
    random: Probability = 0.0
    angle: float = Field(default=175.0, ge=0, le=180)
    smallest_box: int = Field(default=30, ge=0)

    @model_validator(mode="after")
    def _at_most_one(self) -> MosaicConfig:
        if self.fixed + self.random > 1:
            raise ValueError("the probabilities of the two mosaics must not exceed 1 together")
        return self


class MixUpConfig(BaseModel):
    """Two crops shine through each other, with the objects of both (Zhang et al. 2018, 2019).

    Parameters
    ----------
    probability
        Off: no gain for cells (see the guide).
    alpha
        The share of the first crop is drawn from a beta distribution with both parameters so.
    least_share
        Objects of a crop that is fainter than this are not taught.
    """

    model_config = ConfigDict(extra="forbid")

    probability: Probability = 0.0
    alpha: float = Field(default=1.5, gt=0)
    least_share: float = Field(default=0.25, ge=0, le=0.5)


class FlipPasteConfig(BaseModel):
    """The mean of a crop and its mirror image, with the objects of both.

    From the 11th place of the Sartorius challenge, which used it for cortical neurons with a
    probability of 0.3.

    Parameters
    ----------
    probability
        How often.
    categories
        0-based categories; a crop all of whose objects are of these is changed. Empty for any.
    min_visibility
        Objects are left out when less than this share of their pixels lies inside the crop.
    """

    model_config = ConfigDict(extra="forbid")

    probability: Probability = 0.0
    categories: tuple[int, ...] = ()
    min_visibility: float = Field(default=0.25, ge=0, le=1)


class CopyPasteConfig(BaseModel):
    """Objects of another crop are pasted over this one (Ghiasi et al. 2021), edges unblended.

    Parameters
    ----------
    probability
        How often.
    share
        Probability of each object of the other crop to be pasted.
    categories
        0-based categories of the objects that may be pasted; empty for any.
    min_visibility
        Objects of which less than this share is left uncovered are no longer taught.
    """

    model_config = ConfigDict(extra="forbid")

    probability: Probability = 0.0
    share: float = Field(default=0.5, gt=0, le=1)
    categories: tuple[int, ...] = ()
    min_visibility: float = Field(default=0.25, ge=0, le=1)


class AugmentConfig(BaseModel):
    """Random changes of a training crop.

    Parameters
    ----------
    scale
        Smallest and largest zoom, drawn log-uniformly.
    short_edges
        In place of `scale`: sides in pixels, of which one is drawn; the zoom is the one that would
        bring the shorter side of the whole image to it (detectron2's multi-scale training).
    relative_crop
        In place of `scale`: the crop shows a square whose side is this share of the image's shorter
        side, whatever zoom that takes.
    flip, turn
        Probability of each of the two mirrorings, and of exchanging rows and columns; with one half
        all eight flips and quarter turns come equally often.
    rotate
        Largest rotation of any angle, degrees; 0 is off. Beyond the image its border is repeated.
    min_visibility
        Objects are left out when less than this share of their pixels lies inside the crop.
    contrast, brightness
        Largest relative gain and largest shift (in network units, where an image spans about 4).
    gamma
        Largest exponent of a random monotone bend of the grey levels; 1 is off.
    noise
        Largest standard deviation of Gaussian noise, network units, added to every second crop.
    colour
        Largest share of each channel that comes from another one: stains differ between labs. No
        effect on grey images.
    invert
        Probability of turning bright into dark.
    blur, gaussian_blur, median_blur, motion_blur
        Probability of each blur.
    blur_size
        Largest side of their kernels, pixels.
    clahe, sharpen, emboss
        Probability of local histogram equalisation, of stronger edges, and of relief.
    mosaic, mixup, flip_paste, copy_paste
        What joins several crops.
    """

    model_config = ConfigDict(extra="forbid")

    scale: tuple[float, float] = (0.8, 1.25)
    short_edges: tuple[int, ...] = ()
    relative_crop: float | None = Field(default=None, gt=0, le=1)
    flip: Probability = 0.5
    turn: Probability = 0.5
    rotate: float = Field(default=0.0, ge=0, le=180)
    min_visibility: float = Field(default=0.0, ge=0, le=1)
    contrast: float = Field(default=0.25, ge=0, lt=1)
    brightness: float = Field(default=0.25, ge=0)
    gamma: float = Field(default=1.3, ge=1)
    noise: float = Field(default=0.15, ge=0)
    colour: float = Field(default=0.0, ge=0, le=1)
    invert: Probability = 0.0
    blur: Probability = 0.0
    gaussian_blur: Probability = 0.0
    median_blur: Probability = 0.0
    motion_blur: Probability = 0.0
    blur_size: int = Field(default=7, ge=3, le=31)
    clahe: Probability = 0.0
    sharpen: Probability = 0.0
    emboss: Probability = 0.0
    mosaic: MosaicConfig = MosaicConfig()
    mixup: MixUpConfig = MixUpConfig()
    flip_paste: FlipPasteConfig = FlipPasteConfig()
    copy_paste: CopyPasteConfig = CopyPasteConfig()

    @model_validator(mode="after")
    def _one_zoom(self) -> AugmentConfig:
        if self.short_edges and self.relative_crop is not None:
            raise ValueError("short_edges and relative_crop both decide the zoom; give one of them")
        if any(edge < 32 for edge in self.short_edges):
            raise ValueError("short_edges must be at least 32 pixels")
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError("scale is the smallest and the largest zoom, both above 0")
        return self
