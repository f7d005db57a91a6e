"""Proposals on which several networks have a say: mean of raw maps, or several lists as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torchvision.ops import nms

from napari_sartorius.core.errors import UserError
from napari_sartorius.ensemble.sight import boxes_back
from napari_sartorius.nn.boxes import clip_boxes
from napari_sartorius.nn.detector import Proposals
from napari_sartorius.nn.proposals import ProposalNetwork

if TYPE_CHECKING:
    from napari_sartorius.core.views import View
    from napari_sartorius.ensemble.sight import Sight, Size
    from napari_sartorius.nn.proposals import ProposalChoice

# Where lists of different groups meet, and the caller names no other IoU.
_USUAL_NMS = 0.7


def joint_proposals(
    sights: list[Sight], sizes: list[Size], choice: ProposalChoice
) -> list[Proposals]:
    """Candidate boxes of each image, clipped to its (height, width), best first.

    Parameters
    ----------
    sights
        Of all networks; those that look at the image as it is, at any scale, are asked.
    sizes
        (height, width) of each image, pixels.
    choice
        What survives; where it says nothing the first network of a group decides.
    """
    lists = [_propose(group, sizes, choice) for group in _groups(sights)]
    if len(lists) == 1:
        return lists[0]
    return [joined_lists(list(image), choice) for image in zip(*lists, strict=True)]


def mean_objectness(sights: list[Sight]) -> tuple[list[Tensor], int]:
    """Mean objectness logits (B, places * anchors) of every level, and anchors of a place.

    Raises
    ------
    UserError
        When the networks have no anchors, or not the same.
    """
    groups = _groups(sights)
    first = getattr(groups[0][0][0].network, "proposals", None)
    if len(groups) > 1 or not isinstance(first, ProposalNetwork):
        raise UserError(
            "places of objects can be counted only where all networks have the same anchors; tell "
            "the cell type by the objects that are found instead"
        )
    anchors = len(first.config.anchor_sizes[0]) * len(first.config.anchor_ratios)
    return _mean_maps(groups[0])[0], anchors


def _groups(sights: list[Sight]) -> list[list[tuple[Sight, int]]]:
    """Networks of the same anchors, each with the number of its view of the image as it is."""
    groups: dict[object, list[tuple[Sight, int]]] = {}
    for sight in sights:
        for number, view in enumerate(sight.views):
            if view.flip == "identity" and view.scale == sight.scale:
                groups.setdefault(_kind(sight, view), []).append((sight, number))
    return list(groups.values())


def _mean_maps(group: list[tuple[Sight, int]]) -> tuple[list[Tensor], list[Tensor]]:
    """Mean objectness and mean deltas of networks of one kind."""
    answers = [sight.network.proposals(sight.of_view(view)[0]) for sight, view in group]
    return mean_maps([logits for logits, _ in answers]), mean_maps([d for _, d in answers])


def mean_maps(maps: list[list[Tensor]]) -> list[Tensor]:
    """Mean over networks of what each gives for every level."""
    if len(maps) == 1:
        return maps[0]
    return [torch.stack(level).mean(dim=0) for level in zip(*maps, strict=True)]


def joined_lists(lists: list[Proposals], choice: ProposalChoice) -> Proposals:
    """One list of those of several groups, less what overlaps a better one, best first."""
    boxes = torch.cat([one.boxes for one in lists])
    logits = torch.cat([one.logits.float() for one in lists])
    kept = nms(boxes, logits, _USUAL_NMS if choice.nms is None else choice.nms)
    return Proposals(boxes[kept], logits[kept], any(one.capped for one in lists))


def _kind(sight: Sight, view: View) -> object:
    """Networks with an equal answer have the same anchors; others answer with themselves."""
    proposals = getattr(sight.network, "proposals", None)
    if not isinstance(proposals, ProposalNetwork):
        return sight.model
    config = proposals.config
    return (
        view.scale,
        proposals.strides,
        proposals.levels,
        config.anchor_sizes,
        config.anchor_ratios,
        config.anchor_offset,
        config.rounded_anchors,
        config.strides_from_map,
    )


def _propose(
    group: list[tuple[Sight, int]], sizes: list[Size], choice: ProposalChoice
) -> list[Proposals]:
    """Proposals of networks of one kind, in pixels of the images."""
    features, maps = group[0][0].of_view(group[0][1])
    seen = [one.seen for one in maps]
    first = getattr(group[0][0].network, "proposals", None)
    if isinstance(first, ProposalNetwork):
        logits, deltas = _mean_maps(group)
        found = first.select(logits, deltas, first.anchors(features), seen, choice)
    else:
        found = [_confident(one, choice) for one in group[0][0].network.propose(features, seen)]
    return [
        Proposals(clip_boxes(boxes_back(one.boxes, where), size), one.logits, one.capped)
        for one, where, size in zip(found, maps, sizes, strict=True)
    ]


def _confident(found: Proposals, choice: ProposalChoice) -> Proposals:
    if choice.score <= 0:
        return found
    kept = found.logits.sigmoid() > choice.score
    return Proposals(found.boxes[kept], found.logits[kept], found.capped)
