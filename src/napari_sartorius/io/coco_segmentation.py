"""Decode the ``segmentation`` entries of one image's annotations, whatever form each has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.io.polygons import as_polygon, polygons_to_counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


def decode_segmentations(
    segmentations: Sequence[Any], names: Sequence[str], image_size: tuple[int, int]
) -> CropMasks:
    """Make masks from compressed RLE, uncompressed RLE and polygons, in any mixture.

    Parameters
    ----------
    segmentations
        One entry per object: an RLE dict, or a list of polygons.
    names
        How to call each object in messages, for example ``"cells.json: annotation 7"``.
    image_size
        Height and width.

    Returns
    -------
    CropMasks
        As many masks, in order; faithful, with holes and overlaps.

    Raises
    ------
    UserError
        Naming the first object that cannot be decoded.
    """
    codes: list[Any] = []
    polygons: list[NDArray[np.float64]] = []
    owners: list[int] = []
    for i, (entry, name) in enumerate(zip(segmentations, names, strict=True)):
        if isinstance(entry, dict):
            codes.append(entry)
            continue
        codes.append(None)
        if not isinstance(entry, list) or not entry:
            raise UserError(
                f"{name} has no outline: expected a 'segmentation' with polygons or a "
                "run-length code; draw it, or let `data check --fix` drop the annotation."
            )
        # Some programs forget the outer list when an object has a single polygon.
        for part in [entry] if isinstance(entry[0], int | float) else entry:
            try:
                polygons.append(as_polygon(part))
            except (ValueError, TypeError) as error:
                raise UserError(
                    f"{name}: {error}; correct or remove the annotation, or let "
                    "`data check --fix` drop it."
                ) from error
            owners.append(i)
    if polygons:
        counts = polygons_to_counts(polygons, owners, len(codes), image_size)
        for i in set(owners):
            codes[i] = {"size": list(image_size), "counts": counts[i]}
    return _decode(codes, names, image_size)


def _decode(codes: list[Any], names: Sequence[str], image_size: tuple[int, int]) -> CropMasks:
    try:
        return CropMasks.from_rle(codes, image_size)
    except ValueError as error:
        # All at once is fast but does not know names: decode one by one to find the culprit.
        for code, name in zip(codes, names, strict=True):
            try:
                CropMasks.from_rle([code], image_size)
            except ValueError as reason:
                why = str(reason).partition("cannot be read: ")[2] or str(reason)
                raise UserError(
                    f"{name} has a damaged run-length code: {why.rstrip('.')}; "
                    "correct or remove the annotation, or let `data check --fix` drop it."
                ) from error
        raise
