"""From where on something counts as wrong."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class DoctorConfig(BaseModel):
    """Limits of the checks.

    Parameters
    ----------
    doubled_iou
        Two masks of an image that overlap by more are one cell drawn twice.
    hollow_share
        A mask is hollow when its holes take a larger share of what it encloses, 0..1. Holes of a
        pixel or two are usual and harmless.
    stripe_share
        A mask is striped when gaps of one or two pixels between its runs make up more of its
        area: the mark of a polygon that was filled the wrong way.
    background_share
        An object that covers more of its image is no cell, but the background or all cells at once.
    giant_share
        One that covers more is worth a look.
    alone_share, alone_factor
        An only object that covers more than this share of its image is no cell when its area is
        this many times that of other cells: of the same category in the other images, else of the
        model that is trained further.
    alone_evidence
        Fewest objects in the other images for these to tell how large cells are.
    many_parts
        An only object of so many parts is a foreground mask, not a cell.
    some_parts
        It may be one from so many parts on where no image has several objects.
    scale_factor
        An image is wrongly scaled when the median diameter of its cells differs from that of the
        other images of its kind by a larger factor.
    scale_images, scale_objects
        Fewest images of a kind, and cells of an image, for that to say something.
    model_factor
        The same between the data and the model that is trained further.
    group_fields
        Fields of an image's record that name what must not be on both sides of a split. Wells of
        the same name on two plates are two.
    quick_images
        Before a training, so many images (spread evenly) have their masks looked at.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    doubled_iou: float = Field(default=0.9, gt=0, le=1)
    hollow_share: float = Field(default=0.075, ge=0, lt=1)
    stripe_share: float = Field(default=0.1, ge=0)
    background_share: float = Field(default=0.8, gt=0, le=1)
    giant_share: float = Field(default=0.5, gt=0, le=1)
    alone_share: float = Field(default=0.2, gt=0, le=1)
    alone_factor: float = Field(default=20.0, gt=1)
    alone_evidence: int = Field(default=3, ge=1)
    many_parts: int = Field(default=10, ge=2)
    some_parts: int = Field(default=3, ge=2)
    scale_factor: float = Field(default=2.5, gt=1)
    scale_images: int = Field(default=5, ge=2)
    scale_objects: int = Field(default=5, ge=1)
    model_factor: float = Field(default=3.0, gt=1)
    group_fields: tuple[str, ...] = ("group", "plate_well", "well", "field")
    quick_images: int = Field(default=400, ge=1)
