"""What an image scores with other limits, from objects found once: no network, no pasting.

A trial with one category costs microseconds once its mask probability and mask NMS were tried
before: overlaps are resolved in the order of scores, so weak objects never change strong ones, and
every score and size is a sum over the same matches. Other trials cost a few milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.evaluation.competition import Variant, competition_score
from napari_sartorius.evaluation.threshold_search import MatchedImage, image_table, match_image
from napari_sartorius.inference.selection import Selection
from napari_sartorius.postprocess.nms import MaskPairs, pairs_of, without_doubles
from napari_sartorius.postprocess.second_level.rescoring import COLUMN, Rank, rescore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


Choice = tuple[float, ...]
"""Values of what is tuned of one category, in the order of the names of a `Space`."""


class TrialImage(Protocol):
    """An image that can be scored with any limits."""

    def score(self, choices: Sequence[Choice]) -> float:
        """Competition score, 0..1, with one choice per category."""
        ...


class Packed:
    """Objects of an image with eight pixels to the byte.

    Parameters
    ----------
    objects
        Of any category.
    """

    def __init__(self, objects: Instances) -> None:
        masks = objects.masks.tight()
        self._bits = np.packbits(masks.bits)
        self._count = masks.bits.size
        self._boxes = masks.boxes
        self._size = masks.image_size
        self._scores = objects.scores
        self._categories = objects.categories

    def unpacked(self) -> Instances:
        """The objects, without further columns."""
        bits = np.unpackbits(self._bits, count=self._count)
        masks = CropMasks(bits, self._boxes, self._size)
        boxes = self._boxes.astype(np.float32)
        return Instances(self._size, boxes, self._scores, self._categories, masks)


@dataclass(frozen=True, eq=False)
class ThresholdImage:
    """Scores thresholds; a choice is smallest score, mask probability, mask NMS, smallest size.

    Attributes
    ----------
    truth
        True objects; none is empty.
    levels
        Weak and strong objects by mask probability, before doubles are removed.
    selection
        What is done to objects besides.
    area_factor
        Image pixels per network pixel (area).
    variant
        Of the competition score.
    """

    truth: Instances
    levels: Mapping[float, Packed]
    selection: Selection
    area_factor: float
    variant: Variant = "corrected"
    _matched: dict[tuple[float, float], MatchedImage] = field(default_factory=dict)
    _pairs: dict[tuple[float, ...], MaskPairs] = field(default_factory=dict)
    _scores: dict[tuple[Choice, ...], float] = field(default_factory=dict)

    def score(self, choices: Sequence[Choice]) -> float:
        """Competition score, 0..1, with one choice per category."""
        # What the other categories have makes no difference where an image shows only one.
        only = self.selection.only
        if only is not None and self.variant == "corrected" and not self.selection.filters:
            return self._quick(choices[only])
        key = tuple(choices) if only is None else (choices[only],)
        if key not in self._scores:
            kept = self.kept(choices)
            self._scores[key] = competition_score(self.truth, kept, self.variant).score
        return self._scores[key]

    def kept(self, choices: Sequence[Choice]) -> Instances:
        """Objects that a user with these thresholds would get."""
        score, mask, nms, size = np.array(choices, np.float64).T
        objects, pairs = self._objects(tuple(mask.tolist()))
        chosen = objects.scores >= score.astype(np.float32)[objects.categories]
        both = chosen[pairs.rows] & chosen[pairs.cols]
        among = MaskPairs(pairs.rows[both], pairs.cols[both], pairs.iou[both], pairs.areas)
        chosen &= without_doubles(objects, among, nms.astype(np.float32).tolist())
        own = replace(self.selection, min_size=size, in_image_pixels=False)
        return own.settle(objects[chosen], self.area_factor)

    def _objects(self, mask: tuple[float, ...]) -> tuple[Instances, MaskPairs]:
        """Objects of each category at its own mask probability, and how they overlap."""
        only = self.selection.only
        if only is not None:
            mask = (mask[only],)
            objects = self.levels[mask[0]].unpacked()
        else:
            levels = {value: self.levels[value].unpacked() for value in set(mask)}
            objects = Instances.concatenate(
                [levels[v][levels[v].categories == kind] for kind, v in enumerate(mask)]
            )
        if mask not in self._pairs:
            self._pairs[mask] = pairs_of(objects.masks)
        return objects, self._pairs[mask]

    def _quick(self, choice: Choice) -> float:
        score, mask, nms, size = choice
        if (mask, nms) not in self._matched:
            objects, pairs = self._objects((mask,) * len(self.selection.names))
            best = without_doubles(objects, pairs, float(np.float32(nms)))
            self._matched[mask, nms] = match_image(self.truth, objects[best])
        image = self._matched[mask, nms]
        return float(image_table(image, (score,), (size * self.area_factor,))[0, 0])


@dataclass(frozen=True, eq=False)
class JudgedImage:
    """Scores limits of a second level; a choice is the smallest predicted IoU.

    Attributes
    ----------
    truth
        True objects.
    judged
        Objects between mask NMS and overlap removal, with a column of predicted IoUs.
    selection, area_factor, variant
        As in `ThresholdImage`.
    rank
        What becomes the score.
    """

    truth: Instances
    judged: Instances
    selection: Selection
    area_factor: float
    rank: Rank
    variant: Variant = "corrected"
    _scores: dict[Choice, float] = field(default_factory=dict)

    def score(self, choices: Sequence[Choice]) -> float:
        """Competition score, 0..1, with one choice per category."""
        limits = tuple(choice[0] for choice in choices)
        if limits not in self._scores:
            predicted: NDArray[np.float32] = self.judged.columns[COLUMN]
            kept = rescore(self.judged, predicted, limits, self.rank)
            kept = self.selection.settle(kept, self.area_factor)
            self._scores[limits] = competition_score(self.truth, kept, self.variant).score
        return self._scores[limits]
