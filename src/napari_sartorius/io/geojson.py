"""Objects as GeoJSON, the form in which QuPath takes them in and gives them out.

Outlines run along pixel edges, so ten exports and imports leave every pixel where it was.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.categories import Category, default_colour
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.rings import masks_of, rings_of, with_holes
from napari_sartorius.io.atomic import write_text
from napari_sartorius.io.coco import read_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_NAMESPACE = "sartorius"


def write_geojson(path: str | Path, instances: Instances, categories: Sequence[Category]) -> None:
    """Write the objects of one image as a GeoJSON feature collection.

    Parameters
    ----------
    path
        The ``.geojson`` to make or replace, atomically.
    instances
        Objects. Those in several parts become multi-polygons, holes are kept, empty ones are left
        out because a polygon cannot be empty.
    categories
        By category index; QuPath shows them as classifications in their colours.

    Raises
    ------
    UserError
        When the file cannot be written.
    """
    features = []
    for i, rings in enumerate(rings_of(instances.masks)):
        if rings:
            features.append(_feature(instances, i, with_holes(rings), categories))
    document = {"type": "FeatureCollection", "features": features}
    write_text(path, json.dumps(document) + "\n")


def read_geojson(path: str | Path, image_size: tuple[int, int]) -> tuple[Instances, list[Category]]:
    """Read polygons and multi-polygons of a GeoJSON file as objects of an image.

    Parameters
    ----------
    path
        A feature collection, a list of features as QuPath writes it, or one feature. Other shapes
        than polygons (points, lines) are no objects and are refused.
    image_size
        Height and width; parts outside are cut off.

    Returns
    -------
    Instances
        A pixel belongs to an object when its centre is inside.
    list of Category
        In the order in which they occur; one called ``cell`` for objects without a classification.

    Raises
    ------
    UserError
        Naming the file and the feature that cannot be read.
    """
    path = Path(path)
    content = read_json(path)
    found = content.get("features", [content]) if isinstance(content, dict) else content
    if not isinstance(found, list):
        raise UserError(f"{path} is no GeoJSON: expected a list of features; choose another file.")
    categories: dict[str, Category] = {}
    rings, scores, numbers = [], [], []
    for n, feature in enumerate(found, start=1):
        where = f"{path}: feature {n}"
        rings.append(_rings(feature, where))
        properties = feature.get("properties") or {}
        name, colour = _classification(properties)
        if name not in categories:
            free = default_colour(len(categories))
            categories[name] = Category(len(categories) + 1, name, colour or free)
        numbers.append(list(categories).index(name))
        score = (properties.get(_NAMESPACE) or {}).get("score", 1.0)
        scores.append(float(score) if isinstance(score, int | float) else 1.0)
    instances = Instances.from_masks(
        masks_of(rings, image_size), np.array(scores, np.float32), np.array(numbers, np.int64)
    )
    return instances, list(categories.values()) or [Category(1, "cell")]


def _feature(
    instances: Instances, i: int, parts: list[list[NDArray[np.int64]]], kinds: Sequence[Category]
) -> dict[str, Any]:
    polygons = [[_closed(ring) for ring in part] for part in parts]
    several = len(polygons) > 1
    category = kinds[int(instances.categories[i])]
    colour = [int(category.colour[n : n + 2], 16) for n in (1, 3, 5)]
    score = round(float(instances.scores[i]), 6)
    return {
        "type": "Feature",
        "geometry": {
            "type": "MultiPolygon" if several else "Polygon",
            "coordinates": polygons if several else polygons[0],
        },
        "properties": {
            "objectType": "annotation",
            "classification": {"name": category.name, "color": colour},
            "measurements": {"score": score},
            _NAMESPACE: {"score": score},
        },
    }


def _closed(ring: NDArray[np.int64]) -> list[list[int]]:
    # RFC 7946 repeats the first point, and lets outer rings run the other way with y upwards.
    return [*ring.tolist(), ring[0].tolist()]


def _rings(feature: Any, where: str) -> list[NDArray[np.float64]]:
    geometry = feature.get("geometry") if isinstance(feature, dict) else None
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind not in ("Polygon", "MultiPolygon"):
        raise UserError(
            f"{where} is a {kind or 'record without geometry'}, expected a Polygon or a "
            "MultiPolygon; remove it or export areas only."
        )
    assert isinstance(geometry, dict)
    try:
        polygons = geometry["coordinates"] if kind == "MultiPolygon" else [geometry["coordinates"]]
        rings = [np.asarray(ring, np.float64) for polygon in polygons for ring in polygon]
        usable = all(
            ring.ndim == 2 and ring.shape[1] >= 2 and len(ring) > 2 and np.isfinite(ring).all()
            for ring in rings
        )
    except (KeyError, TypeError, ValueError):
        usable, rings = False, []
    if not usable or not rings:
        raise UserError(
            f"{where} has coordinates that are no outline, expected lists of [x, y]; export it "
            "again."
        )
    return [ring[:, :2] for ring in rings]


def _classification(properties: Any) -> tuple[str, str | None]:
    """Name and colour of a feature's class."""
    found = properties.get("classification") if isinstance(properties, dict) else None
    if not isinstance(found, dict) or not found.get("name"):
        return "cell", None
    colour = found.get("color")
    text = ""
    if isinstance(colour, list) and all(isinstance(c, int) and 0 <= c < 256 for c in colour):
        text = "#" + "".join(f"{c:02x}" for c in colour)
    return str(found["name"]), text if len(text) == 7 else None
