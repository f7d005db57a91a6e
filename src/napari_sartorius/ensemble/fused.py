"""What every strategy hands over: objects with the columns that say how far the looks agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.instances import Instances

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from numpy.typing import NDArray

    from napari_sartorius.core.masks import CropMasks
    from napari_sartorius.ensemble.clusters import Clusters
    from napari_sartorius.ensemble.gathered import Gathered


def fused_instances(
    gathered: Gathered,
    clusters: Clusters,
    boxes: NDArray[np.floating[Any]],
    scores: NDArray[np.floating[Any]],
    labels: NDArray[np.int64],
    masks: CropMasks,
    mask_agreement: NDArray[np.float32],
    further: Mapping[str, NDArray[Any]] | None = None,
) -> Instances:
    """Make objects of M clusters, best score first.

    Parameters
    ----------
    gathered : Gathered
        What all looks found.
    clusters : Clusters
        Members of each object, indices into `gathered`.
    boxes, scores, labels, masks
        One per cluster.
    mask_agreement : (M,) float32
        Mean IoU over all pairs of the members' masks.
    further : mapping of str to (M,), optional
        Columns of the strategy's own.

    Returns
    -------
    Instances
        With the columns that `looks` names, and the means of what the networks know besides,
        weighted by score.
    """
    of = clusters.members
    votes = clusters.distinct(gathered.look[of])[0]
    member_scores = gathered.scores[of].astype(np.float64)
    mean = clusters.sum(member_scores) / clusters.sizes
    spread = clusters.sum((member_scores - mean[clusters.owner]) ** 2) / clusters.sizes
    columns: dict[str, NDArray[Any]] = {
        **gathered.columns(clusters, member_scores * gathered.weights[gathered.look[of]]),
        "members": clusters.distinct(gathered.model[of])[0],
        "votes": votes,
        "agreement": (votes / max(len(gathered.looks), 1)).astype(np.float32),
        "score_spread": np.sqrt(spread).astype(np.float32),
        "mask_agreement": mask_agreement,
        **(further or {}),
    }
    size = masks.image_size
    return Instances(size, boxes, scores, labels, masks, columns).sort_by_score()
