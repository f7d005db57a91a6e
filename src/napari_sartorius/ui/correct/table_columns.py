"""Columns of a table of objects: those that it must have, and values that fit into one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.ui.correct.origins import DRAWN, MODEL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Columns = dict[str, NDArray[Any]]
    """By name, all of the same length."""

WANTED = {"index", "category", "source", "reviewed"}


def completed(columns: Columns, count: int) -> Columns:
    """Return columns of `count` values with those of `WANTED` that they lack.

    ``reviewed`` becomes bool, whatever another program has put there.
    """
    if "index" not in columns:
        # napari's own rule for tables without the column: row i belongs to label i
        columns = {"index": np.arange(count, dtype=np.int64), **columns}
    source = MODEL if "score" in columns else DRAWN
    defaults: Columns = {
        "category": np.full(count, "", object),
        "source": np.full(count, source, object),
        "reviewed": np.zeros(count, np.bool_),
    }
    columns = {**columns, **{n: v for n, v in defaults.items() if n not in columns}}
    given = columns["reviewed"]
    columns["reviewed"] = np.array([value is True or value == 1 for value in given], np.bool_)
    return columns


def pixel_size(columns: Columns, known: float | None) -> float | None:
    """Return micrometers per pixel as the areas in both units tell; `known` where they do not."""
    if not {"area", "area_um2"} <= set(columns) or not len(columns["area"]):
        return known
    pixels = np.maximum(columns["area"].astype(float), 1)
    ratio = np.nanmedian(columns["area_um2"].astype(float) / pixels)
    return float(np.sqrt(ratio)) if ratio > 0 else None


def places_of(index: NDArray[np.int64], labels: Iterable[int]) -> dict[int, int]:
    """Return the position of each label that is in `index` (N,), without a walk over all rows."""
    there = np.flatnonzero(np.isin(index, np.fromiter(labels, np.int64)))
    return dict(zip(index[there].tolist(), there.tolist(), strict=True))


def as_column(values: list[Any], like: NDArray[Any]) -> NDArray[Any]:
    """Return values with the type of another column; what is missing becomes its empty value."""
    if like.dtype.kind == "f":
        return np.array([np.nan if v is None else v for v in values], like.dtype)
    if like.dtype.kind in "iub":
        return np.array([0 if v is None or v != v else v for v in values], like.dtype)
    return np.array(["" if v is None else v for v in values] or [""], object)[: len(values)]
