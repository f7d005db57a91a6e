"""Lists of filters that published solutions used, to put into a card or to repeat their scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from napari_sartorius.postprocess import filter_config as fc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SARTORIUS = ("shsy5y", "astro", "cort")


def theoviel(
    *,
    scores: Sequence[float] = (0.3, 0.4, 0.65),
    nms: Sequence[float] = (0.1, 0.1, 0.15),
    min_sizes: Sequence[int] = (0, 0, 0),
    convex_polygons: bool = False,
    names: Sequence[str] = SARTORIUS,
    compat: Literal["theoviel"] | None = None,
) -> tuple[fc.FilterConfig, ...]:
    """Order of the 11th place: score, mask NMS, small masks, faulty outlines, overlap.

    The defaults are those of its final pass over all images; the best thresholds in its
    cross-validation were NMS (.1, .1, .05), scores (.3, .4, .7) and sizes (0, 150, 75). It made
    masks of probabilities above .45.

    Parameters
    ----------
    scores, nms, min_sizes
        Per category, in the order of `names`. A mask of exactly the minimum size goes, too.
    convex_polygons
        Whether astrocytes are redrawn as in the faulty annotations; the original does.
    names
        Names of the categories.
    compat
        With ``"theoviel"`` only the smallest of the small masks goes, as in the original.
    """
    sizes = {
        name: float(size if compat else size + 1)
        for name, size in zip(names, min_sizes, strict=True)
        if size
    }
    steps: list[fc.FilterConfig] = [
        fc.ScoreFilter(minimum=_named(names, scores)),
        fc.MaskNmsFilter(iou=_named(names, nms)),
    ]
    if sizes:
        steps.append(fc.MinSizeFilter(pixels=sizes, compat=compat))
    if convex_polygons:
        steps.append(fc.ConvexPolygonsFilter(only=("astro",)))
    return (*steps, fc.RemoveOverlapFilter())


def mistag(
    shortest: float | Mapping[str, float] = 10.5, *, compat: Literal["mistag"] | None = None
) -> tuple[fc.FilterConfig, ...]:
    """Filters of the public weighted segments fusion: length, then overlaps and chopped objects.

    Parameters
    ----------
    shortest
        Smallest major axis in pixels, for all or by category; the author found 10.6 to 12.2 px in
        the annotations and took 10 to 11 px for safe.
    compat
        With ``"mistag"`` as the original: masks keep all their parts and holes, and one with a hole
        or two parts counts as chopped.
    """
    limit = dict(shortest) if not isinstance(shortest, float | int) else float(shortest)
    tidy = () if compat else (fc.FillHolesFilter(), fc.LargestComponentFilter())
    return (
        *tidy,
        fc.ShapeFilter(feature="major_axis", minimum=limit),
        fc.ChoppedFilter(compat=compat),
    )


def t4e(
    *,
    scores: Sequence[float] = (0.5, 0.7, 0.8),
    nms: float = 0.1,
    min_sizes: Sequence[int] = (70, 120, 50),
    names: Sequence[str] = SARTORIUS,
) -> tuple[fc.FilterConfig, ...]:
    """Filters of the 7th place: score, mask NMS, and a smallest area per category.

    Its second level drops objects between the two last; a model applies its own where it has one.
    """
    return (
        fc.ScoreFilter(minimum=_named(names, scores)),
        fc.MaskNmsFilter(iou=nms),
        fc.RemoveOverlapFilter(min_size=_named(names, min_sizes)),
    )


def _named(names: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    return dict(zip(names, map(float, values), strict=True))
