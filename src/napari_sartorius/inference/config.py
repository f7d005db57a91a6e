"""The one object that says how to segment, so that a click, a command and a call mean the same.

It is a frozen pydantic model without torch, small enough to be written into every output as
provenance and read back to repeat a run.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from napari_sartorius.core.channels import ChannelChoice

Preset = Literal["fast", "balanced", "best"]
Fraction = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]

SMALLEST_TILE = 64
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


class SegmentConfig(BaseModel):
    """How to segment one or many images.

    Every limit that can drop an object is here. ``None`` means "as the model's card says".

    Attributes
    ----------
    model
        Name of a model in the catalogue, or the path of a bundle (folder or zip).
    cell_type
        ``"auto"`` decides by the confident detections of each image; a category name keeps that
        category only.
    preset
        ``fast`` looks at the image once, ``balanced`` also at its mirror image, ``best`` at all
        four flips.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:1`` ... or ``mps``.
    precision
        Arithmetic of the network; ``auto`` takes bfloat16 only where it is known to help and the
        model's card allows it. ``mixed`` finds the same objects as ``float32`` and draws their
        masks in bfloat16 where that is faster.
    diameter
        Typical cell diameter in this image, in pixels. The image is rescaled so that cells look
        to the network as large as those it was trained on.
    pixel_size
        Pixel size of the image in micrometres; used the same way when no diameter is given.
    min_score
        Lowest score of a kept object, 0..1, for all categories without an entry below.
    score_thresholds
        Lowest score per category name; wins over `min_score`.
    min_size
        Smallest mask to keep, in pixels of the input image.
    mask_nms
        Mask IoU, 0..1, from which the lower-scored of two objects is dropped.
    box_nms
        IoU, 0..1, from which the lower-scored of two *boxes* of one category is dropped before
        masks are predicted; 0.5 where the card does not say.
    max_objects_per_tile
        Most objects the network may return for one tile; 1000 where the card does not say. A tile
        that reaches it is split when tiles are automatic; where that is not possible it is
        reported. A limit of the card's own never splits: the model finds what it found where it
        comes from.
    tile
        Edge of the square tiles in input pixels, ``"auto"`` to plan them from memory and split
        those with too many objects, ``"off"`` for the whole image at once.
    channel
        Index of the channel of a colour image, ``"luminance"``, ``"hematoxylin"`` (nuclei of
        stained tissue), or ``"auto"`` (the one channel that there is, all three for a colour
        model, else luminance).
    rescore
        Whether the model's second level, where it has one, predicts how well each mask fits, and
        drops and ranks objects by it; ``auto`` does so with the preset ``best``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    model: str = Field(default="neurons", min_length=1)
    cell_type: str = Field(default="auto", min_length=1)
    preset: Preset = "balanced"
    device: str = "auto"
    precision: Literal["auto", "float32", "mixed", "bfloat16"] = "auto"
    diameter: Positive | None = None
    pixel_size: Positive | None = None
    min_score: Fraction | None = None
    score_thresholds: dict[str, Fraction] = Field(default_factory=dict)
    min_size: Annotated[int, Field(ge=0)] | None = None
    mask_nms: Fraction | None = None
    box_nms: Fraction | None = None
    max_objects_per_tile: Annotated[int, Field(ge=1)] | None = None
    tile: Literal["auto", "off"] | int = "auto"
    channel: ChannelChoice = "auto"
    rescore: bool | Literal["auto"] = "auto"

    @field_validator("device")
    @classmethod
    def _known_device(cls, value: str) -> str:
        if not _DEVICE.fullmatch(value):
            raise ValueError(
                f"unknown device {value!r}; use auto, cpu, mps, cuda or cuda:N (for example cuda:0)"
            )
        return value

    @field_validator("tile")
    @classmethod
    def _usable_tile(cls, value: str | int) -> str | int:
        if isinstance(value, int) and value < SMALLEST_TILE:
            raise ValueError(f"a tile of {value} pixels is too small; use {SMALLEST_TILE} or more")
        return value

    @field_validator("channel")
    @classmethod
    def _channel_from_zero(cls, value: str | int) -> str | int:
        if isinstance(value, int) and value < 0:
            raise ValueError(f"channel {value} does not exist; channels count from 0")
        return value

    def to_json(self) -> str:
        """Return the configuration as JSON text that :meth:`from_json` reads back."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str) -> SegmentConfig:
        """Read what :meth:`to_json` wrote; raises pydantic's ``ValidationError`` otherwise."""
        return cls.model_validate_json(text)
