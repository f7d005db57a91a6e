"""Filters as data: what a model's card says about which objects are kept, without running it.

A card holds a list of these; `filters.apply` runs them in the order of the list. Sizes and lengths
are in pixels of the network's input, as all sizes in a card.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Size = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]

PerCategory = Number | dict[str, Number]
"""One number for all categories, or numbers by category name; the filter leaves others alone."""

Shape = Literal[
    "area", "major_axis", "minor_axis", "axis_ratio", "solidity", "extent", "hu_0", "hu_1"
]
"""What `core.shape_features` measures, as far as filters go by it of a mask."""


class _Filter(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    def named_categories(self) -> set[str]:
        """Categories that occur in this filter."""
        named: set[str] = set()
        for value in dict(self).values():
            if isinstance(value, dict | tuple):
                named.update(value)
        return named


class ScoreFilter(_Filter):
    """Keep objects of at least this score, 0..1."""

    filter: Literal["score"] = "score"
    minimum: Fraction | dict[str, Fraction]


class MaskNmsFilter(_Filter):
    """Drop objects that overlap a better one by more than this mask IoU, 0..1."""

    filter: Literal["mask_nms"] = "mask_nms"
    iou: Fraction | dict[str, Fraction]
    within_category: bool = False


class MinSizeFilter(_Filter):
    """Keep objects of at least so many pixels.

    With ``compat="theoviel"`` as the 11th place's code does it: of the masks of at most so many
    pixels only the smallest goes, together with those of its very size.
    """

    filter: Literal["min_size"] = "min_size"
    pixels: Size | dict[str, Size]
    compat: Literal["theoviel"] | None = None


class LargestComponentFilter(_Filter):
    """Keep of each object of these categories (all when empty) its largest part."""

    filter: Literal["largest_component"] = "largest_component"
    only: tuple[str, ...] = ()


class FillHolesFilter(_Filter):
    """Fill the holes of each object of these categories (all when empty)."""

    filter: Literal["fill_holes"] = "fill_holes"
    only: tuple[str, ...] = ()


class ShapeFilter(_Filter):
    """Keep objects whose shape is within limits, which may be left out on either side.

    The published rule is a smallest `major_axis`, the 1 % percentile of the annotations.
    """

    filter: Literal["shape"] = "shape"
    feature: Shape
    minimum: PerCategory | None = None
    maximum: PerCategory | None = None

    @model_validator(mode="after")
    def _has_a_limit(self) -> ShapeFilter:
        if self.minimum is None and self.maximum is None:
            raise ValueError("a shape filter needs a minimum, a maximum or both")
        return self


class OverlappedFilter(_Filter):
    """Drop objects of which more than this share, 0..1, lies under better objects (6th place)."""

    filter: Literal["overlapped"] = "overlapped"
    most: Fraction | dict[str, Fraction]


class ConvexPolygonsFilter(_Filter):
    """Redraw the outlines of these categories (all when empty) as the faulty annotations were.

    Some Sartorius annotations were drawn by filling polygons that are not convex as if they were,
    which leaves stripes and fills holes. Masks damaged in the same way score higher against such
    annotations (11th place: +0.002) and are worse masks: for matching those labels only.
    """

    filter: Literal["convex_polygons"] = "convex_polygons"
    only: tuple[str, ...] = ()


class RemoveOverlapFilter(_Filter):
    """Leave every pixel to the object of highest score, and drop what is left of fewer pixels."""

    filter: Literal["remove_overlap"] = "remove_overlap"
    min_size: Size | dict[str, Size] = 1


class ChoppedFilter(_Filter):
    """Remove overlaps, and drop objects of which that leaves too little.

    In order of scores each object gives up the pixels of kept ones; of the rest its largest part
    counts. When more than `most_lost`, 0..1, is gone, the object is dropped and its pixels stay
    free for the next. With ``compat="mistag"`` it is dropped unless the rest has exactly one
    outline, so holes and loose pixels drop it too, whatever `most_lost` says.
    """

    filter: Literal["chopped"] = "chopped"
    most_lost: Fraction | dict[str, Fraction] = 0.5
    compat: Literal["mistag"] | None = None


FilterConfig = Annotated[
    ScoreFilter
    | MaskNmsFilter
    | MinSizeFilter
    | LargestComponentFilter
    | FillHolesFilter
    | ShapeFilter
    | OverlappedFilter
    | ConvexPolygonsFilter
    | RemoveOverlapFilter
    | ChoppedFilter,
    Field(discriminator="filter"),
]
"""One entry of a card's list; its key ``filter`` says which."""

_LIST: TypeAdapter[tuple[FilterConfig, ...]] = TypeAdapter(tuple[FilterConfig, ...])


def read_filters(data: Iterable[object]) -> tuple[FilterConfig, ...]:
    """Filters from plain data, as a card's JSON has them.

    Raises
    ------
    ValidationError
        When an entry names no filter, an unknown key or a value out of range.
    """
    return _LIST.validate_python(tuple(data))


def unknown_categories(filters: Iterable[FilterConfig], names: Sequence[str]) -> set[str]:
    """Categories that filters name but `names` does not."""
    named: set[str] = set().union(*(one.named_categories() for one in filters))
    return named - set(names)
