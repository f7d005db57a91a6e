"""The cells of a labels layer into an image of a project that has none yet."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.io.project.edit import Row, edit_between
from napari_sartorius.io.project.layers import rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sartorius.io.project.project import Project


def add_layer_cells(
    project: Project, file_name: str, labels: NDArray[Any], features: Mapping[str, Sequence[Any]]
) -> int:
    """Record the cells of a label image as those of a model run; label values stay.

    Parameters
    ----------
    project
        Open for writing.
    file_name
        An image file of the project without cells.
    labels
        (..., Y, X) unsigned integers, as many planes as the file has.
    features
        Rows of the cells, with the column ``index``. A cell that is said to be drawn or edited
        stays so, and one without a row counts as drawn.

    Returns
    -------
    int
        Number of cells, one in several planes counted once.

    Raises
    ------
    UserError
        When the project is read-only or cannot be written.
    ValueError
        When the numbers of planes differ.
    """
    rows = rows_of(features)
    known = Counter(str(row["category"]) for row in rows.values() if row.get("category"))
    usual = known.most_common(1)[0][0] if known else project.categories[0].name
    planes = labels.reshape(-1, *labels.shape[-2:])
    found: set[int] = set()
    for image, plane in zip(project.planes_of(file_name), planes, strict=True):
        here = set(np.unique(plane).tolist()) - {0}
        told: dict[int, Row | None] = {label: _row(rows.get(label), usual) for label in here}
        edit = edit_between(image.id, project.plane(image.id).values, plane, told)
        if edit is not None:
            project.record(edit)
        project.set_status(image.id, "segmented")
        found |= here
    return len(found)


def _row(row: Row | None, usual: str) -> Row:
    if row is None:
        return {"category": usual, "score": 1.0, "source": "drawn", "reviewed": False}
    missing = {"category": usual, "score": 1.0, "source": "model", "reviewed": False}
    return missing | {name: value for name, value in row.items() if value is not None}
