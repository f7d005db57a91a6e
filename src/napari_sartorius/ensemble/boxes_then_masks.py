"""All networks' boxes side by side, and every network's mask of each of them (7th place).

Nearly no box is dropped before its mask is known (NMS at IoU 0.99): which of two objects that
overlap stays is decided by their masks, which are means over all networks.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_sartorius.ensemble.box_lists import BoxList, concatenated, votes_for
from napari_sartorius.ensemble.joined import JoinedNetwork, Kept
from napari_sartorius.ensemble.sight import boxes_back
from napari_sartorius.nn.boxes import clip_boxes
from napari_sartorius.nn.detector import Detections, DetectLimits
from napari_sartorius.nn.keep_best import BestBoxes, keep_best

if TYPE_CHECKING:
    from napari_sartorius.ensemble.sight import Sight, Size
    from napari_sartorius.ensemble.stage_config import BoxesThenMasksConfig


class BoxesThenMasks(JoinedNetwork):
    """Networks joined by drawing each other's boxes.

    Parameters
    ----------
    networks, config, inputs, names
        As `napari_sartorius.ensemble.join.join` describes them.
    """

    fusion: BoxesThenMasksConfig

    @torch.inference_mode()
    def detect(
        self,
        batch: Tensor,
        limits: DetectLimits | None = None,
        image_sizes: list[Size] | None = None,
    ) -> list[Detections]:
        """Find the objects of each image; parameters as in `Network.detect`.

        Boxes are dropped at the overlaps of the settings and not at `limits.nms`, so most objects
        come several times; whoever asks drops masks that overlap.
        """
        limits = limits or DetectLimits()
        sizes = image_sizes or [(batch.shape[2], batch.shape[3])] * len(batch)
        sights = self.look(batch, sizes)
        own = replace(limits, nms=self.fusion.member_nms, max_detections=self.fusion.max_boxes)
        looks = [images for sight in sights for images in _boxes_of(sight, sizes, own)]
        models = [sight.model for sight in sights for _ in sight.views]
        most = min(self.fusion.max_boxes, limits.max_detections)
        kept = []
        for image in zip(*looks, strict=True):
            merged = concatenated(list(image), self.fusion.box_nms, most, limits.wanted)
            columns = votes_for(merged, list(image), models, self.fusion.vote_score)
            kept.append(Kept(merged.boxes, merged.scores, merged.labels, merged.capped, columns))
        return self.finish(sights, kept)


def _boxes_of(sight: Sight, sizes: list[Size], limits: DetectLimits) -> list[list[BoxList]]:
    """What one network finds for itself in each of its views, in pixels of the images."""
    network, seen = sight.network, sight.sizes
    if hasattr(network, "find_boxes"):
        found = network.find_boxes(sight.features, seen, limits)
    else:
        found = _staged(sight, limits)
    lists = [
        BoxList(clip_boxes(boxes_back(one.boxes, where), size), one.scores, one.labels, one.capped)
        for one, where, size in zip(found, sight.maps, sizes * len(sight.views), strict=True)
    ]
    images = len(sizes)
    return [lists[i : i + images] for i in range(0, len(lists), images)]


def _staged(sight: Sight, limits: DetectLimits) -> list[BestBoxes]:
    """Final boxes of a network of which only the stages are known."""
    proposals = sight.network.propose(sight.features, sight.sizes)
    scored = sight.network.score_boxes(
        sight.features, [one.boxes for one in proposals], sight.sizes
    )
    return [
        keep_best(one, proposal, size, limits)
        for one, proposal, size in zip(scored, proposals, sight.sizes, strict=True)
    ]
