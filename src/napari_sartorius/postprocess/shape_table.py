"""The range that each shape feature has in cells of each category: what a filter goes by.

The cell-shape analysis of the Sartorius data takes the 1st and 99th percentile of every feature
over the annotated cells of a type; a prediction outside is hardly a cell of that type.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.atomic import write_text
from napari_sartorius.io.coco import read_json
from napari_sartorius.io.table_csv import read_table, write_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

PERCENTILES = (1.0, 99.0)
TABLE_FEATURES: tuple[str, ...] = (
    "area",
    "major_axis",
    "minor_axis",
    "axis_ratio",
    "solidity",
    "extent",
    "hu_0",
    "hu_1",
)
"""Rows of a table by default: Hu's higher moments say little."""
_KIND = "shape-table"
# What the published tables call the same features.
_ALIASES = {"major_axis_len": "major_axis", "minor_axis_len": "minor_axis"}


@dataclass(frozen=True)
class ShapeTable:
    """Lowest and highest usual value of shape features, per category.

    Parameters
    ----------
    categories : tuple of str
        Names of C categories.
    features : tuple of str
        Names of F features, as `core.shape_features` names them.
    ranges : tuple of F tuples of C (low, high)
        Pixels, square pixels or ratios, as the feature is; both not-a-number where nothing is
        known.

    Raises
    ------
    ValueError
        If names occur twice, the ranges have another shape, or a low is above its high.
    """

    categories: tuple[str, ...]
    features: tuple[str, ...]
    ranges: tuple[tuple[tuple[float, float], ...], ...]

    def __post_init__(self) -> None:
        for names in (self.categories, self.features):
            if len(set(names)) < len(names):
                raise ValueError(f"names occur twice among {', '.join(names)}")
        if [len(row) for row in self.ranges] != [len(self.categories)] * len(self.features):
            raise ValueError("expected one row per feature with one range per category")
        for feature, row in zip(self.features, self.ranges, strict=True):
            for category, (low, high) in zip(self.categories, row, strict=True):
                if low > high:
                    raise ValueError(f"{feature} of {category} ends at {high}, below {low}")

    @classmethod
    def from_features(
        cls,
        features: Mapping[str, NDArray[Any]],
        categories: NDArray[np.int64],
        category_names: Sequence[str],
        *,
        percentiles: tuple[float, float] = PERCENTILES,
        rows: Sequence[str] = TABLE_FEATURES,
        decimals: int | None = None,
    ) -> ShapeTable:
        """Take percentiles over measured objects.

        Parameters
        ----------
        features : mapping of str to (N,) float64
            As from `core.shape_features.shape_features`; not-a-number is left out.
        categories : (N,) int64
            0-based index into `category_names`.
        category_names : sequence of str
            Names; categories without objects get no range.
        percentiles : (low, high)
            0 to 100, interpolated linearly.
        rows : sequence of str
            Features to put into the table.
        decimals : int, optional
            Round to so many, as the published tables do with 3.
        """

        def limits(feature: str, category: int) -> tuple[float, float]:
            values = features[feature][categories == category]
            values = values[np.isfinite(values)]
            if not values.size:
                return math.nan, math.nan
            low, high = np.percentile(values, percentiles).tolist()
            return (
                (low, high) if decimals is None else (round(low, decimals), round(high, decimals))
            )

        return cls(
            tuple(category_names),
            tuple(rows),
            tuple(tuple(limits(f, c) for c in range(len(category_names))) for f in rows),
        )

    def range(self, feature: str, category: str) -> tuple[float, float]:
        """Return (low, high) of a feature in a category; (-inf, inf) where nothing is known.

        Raises
        ------
        UserError
            If the table does not hold the feature or the category.
        """
        if feature not in self.features:
            raise UserError(
                f"The shape table has no feature {feature!r}: choose from "
                f"{', '.join(self.features)}."
            )
        if category not in self.categories:
            raise UserError(
                f"The shape table has no category {category!r}, only "
                f"{', '.join(self.categories)}: make a table from images with these cells."
            )
        low, high = self.ranges[self.features.index(feature)][self.categories.index(category)]
        return (-math.inf if math.isnan(low) else low, math.inf if math.isnan(high) else high)

    def to_dict(self) -> dict[str, Any]:
        """Return plain types for JSON: per category its features' [low, high], or null."""
        return {
            "kind": _KIND,
            "categories": {
                category: {
                    feature: None if math.isnan(row[c][0]) else list(row[c])
                    for feature, row in zip(self.features, self.ranges, strict=True)
                }
                for c, category in enumerate(self.categories)
            },
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ShapeTable:
        """Read what `to_dict` gave.

        Raises
        ------
        ValueError
            If it is something else.
        """
        table = content.get("categories")
        if content.get("kind") != _KIND or not isinstance(table, dict):
            raise ValueError(f'expected "kind": "{_KIND}" and the categories with their ranges')
        features = list(dict.fromkeys(f for column in table.values() for f in column))
        nothing = (math.nan, math.nan)

        def limits(pair: Any) -> tuple[float, float]:
            if pair is None:
                return nothing
            low, high = (float(value) for value in pair)
            return low, high

        ranges = tuple(tuple(limits(c.get(f)) for c in table.values()) for f in features)
        return cls(tuple(table), tuple(_ALIASES.get(f, f) for f in features), ranges)


def write_shape_table(path: str | Path, table: ShapeTable) -> None:
    """Write a table atomically, as CSV if the name ends so (the published layout), else as JSON.

    Raises
    ------
    UserError
        When the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".csv":
        write_text(path, json.dumps(table.to_dict(), indent=1, allow_nan=False) + "\n")
        return
    columns: dict[str, NDArray[Any]] = {"feature": np.array(table.features, np.str_)}
    for c, category in enumerate(table.categories):
        for end, name in enumerate(("min", "max")):
            columns[f"{category} {name}"] = np.array([row[c][end] for row in table.ranges], float)
    write_table(path, columns)


def read_shape_table(path: str | Path) -> ShapeTable:
    """Read a table from JSON or CSV, also one in the published layout.

    Raises
    ------
    UserError
        When the file cannot be read or is no shape table.
    """
    path = Path(path)
    try:
        if path.suffix.lower() != ".csv":
            return ShapeTable.from_dict(read_json(path))
        return _from_columns(read_table(path))
    except UserError:
        raise
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise UserError(
            f"{path} is not a shape table ({error}): make one with 'napari-sartorius shapes'."
        ) from error


def _from_columns(columns: Mapping[str, NDArray[Any]]) -> ShapeTable:
    if "feature" not in columns or any(not n.endswith((" min", " max")) for n in [*columns][1:]):
        raise ValueError("expected the columns feature, A min, A max, B min, B max, ...")
    categories = list(dict.fromkeys(name[:-4] for name in [*columns][1:]))
    features = [str(name) for name in columns["feature"].tolist()]
    ranges = tuple(
        tuple((float(columns[f"{c} min"][i]), float(columns[f"{c} max"][i])) for c in categories)
        for i in range(len(features))
    )
    return ShapeTable(tuple(categories), tuple(_ALIASES.get(f, f) for f in features), ranges)
