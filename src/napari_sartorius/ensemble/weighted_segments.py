"""Weighted segments fusion: boxes by weighted boxes fusion, pixels by the votes of its members.

From the Kaggle notebooks of G. Drange (mistag) for the Sartorius competition: boxes of all looks
are fused across categories, and each fused box keeps the pixels that enough of its members' binary
masks cover. The notebook finds members again by their rounded boxes, which loses some, and lets a
single vote of three decide; here indices are carried and `vote` means what it says.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_sartorius.ensemble.box_fusion import Confidence, weighted_boxes_fusion
from napari_sartorius.ensemble.fused import fused_instances
from napari_sartorius.ensemble.gathered import Gathered
from napari_sartorius.ensemble.member_masks import vote
from napari_sartorius.ensemble.options import FusionOptions, Overlap, Share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sartorius.core.instances import Instances
    from napari_sartorius.core.masks import CropMasks
    from napari_sartorius.ensemble.clusters import Clusters
    from napari_sartorius.ensemble.looks import Canvas, Look, Strategy


class WeightedSegments(FusionOptions):
    """Options of weighted segments fusion.

    Attributes
    ----------
    iou
        A box joins the fused box that it overlaps most, if by more than this.
    min_score
        Objects with a lower score are left out before fusing.
    confidence
        How the members' scores become one, see `box_fusion.Confidence`.
    vote
        Share of the members whose masks must cover a pixel for it to belong to the object; one
        member is always needed.
    compat
        ``"mistag"`` repeats the published notebook to the pixel: the needed votes and the edges
        of the fused box are rounded down.
    """

    strategy: Literal["weighted_segments"] = "weighted_segments"
    iou: Overlap = 0.55
    min_score: Share = 0.0
    confidence: Confidence = "avg"
    vote: Share = 0.5
    compat: Literal["mistag"] | None = None

    def build(self) -> Strategy:
        """The function that fuses by these options."""
        return partial(weighted_segments, options=self)


def weighted_segments(
    looks: Sequence[Look], canvas: Canvas, options: WeightedSegments
) -> Instances:
    """Fuse by weighted segments fusion; see `looks.Strategy`."""
    gathered = Gathered.of(looks)
    fused = weighted_boxes_fusion(
        gathered.boxes,
        gathered.scores,
        np.zeros_like(gathered.labels),
        gathered.look,
        gathered.weights,
        iou=options.iou,
        min_score=options.min_score,
        confidence=options.confidence,
    )
    clusters, boxes = fused.clusters, fused.boxes
    scores, labels = fused.scores.astype(np.float32), gathered.majority(clusters)
    if canvas.keep is not None:
        wanted = canvas.keep(scores, labels)
        clusters, boxes = clusters[wanted], boxes[wanted]
        scores, labels = scores[wanted], labels[wanted]
    members = gathered.draw(clusters.members, canvas)
    masks, agreement = fuse_segments(members, clusters, boxes, options.vote, options.compat)
    return fused_instances(gathered, clusters, boxes, scores, labels, masks, agreement)


def fuse_segments(
    masks: CropMasks,
    clusters: Clusters,
    boxes: NDArray[np.float64],
    share: float = 0.5,
    compat: Literal["mistag"] | None = None,
) -> tuple[CropMasks, NDArray[np.float32]]:
    """Let the members of each fused box vote on its pixels.

    Parameters
    ----------
    masks : CropMasks
        P masks, one per member, in the order of ``clusters.members``.
    clusters : Clusters
        M clusters.
    boxes : (M, 4) float
        Fused boxes, xyxy in pixels; the fused masks end there.
    share : float
        Share of the members that must cover a pixel, 0..1.
    compat : str, optional
        See `WeightedSegments`.

    Returns
    -------
    fused : CropMasks
        M masks; they may be empty or have several parts.
    agreement : (M,) float32
        Mean IoU over all pairs of members; 1 for a single member.
    """
    low, high = np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])
    needed = np.ceil(share * clusters.sizes)
    if compat == "mistag":
        high, needed = np.floor(boxes[:, 2:]), np.floor(share * clusters.sizes)
    limits = np.concatenate([low, high], axis=1).astype(np.int64)
    votes = np.ones(len(clusters.members), np.float32)
    return vote(masks, clusters, votes, np.maximum(needed, 1), limits)
