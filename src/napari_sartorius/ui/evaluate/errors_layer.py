"""The layer "Errors": every object in the colour of its outcome, made anew and never piled up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.masks import CropMasks
from napari_sartorius.evaluation.outcome_colours import OUTCOMES
from napari_sartorius.evaluation.outcomes import Outcome
from napari_sartorius.io.layer_table import OVERLAY_KEY
from napari_sartorius.ui.evaluate.wording import NAMES
from napari_sartorius.ui.image_source import PlaneChoice
from napari_sartorius.ui.label_colours import apply_colormap, build_colormap, hex_to_rgba
from napari_sartorius.ui.late_overlays import make_overlays_late
from napari_sartorius.ui.layer_writer import transform_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from napari.components import ViewerModel
    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_sartorius.ui.evaluate.compared import Compared, Rows

NAME = "Errors"
_OPACITY = 0.6


def paint(
    compared: Compared, rows: Rows, leading: tuple[int, ...], tell: Callable[[str], None]
) -> NDArray[np.uint16]:
    """Return the picture of all rows: row i has the label i + 1; may run in any thread.

    Parameters
    ----------
    compared, rows
        What is painted. Small objects lie on large ones and errors on matches, so that none is
        hidden.
    leading : tuple of int
        Sizes of the axes in front of (Y, X): of the whole layer, or ones for a single slice.
    tell : callable
        Called for each slice; may raise when nobody waits for the picture any more.
    """
    size = compared.planes[0].found.masks.image_size
    picture = np.zeros((*leading, *size), np.uint16)
    whole = int(np.prod(leading)) > 1
    for n, plane in enumerate(compared.planes):
        tell("Painting …")
        here = rows.plane == n
        masks, numbers = [], []
        for of_truth, side in ((True, plane.truth), (False, plane.found)):
            chosen = np.flatnonzero(here & (rows.of_truth == of_truth))
            masks.append(side.masks[rows.item[chosen]])
            numbers.append(chosen)
        row = np.concatenate(numbers)
        order = np.lexsort((rows.area[row], rows.outcome[row] == Outcome.MATCHED))
        joined = CropMasks.concatenate(masks)[order]
        where = plane.place if whole else (0,) * len(leading)
        picture[where] = joined.to_labels(row[order] + 1, np.uint16)
    return picture


class ErrorsLayer:
    """Shows, recolours and removes the layer; hides the compared ones while it is seen.

    Parameters
    ----------
    viewer : ViewerModel
        Where it appears.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._layer: Labels | None = None
        self._hidden: list[Labels] = []
        self._rows: Rows | None = None
        self._of: Compared | None = None

    @property
    def layer(self) -> Labels | None:
        """The layer while it is in the viewer; the user may have removed it."""
        there = self._layer is not None and any(self._layer is one for one in self._viewer.layers)
        return self._layer if there else None

    def is_of(self, compared: Compared) -> bool:
        """Whether the layer shows this comparison, if at another threshold."""
        return self._of is compared

    def show(
        self,
        found: Labels,
        compared: Compared,
        rows: Rows,
        picture: NDArray[np.uint16],
        shown: Collection[Outcome],
    ) -> None:
        """Put a picture of `paint` into the viewer, exactly on the layer of found cells.

        Take the layer of another comparison away before, with `remove`.
        """
        self._rows, self._of = rows, compared
        layer = self.layer
        if layer is None:
            layer = self._layer = self._make(found, compared, picture)
        else:
            layer.data = picture
        layer.features = _features(compared, rows)
        self.colour(shown)
        if layer not in self._viewer.layers:
            self._viewer.add_layer(make_overlays_late(layer))

    def colour(self, shown: Collection[Outcome]) -> None:
        """Show the objects with some outcomes and hide all others; changes no pixel."""
        if self._layer is None or self._rows is None:
            return
        table = np.zeros((max(Outcome) + 1, 4), np.float32)
        for outcome, colour in OUTCOMES.items():
            table[outcome] = hex_to_rgba(colour)
        hidden = ~np.isin(self._rows.outcome, [int(one) for one in shown])
        index = np.arange(1, len(self._rows) + 1)
        colours = table[self._rows.outcome]
        apply_colormap(self._layer, build_colormap(np.dtype(np.uint16), index, colours, hidden))

    def row_at(self, plane: tuple[int, ...], y: float, x: float) -> int | None:
        """Return which row lies at (y, x) of a slice, None where none does."""
        layer = self.layer
        if layer is None:
            return None
        image = layer.data[plane]
        at = int(np.floor(y + 0.5)), int(np.floor(x + 0.5))
        if not (0 <= at[0] < image.shape[0] and 0 <= at[1] < image.shape[1]):
            return None
        return int(image[at]) - 1 if image[at] else None

    def take_the_stage(self, compared: list[Labels]) -> None:
        """Show it alone: three layers of filled cells on top of each other cannot be read."""
        if self.layer is not None:
            self.layer.visible = True
            for layer in compared:
                if layer.visible:
                    layer.visible = False
                    self._hidden.append(layer)

    def leave_the_stage(self) -> None:
        """Hide it, and show again what was hidden for it."""
        if self.layer is not None:
            self.layer.visible = False
        for layer in self._hidden:
            layer.visible = True
        self._hidden = []

    def remove(self) -> None:
        """Take the layer out of the viewer."""
        if self.layer is not None:
            self._viewer.layers.remove(self.layer)
        self._layer = None

    def _make(self, found: Labels, compared: Compared, picture: NDArray[np.uint16]) -> Labels:
        from napari.layers import Labels

        choice = PlaneChoice(
            tuple(plane.place for plane in compared.planes),
            whole=picture.shape[:-2] == tuple(found.data.shape[:-2]),
        )
        layer = Labels(
            picture,
            name=NAME,
            opacity=_OPACITY,
            metadata={OVERLAY_KEY: True},
            **transform_of(found, choice),
        )
        layer.editable = False
        return layer


def _features(compared: Compared, rows: Rows) -> Any:
    """Return the table of the layer, which napari shows under the pointer."""
    import pandas as pd

    sides = np.array(["found", "truth"])
    names = np.array([NAMES.get(one, "") for one in Outcome])
    columns: dict[str, Any] = {
        "index": np.arange(1, len(rows) + 1),
        "outcome": names[rows.outcome],
        "cell": np.char.add(
            np.char.add(sides[rows.of_truth.astype(int)], " "), rows.label.astype(str)
        ),
        "IoU": rows.iou,
        "partner": rows.partner,
        "area": rows.area,
    }
    places = np.array([plane.place for plane in compared.planes], np.int64)
    for axis in range(places.shape[1] if places.ndim == 2 else 0):
        columns[f"axis-{axis}"] = places[rows.plane, axis]
    return pd.DataFrame(columns)
