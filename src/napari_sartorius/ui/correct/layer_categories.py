"""The categories that a layer knows: those of its model, then those its objects have besides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sartorius.core.categories import default_colour
from napari_sartorius.ui.layer_writer import METADATA_KEY

if TYPE_CHECKING:
    from napari.layers import Labels


def category_names(layer: Labels) -> list[str]:
    """Return the names, in the order of the number keys."""
    kept = layer.metadata.get(METADATA_KEY) or {}
    named = [str(one["name"]) for one in kept.get("categories", ())]
    if "category" in layer.features:
        # each name once before it becomes text: this is asked after every correction
        named += sorted(set(map(str, layer.features["category"].unique())) - {""})
    return list(dict.fromkeys(named))


def add_category(layer: Labels, name: str) -> None:
    """Add a category to what the layer's metadata says; nothing changes when it is known."""
    kept = dict(layer.metadata.get(METADATA_KEY) or {})
    known = [dict(one) for one in kept.get("categories", ())]
    for other in dict.fromkeys([*category_names(layer), name]):
        if other not in [one["name"] for one in known]:
            known.append({"name": other, "colour": default_colour(len(known))})
    layer.metadata[METADATA_KEY] = {**kept, "categories": known}
