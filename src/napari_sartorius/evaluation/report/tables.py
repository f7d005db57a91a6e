"""A report as tables for spreadsheets: images, objects, categories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.shape_features import shape_features
from napari_sartorius.evaluation.outcomes import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sartorius.core.instances import Instances
    from napari_sartorius.evaluation.cases import Cases
    from napari_sartorius.evaluation.cell_shape import CellShapes
    from napari_sartorius.evaluation.outcomes import ObjectTable
    from napari_sartorius.evaluation.results import EvaluationResult

    Table = dict[str, NDArray[Any]]

_OUTCOME_NAMES = np.array([outcome.name.lower() for outcome in Outcome])


def image_columns(result: EvaluationResult) -> Table:
    """Return a row per image, in the order of the truth."""
    return _columns([image.to_dict() for image in result.images])


def category_columns(result: EvaluationResult) -> Table:
    """Return a row per category and one for all, with the errors of counting."""
    rows = []
    whole = result.to_dict()
    content = whole["categories"] | {"all": whole}
    for name, figures in content.items():
        counting = {f"count_{key}": value for key, value in figures["counting"].items()}
        plain = {k: v for k, v in figures.items() if not isinstance(v, dict | list | str)}
        rows.append({"category": name, **plain, **counting})
    counts = result.counts
    rows[-1] |= {
        "images": len(result.images),
        "true_count": sum(image.true_count for image in result.images),
        "predicted_count": sum(image.predicted_count for image in result.images),
        "contribution": result.competition_score,
        "recall50": counts.matched / counts.truths if counts.truths else None,
        "precision50": counts.matched / counts.predictions if counts.predictions else None,
    }
    names = list(rows[0])
    return _columns([{name: row.get(name) for name in names} for row in rows])


def object_columns(cases: Cases, result: EvaluationResult) -> Table:
    """Return a row per object of both sides: its outcome at an IoU of 0.5, size and shape.

    Objects are numbered from 1 in the order of their file; ``partner`` is the number of the best
    overlapping object of the other side, 0 where nothing overlaps.
    """
    parts = []
    for case, image in zip(cases, result.images, strict=True):
        for side, objects, table in (
            ("truth", case.truth, image.outcomes.truth),
            ("prediction", case.predicted, image.outcomes.predicted),
        ):
            parts.append(_side(case.file_name, side, objects, table, cases.category_names))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def shape_columns(true_shapes: CellShapes, found_shapes: CellShapes) -> Table:
    """Return statistics of the shapes of both sides, a row per side, feature and category."""
    sides = {"truth": true_shapes.statistics(), "prediction": found_shapes.statistics()}
    columns: Table = {
        "side": np.repeat(list(sides), [len(side["feature"]) for side in sides.values()])
    }
    # A side without objects has columns without a type.
    filled = [side for side in sides.values() if len(side["feature"])] or [sides["truth"]]
    return columns | {
        name: np.concatenate([side[name] for side in filled]) for name in sides["truth"]
    }


def _side(
    file_name: str, side: str, objects: Instances, table: ObjectTable, names: Sequence[str]
) -> Table:
    count = len(objects)
    boxes = objects.masks.bounding_boxes().astype(np.int64)
    return {
        "file_name": np.full(count, file_name),
        "side": np.full(count, side),
        "object": np.arange(1, count + 1),
        "category": np.array(names, np.str_)[objects.categories],
        "score": objects.scores if side == "prediction" else np.full(count, np.nan, np.float32),
        "outcome": _OUTCOME_NAMES[table.outcome],
        "partner": table.partner + 1,
        "iou": np.round(table.iou, 6),
        "covers": table.covers,
        **{name: boxes[:, k] for k, name in enumerate(("x0", "y0", "x1", "y1"))},
        **{n: np.round(v, 6) for n, v in shape_features(objects.masks).items()},
    }


def _columns(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Turn rows with the same keys into columns; None becomes not-a-number or empty text."""
    columns = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        if any(isinstance(value, str) for value in values):
            columns[name] = np.array(["" if v is None else v for v in values], np.str_)
        elif all(isinstance(value, int) for value in values):
            columns[name] = np.array(values, np.int64)
        else:
            columns[name] = np.array([np.nan if v is None else v for v in values], np.float64)
    return columns
