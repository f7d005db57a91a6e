"""What the doubt about the cells of one image file is counted from; computed in a thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.core.edits import Box
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.regions import region_table
from napari_sartorius.io.images import read_image, read_plane
from napari_sartorius.io.project.edit import Row
from napari_sartorius.io.project.layers import features_of
from napari_sartorius.io.project.model_run import is_corrected
from napari_sartorius.postprocess.doubt import DoubtConfig, contact_shares, judge
from napari_sartorius.postprocess.missed import same_place, unlabelled_places
from napari_sartorius.postprocess.usual import Usual

if TYPE_CHECKING:
    Table = dict[str, NDArray[Any]]

_MOST_PIXELS = 1 << 27  # of a plane; larger ones are not searched for unlabelled cells


@dataclass(frozen=True, eq=False)
class PlaneState:
    """One plane of an image file as the project has it.

    Attributes
    ----------
    values
        (H, W) label image.
    rows
        What is known of each object by its label value.
    path, plane
        Where its pixels are; without a path no unlabelled places are looked for.
    no_cells
        Boxes of which a person said that there is no cell.
    """

    values: NDArray[Any]
    rows: dict[int, Row]
    path: Path | None = None
    plane: tuple[int, ...] = ()
    no_cells: Sequence[Box] = ()


@dataclass(frozen=True, eq=False)
class MeasuredImage:
    """An image file, measured.

    Attributes
    ----------
    tables
        For each plane with objects the columns that `judge` goes by.
    open
        For each of these (N,) bool, whether nobody has worked on the object.
    places
        How many unlabelled places of all planes look like cells.
    """

    tables: list[Table] = field(default_factory=list)
    open: list[NDArray[np.bool_]] = field(default_factory=list)
    places: int = 0

    @property
    def has_few(self) -> bool:
        """Whether some category has too few objects here to tell what is usual."""
        fewest = DoubtConfig().fewest
        return any(Usual.of(table, fewest).lacks(table) for table in self.tables)

    def count(self, elsewhere: Usual | None = None) -> int:
        """Return how many objects and places are doubtful and nobody's work yet.

        Parameters
        ----------
        elsewhere
            What is usual in other images, for categories with few objects in this one.
        """
        config, total = DoubtConfig(), self.places
        for table, open_ in zip(self.tables, self.open, strict=True):
            usual = Usual.of(table, config.fewest).filled(elsewhere)
            doubt = judge(table, usual, config).doubt
            total += int(np.count_nonzero((doubt >= config.limit) & open_))
        return total


def measure_image(states: Sequence[PlaneState]) -> MeasuredImage:
    """Measure the objects of an image file, and look for places without a label."""
    found = [one for one in map(_measure, states) if one is not None]
    return MeasuredImage(
        [table for table, _ in found],
        [open_ for _, open_ in found],
        sum(_count_places(state) for state in states),
    )


def _measure(state: PlaneState) -> tuple[Table, NDArray[np.bool_]] | None:
    masks, ids = CropMasks.from_labels(state.values)
    if not len(ids):
        return None
    known = {label: state.rows.get(label, {}) for label in ids.tolist()}
    table = features_of(known, state.values) | region_table(masks)
    table["contact"] = contact_shares(state.values, ids)
    x0, y0, x1, y1 = masks.boxes.T
    height, width = state.values.shape
    table["at_border"] = (x0 == 0) | (y0 == 0) | (x1 == width) | (y1 == height)
    return table, np.array([not is_corrected(row) for row in known.values()])


def _count_places(state: PlaneState) -> int:
    if state.path is None or state.values.size > _MOST_PIXELS or not state.values.any():
        return 0
    try:
        pixels = read_plane(_image(state.path), state.plane)
    except (UserError, OSError, ValueError, IndexError):
        return 0  # opening the image will say it
    if pixels.shape[:2] != state.values.shape:
        return 0
    boxes = unlabelled_places(pixels, state.values).boxes.tolist()
    return sum(not any(same_place(box, other) for other in state.no_cells) for box in boxes)


@lru_cache(maxsize=1)  # the planes of one file follow each other
def _image(path: Path) -> Any:
    return read_image(path)
