"""From what every place says to the boxes of an image: candidates, top-k, NMS, top-k."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

import torch
from torch import Tensor
from torchvision.ops import batched_nms, box_iou

from napari_sartorius.nn.detector import growth_of
from napari_sartorius.nn.fcos import boxes_at

if TYPE_CHECKING:
    from napari_sartorius.nn.config import FCOSConfig
    from napari_sartorius.nn.detector import DetectLimits
    from napari_sartorius.nn.fcos import FCOSMaps


# Candidates compared with all boxes in one go; bounds the memory.
_AT_ONCE = 1000


class FCOSBoxes(NamedTuple):
    """Boxes of one image that are *not* limited to it, best first.

    Attributes
    ----------
    boxes, scores, labels
        (N, 4) xyxy, (N,) 0..1 (the root of class probability times centerness), (N,) int64.
    capped
        Whether a limit on their number has cost wanted ones.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    capped: bool

    def of(self, chosen: Tensor | slice) -> FCOSBoxes:
        """The chosen boxes."""
        return self._replace(
            boxes=self.boxes[chosen], scores=self.scores[chosen], labels=self.labels[chosen]
        )


class TopK(NamedTuple):
    """Most candidates of a level before NMS, and most boxes of an image after it."""

    before: int
    after: int

    @classmethod
    def of(
        cls, config: FCOSConfig, image_size: tuple[int, int], training: bool, part: bool = False
    ) -> TopK:
        """What a tree allows for an image of this size; `part` is that of `DetectLimits`."""
        if training:
            return cls(config.pre_nms_topk_train, config.post_nms_topk_train)
        growth = growth_of(image_size, config.topk_area, part) if config.topk_grows else 1.0
        return cls(
            round(config.pre_nms_topk_test * growth), round(config.post_nms_topk_test * growth)
        )


@torch.no_grad()
def select(
    maps: FCOSMaps,
    places: tuple[Tensor, ...],
    image: int,
    config: FCOSConfig,
    topk: TopK,
    limits: DetectLimits | None = None,
) -> FCOSBoxes:
    """Boxes of one image of a batch.

    Parameters
    ----------
    maps, places
        Of all levels.
    image
        Which one of the batch.
    config
        Candidate score and NMS.
    topk
        Limits on the number.
    limits
        Further limits on score and overlap, and which boxes count as wanted.
    """
    overlap = config.nms_iou if limits is None else min(config.nms_iou, limits.nms)
    kept, late = [], []
    for level in range(len(places)):
        sorted_ones = _candidates(maps, image, level, config.candidate_score)
        if limits is not None:
            sorted_ones = sorted_ones.of(sorted_ones.scores > limits.score)
        kept.append(sorted_ones.of(slice(topk.before)))
        late.append(_wanted(sorted_ones.of(slice(topk.before, None)), limits))
    found = _decoded(kept, maps, places, image)
    found = found.of(batched_nms(found.boxes, found.scores, found.labels, overlap))
    left_out = _decoded(late, maps, places, image)
    found = found._replace(capped=_shows_another(left_out, found, overlap))
    if len(found.scores) > topk.after:
        # Boxes that share the last score stay together, as in the original.
        best = found.scores >= found.scores[topk.after - 1]
        cut = len(_wanted(found.of(~best), limits).scores) > 0
        found = found.of(best)._replace(capped=found.capped or cut)
    return found


def _shows_another(left_out: FCOSBoxes, found: FCOSBoxes, overlap: float) -> bool:
    """Whether a candidate that was left out shows an object that nothing that was kept shows."""
    for start in range(0, len(left_out.scores), _AT_ONCE):
        some = left_out.of(slice(start, start + _AT_ONCE))
        alike = some.labels[:, None] == found.labels
        shown = ((box_iou(some.boxes, found.boxes) > overlap) & alike).any(dim=1)
        if not bool(shown.all()):
            return True
    return False


class _Candidates(NamedTuple):
    """Places of one level that may show an object, best first; not decoded yet."""

    level: int
    places: Tensor
    scores: Tensor
    labels: Tensor

    def of(self, chosen: Tensor | slice) -> _Candidates:
        return _Candidates(
            self.level, self.places[chosen], self.scores[chosen], self.labels[chosen]
        )


def _candidates(maps: FCOSMaps, image: int, level: int, least: float) -> _Candidates:
    """Places and classes above the candidate score, which does not count centerness."""
    probability = maps.classes[level][image].sigmoid()
    rank = probability * maps.centerness[level][image].sigmoid()[:, None]
    index = torch.nonzero((probability > least).flatten()).flatten()
    value, order = rank.flatten()[index].sort(descending=True, stable=True)
    index, classes = index[order], probability.shape[1]
    place = torch.div(index, classes, rounding_mode="floor")
    return _Candidates(level, place, value.sqrt(), index % classes)


_Some = TypeVar("_Some", _Candidates, FCOSBoxes)


def _wanted(some: _Some, limits: DetectLimits | None) -> _Some:
    """Those that count when a limit is reported."""
    if limits is None:
        return some.of(slice(0))
    if not limits.wanted:
        return some
    return some.of(some.scores >= some.scores.new_tensor(limits.wanted)[some.labels])


def _decoded(
    levels: list[_Candidates], maps: FCOSMaps, places: tuple[Tensor, ...], image: int
) -> FCOSBoxes:
    """Boxes of the candidates of all levels; those that are no numbers are left out."""
    boxes = torch.cat(
        [
            boxes_at(places[one.level][one.places], maps.distances[one.level][image][one.places])
            for one in levels
        ]
    )
    scores, labels = torch.cat([c.scores for c in levels]), torch.cat([c.labels for c in levels])
    return FCOSBoxes(boxes, scores, labels, False).of(torch.isfinite(boxes).all(dim=1))
