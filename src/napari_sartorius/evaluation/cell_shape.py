"""What cells of each category look like: sizes and shapes, their percentiles and histograms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.core.progress import Monitor
from napari_sartorius.core.shape_features import SHAPE_FEATURES, shape_features
from napari_sartorius.postprocess.shape_table import TABLE_FEATURES, ShapeTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_sartorius.core.instances import Instances

Compat: TypeAlias = Literal["mistag"]
"""``mistag``: measure cells redrawn from simplified outlines, as the published notebook does."""
STATISTICS: tuple[str, ...] = ("count", "min", "max", "mean", "std", "1%", "5%", "95%", "99%")
_NO_MONITOR = Monitor()


@dataclass(frozen=True, eq=False)
class CellShapes:
    """Measured cells of a data set.

    Parameters
    ----------
    features : dict of str to (N,) float64
        `core.shape_features.SHAPE_FEATURES` of N cells; cells without pixels are left out.
    categories : (N,) int64
        0-based index into the names.
    category_names : tuple of str
        Names of all categories.
    """

    features: dict[str, NDArray[np.float64]]
    categories: NDArray[np.int64]
    category_names: tuple[str, ...]

    def of(self, feature: str, category: int | None = None) -> NDArray[np.float64]:
        """Return one feature of all cells, or of those of one category."""
        values = self.features[feature]
        return values if category is None else values[self.categories == category]

    def table(self, *, decimals: int | None = None) -> ShapeTable:
        """Return the 1st and 99th percentile of each feature per category, for filters."""
        return ShapeTable.from_features(
            self.features, self.categories, self.category_names, decimals=decimals
        )

    def statistics(self, features: Sequence[str] = TABLE_FEATURES) -> dict[str, NDArray[Any]]:
        """Return a table with a row per feature and category that has cells.

        Returns
        -------
        dict of str to (rows,) array
            ``feature``, ``category`` and the `STATISTICS`: percentiles are interpolated linearly,
            the standard deviation is that of a sample (not-a-number for a single cell).
        """
        rows: list[tuple[Any, ...]] = []
        for feature in features:
            for category, name in enumerate(self.category_names):
                values = self.of(feature, category)
                if values.size:
                    rows.append((feature, name, *_statistics(values)))
        columns = zip(*rows, strict=True) if rows else [()] * (2 + len(STATISTICS))
        names = ("feature", "category", *STATISTICS)
        return {name: np.array(column) for name, column in zip(names, columns, strict=True)}


def measure_cells(
    images: Iterable[Instances],
    category_names: Sequence[str],
    *,
    compat: Compat | None = None,
    monitor: Monitor = _NO_MONITOR,
) -> CellShapes:
    """Measure all cells of several images.

    Parameters
    ----------
    images : iterable of Instances
        Objects image by image.
    category_names : sequence of str
        Names by category index.
    compat : str, optional
        Measure as published instead of the masks themselves, see `Compat`.
    monitor : Monitor
        May cancel.

    Raises
    ------
    UserError
        If `compat` needs OpenCV and it is not installed.
    """
    pieces, categories = [], [np.zeros(0, np.int64)]
    for objects in images:
        monitor.check()
        features = _features(objects, compat)
        some = features["area"] > 0
        pieces.append({name: values[some] for name, values in features.items()})
        categories.append(objects.categories[some])
    nothing = np.zeros(0, np.float64)
    return CellShapes(
        {f: np.concatenate([nothing, *(piece[f] for piece in pieces)]) for f in SHAPE_FEATURES},
        np.concatenate(categories),
        tuple(category_names),
    )


def _features(objects: Instances, compat: Compat | None) -> dict[str, NDArray[np.float64]]:
    if compat is None:
        return shape_features(objects.masks)
    # Imported here: tracing brings scikit-image with it.
    from napari_sartorius.evaluation.published_outlines import redrawn

    return shape_features(redrawn(objects.masks))


def histogram_edges(
    values: Sequence[NDArray[np.float64]], bins: int = 40, *, outliers: float = 0.5
) -> NDArray[np.float64]:
    """Return bin edges that several groups of values can share, (bins + 1,) float64.

    Parameters
    ----------
    values : sequence of (N,) float64
        Groups, such as true and predicted cells.
    bins : int
        Number of bins.
    outliers : float
        Percent at either end of all values together that may lie outside.
    """
    together = np.concatenate([np.zeros(0), *values])
    together = together[np.isfinite(together)]
    if not together.size:
        return np.linspace(0.0, 1.0, bins + 1)
    low, high = np.percentile(together, [outliers, 100 - outliers])
    return np.linspace(low, high if high > low else low + 1, bins + 1)


def _statistics(values: NDArray[np.float64]) -> tuple[float, ...]:
    spread = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
    percentiles = np.percentile(values, [1, 5, 95, 99]).tolist()
    return (len(values), values.min(), values.max(), values.mean(), spread, *percentiles)
