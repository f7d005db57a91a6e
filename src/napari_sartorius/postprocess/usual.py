"""What is usual in each category: medians and spreads that a few odd objects do not move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    Table = Mapping[str, NDArray[Any]]

MEASURES = ("area", "solidity", "axis_ratio")
"""Of shape; area and axis ratio are compared by their logarithms."""

_LEAST_SPREAD = {"area": 0.15, "solidity": 0.02, "axis_ratio": 0.1, "score": 0.05}
SortedKinds: TypeAlias = "tuple[NDArray[np.str_], NDArray[np.int64]]"
_EVERY = ""  # stands for all categories


@dataclass(frozen=True)
class Usual:
    """Median and spread of each measure by category.

    Attributes
    ----------
    values
        (median, spread) by measure and category; the category ``""`` stands for all objects.
    """

    values: dict[tuple[str, str], tuple[float, float]]

    @classmethod
    def of(cls, table: Table, fewest: int = 8) -> Usual:
        """Take the measure of these objects; see `judge` for the table.

        A spread is 1.4826 times the median absolute deviation, which is the standard deviation of
        a normal distribution. Categories with less than `fewest` objects have none of their own.
        """
        kinds = _kinds(table)
        values = {}
        for name in (*MEASURES, "score"):
            column = measure(table, name)
            known = np.isfinite(column)
            for kind in [_EVERY, *np.unique(kinds).tolist()]:
                some = column[known & ((kinds == kind) if kind else True)]
                if len(some) >= fewest:
                    median = float(np.median(some))
                    spread = 1.4826 * float(np.median(np.abs(some - median)))
                    values[name, str(kind)] = (median, max(spread, _LEAST_SPREAD[name]))
        return cls(values)

    @classmethod
    def of_many(cls, tables: Iterable[Table], fewest: int = 8) -> Usual:
        """Take the measure of the objects of several images together."""
        columns: dict[str, list[NDArray[Any]]] = {}
        for table in tables:
            count = len(table["index"])
            columns.setdefault("index", []).append(np.asarray(table["index"]))
            columns.setdefault("category", []).append(_kinds(table))
            for name in ("area", "solidity", "major_axis", "minor_axis", "score"):
                column = table.get(name, np.full(count, np.nan))
                columns.setdefault(name, []).append(np.asarray(column, np.float64))
        if not columns:
            return cls({})
        return cls.of({n: np.concatenate(parts) for n, parts in columns.items()}, fewest)

    def lacks(self, table: Table) -> bool:
        """Whether some category of a table has too few objects to have a measure of its own."""
        return any(("area", str(kind)) not in self.values for kind in np.unique(_kinds(table)))

    def filled(self, by: Usual | None) -> Usual:
        """Return this with what it lacks taken from another one, of more objects."""
        return self if by is None else Usual({**by.values, **self.values})

    def median(self, table: Table, name: str) -> NDArray[np.float64]:
        """(N,) what is usual for each object's category; not a number when nobody knows."""
        return self._per_object(table, name)[0]

    def spreads_off(
        self, table: Table, name: str, sorted_kinds: SortedKinds | None = None
    ) -> NDArray[np.float64]:
        """(N,) by how many spreads each object is above (or, negative, below) what is usual.

        0 where that is not known. Who asks for several measures gives the `sorted_kinds` of the
        table, which take longer to find than all the rest.
        """
        median, spread = self._per_object(table, name, sorted_kinds)
        return np.nan_to_num((measure(table, name) - median) / spread)

    def _per_object(
        self, table: Table, name: str, known: SortedKinds | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        kinds, place = known or sorted_kinds(table)
        every = self.values.get((name, _EVERY), (np.nan, np.nan))
        pairs = [self.values.get((name, str(kind)), every) for kind in kinds]
        found = np.array(pairs, np.float64).reshape(-1, 2)[place]
        return found[:, 0], found[:, 1]


def measure(table: Table, name: str) -> NDArray[np.float64]:
    """(N,) a measure on the scale on which it is compared; not a number where it is not known."""
    count = len(table["index"])
    missing = np.full(count, np.nan)
    if name == "axis_ratio":
        longer = np.asarray(table.get("major_axis", missing), np.float64)
        shorter = np.asarray(table.get("minor_axis", missing), np.float64)
        return np.log(np.maximum(longer, 1.0) / np.maximum(shorter, 1.0))
    values = np.asarray(table.get(name, missing), np.float64)
    return np.log(np.maximum(values, 1.0)) if name == "area" else values


def sorted_kinds(table: Table) -> SortedKinds:
    """Return the categories of a table, each once, and (N,) which one each object has."""
    kinds, place = np.unique(_kinds(table), return_inverse=True)
    return kinds, place


def _kinds(table: Table) -> NDArray[np.str_]:
    if "category" not in table:
        return np.zeros(len(table["index"]), "U1")
    return np.asarray(table["category"]).astype(np.str_)
