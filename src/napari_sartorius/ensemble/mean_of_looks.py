"""Mean over all looks: what one model makes of its views, and the default for several models.

Weighted boxes fusion (Solovyev et al. 2019) with the masks averaged on the fused box: the objects
of all looks are clustered by category and box IoU, best score first, each look giving at most one
member; box, mask and further columns are score-weighted means. The score is the mean over *all*
looks, a look that misses the object counting zero: an object seen by one of four looks only keeps a
quarter of its score, which is what makes views remove false positives and not only smooth outlines.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_sartorius.core.found import Found
from napari_sartorius.ensemble.close_pairs import close_pairs
from napari_sartorius.ensemble.clusters import Clusters
from napari_sartorius.ensemble.fused import fused_instances
from napari_sartorius.ensemble.gathered import Gathered
from napari_sartorius.ensemble.options import FusionOptions, Overlap
from napari_sartorius.ensemble.soft_masks import mean_masks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sartorius.core.instances import Instances
    from napari_sartorius.ensemble.looks import Canvas, Keep, Look, Strategy


class MeanOfLooks(FusionOptions):
    """Options of the mean over all looks.

    Attributes
    ----------
    iou
        Boxes of one category that overlap at least this much show the same object.
    """

    strategy: Literal["mean_of_looks"] = "mean_of_looks"
    iou: Overlap = 0.55

    def build(self) -> Strategy:
        """The function that fuses by these options."""
        return partial(mean_of_looks, options=self)


def mean_of_looks(looks: Sequence[Look], canvas: Canvas, options: MeanOfLooks) -> Instances:
    """Fuse by the mean over all looks; see `looks.Strategy`."""
    gathered = Gathered.of(looks)
    found, clusters = mean_found(gathered, canvas.keep, options.iou)
    agreement = gathered.mask_agreement(clusters, canvas)
    return fused_instances(
        gathered,
        clusters,
        found.boxes,
        found.scores,
        found.labels,
        canvas.draw(found),
        agreement,
        canvas.confidence(found),
    )


def mean_found(gathered: Gathered, keep: Keep | None, iou: float) -> tuple[Found, Clusters]:
    """Fuse objects without drawing them.

    Parameters
    ----------
    gathered : Gathered
        What all looks found, already in the same pixels.
    keep
        Says from fused scores and labels which objects are wanted; masks are averaged for these
        only. All when None.
    iou : float
        Boxes of one category that overlap at least this much show the same object.

    Returns
    -------
    found : Found
        Fused objects, best score first; those of a single look in their order.
    clusters : Clusters
        Where each comes from.
    """
    if len(gathered.looks) == 1:
        return _as_found(gathered, keep)
    weighted = gathered.scores * gathered.weights[gathered.look]
    cluster = _cluster(gathered, weighted, iou)
    # Members by index, so that sums do not depend on which of them was the best.
    clusters = Clusters.of(cluster, np.arange(len(cluster)))
    total = clusters.sum(weighted[clusters.members])
    scores = (total / gathered.weights.sum()).astype(np.float32)
    labels = gathered.labels[clusters.best]
    order = np.argsort(-scores, kind="stable")
    if keep is not None:
        order = order[keep(scores, labels)[order]]

    clusters, total = clusters[order], total[order]
    share = weighted[clusters.members] / np.maximum(total[clusters.owner], 1e-12)
    share = share.astype(np.float32)
    boxes = clusters.sum(gathered.boxes[clusters.members] * share[:, None]).astype(np.float32)
    fused = Found(
        boxes,
        scores[order],
        labels[order],
        mean_masks(gathered, clusters, share, boxes),
        any(look.found.capped for look in gathered.looks),
        gathered.columns(clusters, share),
    )
    return fused, clusters


def _as_found(gathered: Gathered, keep: Keep | None) -> tuple[Found, Clusters]:
    found = gathered.looks[0].found
    chosen = np.arange(len(found))
    if keep is not None:
        chosen = chosen[keep(found.scores, found.labels)]
        found = found[chosen]
    return found, Clusters(chosen, np.ones(len(chosen), np.int64))


def _cluster(gathered: Gathered, weighted: NDArray[np.float64], iou: float) -> NDArray[np.int64]:
    """Cluster of each object, (N,), numbered from 0; best score first."""
    pairs = close_pairs(gathered.boxes, gathered.labels, iou)
    ends, others = [0, *pairs.ends.tolist()], pairs.other.tolist()
    looks = gathered.look.tolist()
    cluster = [-1] * len(gathered)
    count = 0
    for node in np.argsort(-weighted, kind="stable").tolist():
        if cluster[node] >= 0:
            continue
        cluster[node] = count
        seen = {looks[node]}
        for other in others[ends[node] : ends[node + 1]]:
            if cluster[other] < 0 and looks[other] not in seen:
                cluster[other] = count
                seen.add(looks[other])
        count += 1
    return np.array(cluster, np.int64)
