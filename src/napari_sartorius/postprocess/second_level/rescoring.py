"""What is done with a predicted IoU: told to the user, used to drop and to rank objects."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_sartorius.core.mask_confidence import NAMES as CONFIDENCE
from napari_sartorius.postprocess.thresholds import per_object

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sartorius.core.instances import Instances

COLUMN = "predicted_iou"
Rank = Literal["score", "predicted_iou", "product"]
"""What becomes the score: it stays, becomes the predicted IoU, or the product of both."""


def rescore(
    instances: Instances,
    predicted: NDArray[np.floating],
    minimum: float | Sequence[float] = 0.3,
    rank: Rank = "score",
) -> Instances:
    """Note predicted IoUs, and drop and rank objects by them.

    Parameters
    ----------
    instances : Instances
        Objects of one image.
    predicted : (N,) float
        IoU, 0..1, that each is expected to have with the truth.
    minimum : float or sequence of float
        Objects of which less is expected are dropped (7th place: 0.3); one for all, or one per
        category.
    rank : str
        What becomes the score.

    Returns
    -------
    Instances
        The kept objects, in the order of the input, with a column ``predicted_iou`` and without
        those that only the second level needs.
    """
    values = np.asarray(predicted, np.float32)
    columns = {k: v for k, v in instances.columns.items() if k not in CONFIDENCE}
    scores = {
        "score": instances.scores,
        "predicted_iou": values,
        "product": instances.scores * values,
    }[rank]
    judged = replace(instances, scores=scores, columns=columns | {COLUMN: values})
    limits = per_object(minimum, instances.categories).astype(np.float32)
    return judged[values >= limits]
