"""What a labels layer's features say about its objects, looked up for one plane after the other."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

METADATA_KEY = "sartorius"
"""Key in ``layer.metadata`` under which a labels layer keeps where it comes from."""

OVERLAY_KEY = "sartorius_overlay"
"""Key in ``layer.metadata`` of a layer that only shows something of another one; never saved."""

NO_CELL_KEY = "sartorius_no_cell"
"""Key in ``layer.metadata`` of places where a person said that there is no cell: a list of
``[*plane, first row, first column, last row + 1, last column + 1]``."""

# Measured from the pixels, so they would be wrong after the first stroke of the brush.
_MEASURED = re.compile(
    r"(area|centroid_[yx]|bbox_[xy][01]|major_axis|minor_axis|solidity)(_um2?)?"
    r"|axis-\d+|index|image|score|category"
)


def is_measured(name: str) -> bool:
    """Whether a column of features says what the pixels say too, plane by plane."""
    return _MEASURED.fullmatch(name) is not None


def layer_memory(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return what this package noted in a layer's metadata; empty for a foreign layer."""
    memory = (meta.get("metadata") or {}).get(METADATA_KEY)
    return memory if isinstance(memory, dict) else {}


class LayerTable:
    """The features of a labels layer, ready to be joined to the labels of its planes.

    Parameters
    ----------
    meta
        The layer's keyword arguments; ``features`` may be a data frame or a mapping. Its rows
        belong to the labels in column ``index``, else to labels by row number, as napari has it.

    Attributes
    ----------
    category_names
        Names of the layer's own table of categories, then those its features use besides;
        ``["cell"]`` when there are none.
    """

    category_names: list[str]

    def __init__(self, meta: Mapping[str, Any]) -> None:
        features = meta.get("features")
        columns = {} if features is None else {str(n): np.asarray(features[n]) for n in features}
        count = len(next(iter(columns.values()))) if columns else 0
        index = columns.get("index", np.arange(count)).astype(np.int64)
        self._order = np.argsort(index, kind="stable")
        self._labels = index[self._order]
        self._scores = np.array(
            [1.0 if _is_missing(v) else float(v) for v in columns.get("score", np.ones(count))],
            np.float32,
        )
        self._categories = [
            None if _is_missing(v) else str(v)
            for v in columns.get("category", np.full(count, None)).tolist()
        ]
        names = [str(c["name"]) for c in layer_memory(meta).get("categories", ())]
        names += [name for name in self._categories if name is not None]
        self.category_names = list(dict.fromkeys(names)) or ["cell"]
        counts = Counter(name for name in self._categories if name is not None)
        self._usual = counts.most_common(1)[0][0] if counts else self.category_names[0]
        self._extra = {
            name: column.astype(str) if column.dtype.kind == "O" else column
            for name, column in columns.items()
            if column.dtype.kind in "biufUO" and not is_measured(name)
        }

    def instances(self, plane: NDArray[Any], names: Sequence[str]) -> Instances:
        """Make objects of one plane.

        Parameters
        ----------
        plane
            Label image (Y, X).
        names
            Categories by index; must hold all of `category_names`.

        Returns
        -------
        Instances
            In the order of labels. A label without a row, painted by hand, has score 1 and the
            layer's most frequent category; with such labels further columns are left out.
        """
        masks, labels = CropMasks.from_labels(plane)
        rows, known = self._find(labels)
        number = {name: n for n, name in enumerate(names)}
        categories = [
            number[(self._categories[row] if found else None) or self._usual]
            for row, found in zip(rows.tolist(), known.tolist(), strict=True)
        ]
        scores = np.ones(len(labels), np.float32)
        scores[known] = self._scores[rows[known]]
        instances = Instances.from_masks(masks, scores, np.array(categories, np.int64))
        if known.all():
            instances.columns |= {name: column[rows] for name, column in self._extra.items()}
        return instances

    def _find(self, labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Row of each label, and whether it has one."""
        if not len(self._labels):
            return np.zeros(len(labels), np.int64), np.zeros(len(labels), np.bool_)
        place = np.minimum(np.searchsorted(self._labels, labels), len(self._labels) - 1)
        return self._order[place], self._labels[place] == labels


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value) or str(value) == "<NA>"
