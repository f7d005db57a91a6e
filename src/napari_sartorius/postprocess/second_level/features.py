"""The table that the second level learns from: one row per object, as at the 7th place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_sartorius.core.mask_confidence import NAMES as CONFIDENCE
from napari_sartorius.postprocess.second_level import names
from napari_sartorius.postprocess.second_level.contours import contour_features
from napari_sartorius.postprocess.second_level.intensities import intensity_features
from napari_sartorius.postprocess.second_level.neighbours import neighbour_features
from napari_sartorius.postprocess.second_level.overlaps import overlap_features

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.core.instances import Instances
    from napari_sartorius.postprocess.second_level.intensities import GreyLevels

    Table = dict[str, NDArray[np.float64]]

_LENGTHS = (
    *names.OBJECT[3:9],
    *(n for n in names.CONTOUR if n in ("equi_diameter", "perimeter") or "axis" in n),
    "centroid_x",
    "centroid_y",
)
_AREAS = ("mask_area", "box_area", "hull_area")


def object_features(
    instances: Instances,
    image: NDArray[Any] | GreyLevels | None = None,
    *,
    scale: float = 1.0,
    compat: Literal["t4e"] | None = None,
) -> Table:
    """Measure each object, what is in it and what is around it.

    Parameters
    ----------
    instances : Instances
        Objects of one image, as they are to be rescored. Their columns `mask_confidence.NAMES`
        become the ``*_pixel_score`` features, those of `names.AGREEMENT` stay what they are.
    image : (H, W) or function, optional
        Grey levels, or what gives them for pixels, on the scale that the second level was taught
        with.
    scale : float
        Pixels of the image per pixel of the network's input: lengths and areas are divided by it,
        so that a second level holds for images of any magnification.
    compat : {"t4e"}, optional
        Counts of neighbours and overlaps as in the original, see `neighbours` and `overlaps`.

    Returns
    -------
    dict of str to (N,) float64
        The `names.CANDIDATES` in their order, then those of `names.AGREEMENT` that the objects
        have. Not-a-number for what is not known.

    Raises
    ------
    UserError
        When OpenCV is missing.
    ValueError
        When the image has another size.
    """
    if isinstance(image, np.ndarray) and image.shape != instances.image_size:
        raise ValueError(f"expected an image of {instances.image_size}, got {image.shape}")
    masks = instances.masks
    unknown = np.full(len(instances), np.nan)
    areas = masks.area()
    table = _own(instances, areas) | overlap_features(masks, areas, compat)
    table["aspect_ratio"] = _ratio(table["width"], table["height"])
    table["extent"] = _ratio(areas.astype(np.float64), table["box_area"])
    table |= contour_features(masks)
    for feature, column in zip(names.PIXEL_SCORE, CONFIDENCE, strict=True):
        table[feature] = _column(instances, column, unknown)
    if image is None:
        table |= dict.fromkeys(names.INTENSITY, unknown)
    else:
        table |= intensity_features(masks, image)
    _rescale(table, scale)
    places = np.stack([table["centroid_x"], table["centroid_y"]], axis=1)
    empty = np.isnan(places).any(axis=1)
    places[empty] = (instances.boxes.reshape(-1, 2, 2).mean(axis=1) / scale)[empty]
    table |= neighbour_features(places, table["mask_area"], instances.scores, compat)
    table["cell_type"] = instances.categories.astype(np.float64)
    for column in names.AGREEMENT:
        if column in instances.columns:
            table[column] = _column(instances, column, unknown)
    return table


def _own(instances: Instances, areas: NDArray[np.int64]) -> Table:
    boxes = instances.boxes.astype(np.float64)
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    columns = (
        instances.scores.astype(np.float64),
        areas.astype(np.float64),
        width * height,
        *boxes.T,
        width,
        height,
        np.full(len(boxes), float(len(boxes))),
    )
    return dict(zip(names.OBJECT, columns, strict=True))


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = np.full(len(above), np.nan)
    np.divide(above, below, out=result, where=below > 0)
    return result


def _column(instances: Instances, name: str, otherwise: NDArray[np.float64]) -> NDArray[np.float64]:
    if name not in instances.columns:
        return otherwise
    return instances.columns[name].astype(np.float64)


def _rescale(table: Table, scale: float) -> None:
    if scale == 1.0:
        return
    for name in _LENGTHS:
        # Where no ellipse fits, -1 stands for that at any scale.
        table[name] = np.where(table[name] == -1, -1, table[name] / scale)
    for name in _AREAS:
        table[name] = table[name] / scale**2
