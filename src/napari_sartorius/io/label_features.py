"""The table beside a label image as features of its layer, for a plane and for a stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.io.layer_table import is_measured

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def labels_with_features(
    labels: NDArray[Any], axes: str, table: Mapping[str, NDArray[Any]]
) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    """Join a label image to the table that was written with it.

    Parameters
    ----------
    labels : (..., Y, X)
        Whole numbers.
    axes
        A letter for each axis of `labels`.
    table
        Columns of equal length, ``index`` the label of each row. Of a stack either with a column
        for each axis in front, named by its letter, and labels that count from 1 in each plane (as
        results of a run are); or with columns ``axis-0`` ..., and labels of the whole stack (as
        layers are saved).

    Returns
    -------
    labels : (..., Y, X)
        As given, or numbered through where labels counted from 1 in each plane: in a layer one
        label is one object.
    features : dict of str to (N,) array
        A row for each label, in stacks with ``axis-0`` ...; empty when the table is that of another
        image, such as of an older run, and says nothing about this one.
    """
    letters = [axis.lower() for axis in axes[:-2]]
    if "index" not in table:
        return labels, {}
    if letters and all(letter in table for letter in letters):
        return _numbered_through(labels, letters, table)
    if not np.isin(np.unique(labels[labels > 0]), table["index"]).all():
        return labels, {}
    if not letters:
        return labels, dict(table)
    _, rows = np.unique(table["index"], return_index=True)
    if len(rows) == len(table["index"]):
        return labels, dict(table)
    # Objects that go through several planes have a row in each: what holds for all of them stays.
    kept = [n for n in table if n in ("index", "score", "category") or not is_measured(n)]
    return labels, {name: table[name][rows] for name in kept}


def _numbered_through(
    labels: NDArray[Any], letters: list[str], table: Mapping[str, NDArray[Any]]
) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    count = len(table["index"])
    lead = labels.shape[:-2]
    places = np.stack([table[letter] for letter in letters], axis=1)
    index = table["index"]
    if {places.dtype.kind, index.dtype.kind} - set("ui") or (
        count and ((places < 0).any() or (places >= lead).any() or index.min() < 1)
    ):
        return labels, {}
    plane_of_row = np.ravel_multi_index(tuple(places.T), lead) if count else np.zeros(0, np.int64)
    numbered = np.zeros(labels.shape, np.min_scalar_type(count))
    for number, place in enumerate(np.ndindex(*lead)):
        rows = np.flatnonzero(plane_of_row == number)
        plane = labels[place]
        known = np.zeros(1 + max(int(plane.max()), int(index[rows].max(initial=0))), np.int64)
        known[index[rows]] = rows + 1
        numbered[place] = known[plane]
        if ((plane > 0) & (numbered[place] == 0)).any():
            return labels, {}
    features = {name: column for name, column in table.items() if name not in letters}
    features["index"] = np.arange(1, count + 1)
    features |= {f"axis-{n}": places[:, n] for n in range(len(letters))}
    return numbered, features
