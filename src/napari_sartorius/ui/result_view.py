"""What is shown of a result: by score, by category, and in which colours. No widgets in here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.categories import default_colour
from napari_sartorius.ui.label_colours import apply_colormap, build_colormap, hex_to_rgba
from napari_sartorius.ui.layer_writer import METADATA_KEY

if TYPE_CHECKING:
    from napari.layers import Labels, Layer
    from napari.utils.colormaps import CyclicLabelColormap
    from numpy.typing import NDArray


def is_result(layer: Layer) -> bool:
    """Whether a layer holds objects with scores: one of ours, or one read from a COCO file."""
    from napari.layers import Labels

    return isinstance(layer, Labels) and {"index", "score"} <= set(layer.features.columns)


def provenance(layer: Labels) -> dict[str, Any]:
    """Return what the layer's metadata says of how it was made; empty for a foreign layer."""
    found = layer.metadata.get(METADATA_KEY)
    return dict(found) if isinstance(found, Mapping) else {}


class ResultView:
    """The filter and the colours of one label layer.

    Hiding works on colours only: neither the pixels, nor the table, nor the undo history change.

    Parameters
    ----------
    layer : Labels
        A layer for which `is_result` holds.
    """

    def __init__(self, layer: Labels) -> None:
        self.layer = layer
        self.min_score = 0.0
        self.hidden_categories: set[str] = set()
        self.by_category = False
        self._seed = 0
        self._applying = False
        layer.events.colormap.connect(self._on_foreign_colormap)

    @property
    def index(self) -> NDArray[np.int64]:
        """Label value of each object."""
        return self.layer.features["index"].to_numpy(dtype=np.int64)

    @property
    def scores(self) -> NDArray[np.float32]:
        """Score of each object; objects without one, such as painted cells, count as certain."""
        return np.nan_to_num(
            self.layer.features["score"].to_numpy(dtype=np.float32, na_value=np.nan), nan=1.0
        )

    @property
    def categories(self) -> NDArray[np.str_]:
        """Name of each object's category; one empty name where the table has no categories."""
        if "category" not in self.layer.features:
            return np.full(len(self.layer.features), "", dtype=np.str_)
        return self.layer.features["category"].astype(str).to_numpy(dtype=np.str_)

    def category_colours(self) -> dict[str, str]:
        """Return colour ``'#rrggbb'`` per category, in the model's order, then by name."""
        named = {
            str(one["name"]): str(one["colour"])
            for one in provenance(self.layer).get("categories", ())
        }
        for name in sorted(set(self.categories.tolist()) - set(named)):
            named[name] = default_colour(len(named))
        return named

    def hidden(self) -> NDArray[np.bool_]:
        """Return (N,) bool, True for the objects that the filter hides."""
        hidden = self.scores < self.min_score
        if self.hidden_categories:
            hidden |= np.isin(self.categories, list(self.hidden_categories))
        return hidden

    def counts(self) -> dict[str, tuple[int, int]]:
        """Return (shown, all) per category."""
        names, shown = self.categories, ~self.hidden()
        return {
            name: (int(np.sum(shown & (names == name))), int(np.sum(names == name)))
            for name in self.category_colours()
        }

    def confluence(self) -> float | None:
        """Return the part of the image that shown objects cover, 0..1; None without areas."""
        if "area" not in self.layer.features:
            return None
        area = self.layer.features["area"].to_numpy(dtype=np.float64)[~self.hidden()].sum()
        pixels = provenance(self.layer).get("pixels") or int(np.prod(self.layer.data.shape))
        return float(min(area / pixels, 1.0)) if pixels else None

    def apply(self) -> None:
        """Show the layer as the filter and the colour choice say; a few milliseconds."""
        colours = None
        if self.by_category:
            table = {name: hex_to_rgba(text) for name, text in self.category_colours().items()}
            colours = np.array([table[name] for name in self.categories.tolist()], np.float32)
            colours = colours.reshape(-1, 4)
        colormap = build_colormap(
            self.layer.data.dtype, self.index, colours, self.hidden(), self._seed
        )
        if self._shows(colormap):
            return  # napari would draw all anew
        self._applying = True
        try:
            apply_colormap(self.layer, colormap)
        finally:
            self._applying = False

    def _shows(self, colormap: CyclicLabelColormap) -> bool:
        """Whether the layer has these colours: a new result, or a correction without a colour."""
        from napari.utils.colormaps import CyclicLabelColormap

        shown = self.layer.colormap
        return (
            isinstance(shown, CyclicLabelColormap)
            and shown.background_value == colormap.background_value
            and np.array_equal(shown.colors, colormap.colors)
        )

    def may_colour(self) -> bool:
        """Whether the layer is one of ours, of a run or of a file, with napari's own colours.

        Colours that the user has given single labels are left alone.
        """
        from napari.utils.colormaps import DirectLabelColormap

        ours = METADATA_KEY in self.layer.metadata
        return ours and not isinstance(self.layer.colormap, DirectLabelColormap)

    def stop(self) -> None:
        """Leave the layer as it looks now."""
        self.layer.events.colormap.disconnect(self._on_foreign_colormap)

    def _on_foreign_colormap(self, event: object = None) -> None:
        """Turn napari's "shuffle colours" into other colours for what is shown.

        napari shuffles the rows of the table, transparent ones included; without this, random
        objects would vanish and hidden ones come back.
        """
        if not self._applying:
            self._seed += 1
            self.apply()
