"""Which of the found objects are given to the user: cell type, thresholds, overlaps, sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.mask_confidence import mask_confidence
from napari_sartorius.inference.result import ALL_TYPES as ALL_TYPES
from napari_sartorius.nn.detector import DetectLimits
from napari_sartorius.postprocess.filter_config import FilterConfig
from napari_sartorius.postprocess.filters import apply
from napari_sartorius.postprocess.nms import mask_nms
from napari_sartorius.postprocess.one_category import counted_as, winner
from napari_sartorius.postprocess.overlap import remove_overlap

if TYPE_CHECKING:
    from napari_sartorius.core.found import Found
    from napari_sartorius.inference.config import SegmentConfig
    from napari_sartorius.zoo.card import ModelCard

# Where neither the user nor the card says.
_BOX_NMS, _MAX_OBJECTS = 0.5, 1000
_Number = TypeVar("_Number", int, float)
Judge = Callable[[Instances], Instances]
"""The second level: drops objects of an image, and may change scores and add columns."""


@dataclass(frozen=True, eq=False)
class Selection:
    """Every limit that can drop an object, per category, card and configuration combined.

    Attributes
    ----------
    names
        Categories in the order of the network's classes.
    score, nms : (K,) float32
        Smallest score; largest mask IoU with a better object.
    mask : (K,) float32
        Probability from which a pixel belongs to the mask.
    min_size : (K,) float64
        Smallest mask, in pixels of the network's input unless `in_image_pixels`.
    in_image_pixels
        Whether `min_size` came from the user, who counts pixels of the image.
    only
        The one category to keep, or None.
    majority
        Whether an image shows one category, so that the majority decides.
    vote : (K,) float32
        Weight of each category's scores where the majority decides. A category of less than 1
        yields: where it does not win, its objects count as those of the winner.
    box_nms
        Largest box IoU with a better object of the same category, before masks are predicted.
    max_objects
        Most objects of one tile.
    own_limit
        Whether `max_objects` is the card's and not the user's.
    whole_pixels
        Whether boxes are brought to whole pixels before masks are pasted into them.
    filters
        What else is done to the objects, between removing doubles and removing overlaps.
    mask_confidence
        Whether objects carry the columns of `core.mask_confidence`, for the second level.
    """

    names: list[str]
    score: NDArray[np.float32]
    nms: NDArray[np.float32]
    mask: NDArray[np.float32]
    min_size: NDArray[np.float64]
    in_image_pixels: bool
    only: int | None
    majority: bool
    vote: NDArray[np.float32]
    box_nms: float
    max_objects: int
    own_limit: bool = False
    whole_pixels: bool = False
    filters: tuple[FilterConfig, ...] = ()
    mask_confidence: bool = False

    @classmethod
    def of(cls, card: ModelCard, config: SegmentConfig) -> Selection:
        """Combine a card's thresholds with the user's.

        Raises
        ------
        UserError
            When the configuration names a cell type that the model does not know.
        """
        names = list(card.category_names)
        for name in [config.cell_type, *config.score_thresholds]:
            if name not in names and name != "auto":
                raise UserError(
                    f"the model {card.name} knows no cell type {name!r}; choose auto or one of: "
                    f"{', '.join(names)}"
                )
        own = [card.thresholds_of(name) for name in names]
        general = [t.score if config.min_score is None else config.min_score for t in own]
        return cls(
            names=names,
            score=np.array(
                [config.score_thresholds.get(n, s) for n, s in zip(names, general, strict=True)],
                np.float32,
            ),
            nms=np.array(
                [t.nms if config.mask_nms is None else config.mask_nms for t in own], np.float32
            ),
            mask=np.array([t.mask for t in own], np.float32),
            min_size=np.array(
                [t.min_size if config.min_size is None else config.min_size for t in own],
                np.float64,
            ),
            in_image_pixels=config.min_size is not None,
            only=None if config.cell_type == "auto" else names.index(config.cell_type),
            majority=card.one_category_per_image,
            vote=np.array([t.vote for t in own], np.float32),
            box_nms=_first(config.box_nms, card.box_nms, _BOX_NMS),
            max_objects=_first(config.max_objects_per_tile, card.max_objects, _MAX_OBJECTS),
            own_limit=config.max_objects_per_tile is None and card.max_objects is not None,
            whole_pixels=card.mask_pasting == "whole_pixels",
            filters=card.filters,
        )

    def network_limits(self, looks: int, labels: NDArray[np.int64] | None = None) -> DetectLimits:
        """Limits for the network itself, no stricter than the later ones.

        With several looks (views, networks) an object may be weak in one of them and pass on
        average, so the limit is halved. `labels`, (K,), has the category of each of the network's
        classes where their orders differ.
        """
        wanted = self.first_score
        lowest = float(wanted.min())
        share = 0.999 if looks == 1 else 0.5
        if labels is not None:
            wanted = wanted[labels]
        return DetectLimits(lowest * share, self.box_nms, self.max_objects, tuple(wanted.tolist()))

    def confident(
        self, scores: NDArray[np.float32], labels: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Which objects may still reach their category's score and are not of an unwanted one."""
        return np.asarray(scores >= self.first_score[labels], dtype=np.bool_)

    @property
    def first_score(self) -> NDArray[np.float32]:
        """(K,) float32, smallest score while an image's category is not known; inf if unwanted.

        Where the objects of one category may come to count as those of another, the probabilities
        of both names for a cell will be added up, so half of the score is enough at first.
        """
        first = self.score
        if self._someone_yields:
            lowest = np.where(self._yielding, self.score.min(), self.score)
            first = lowest.astype(np.float32) / np.float32(2)
        if self.only is not None:
            wanted = np.arange(len(first)) == self.only
            if not self._yielding[self.only]:
                wanted |= self._yielding
            first = np.where(wanted, first, np.float32(np.inf))
        return first

    @property
    def _yielding(self) -> NDArray[np.bool_]:
        return np.asarray(self.majority & (self.vote < 1), np.bool_)

    @property
    def _someone_yields(self) -> bool:
        return bool(self._yielding.any())

    def type_of(self, found: Instances) -> int | None:
        """The category that the objects of an image decide on; None where there are none."""
        # Without a category that yields, what is not certain enough is not here.
        heard = self.score if self._someone_yields else np.zeros_like(self.score)
        return winner(found, heard, self.vote)

    def finish(
        self, found: Instances, area_factor: float, judge: Judge | None = None
    ) -> tuple[Instances, str]:
        """Decide the cell type, then remove doubles, overlaps and crumbs.

        Parameters
        ----------
        found
            Confident objects of the whole image.
        area_factor : float
            Image pixels per pixel of the network's input (area).
        judge
            The second level, asked once doubles are gone.

        Returns
        -------
        instances : Instances
            Objects that share no pixel, best score first.
        cell_type : str
            The category that was kept, or ``all``.
        """
        kept, cell_type = self._one_type(found)
        kept = mask_nms(kept, self.nms.tolist())
        if judge is not None:
            kept = judge(kept)
        return self.settle(kept, area_factor), cell_type

    def settle(self, kept: Instances, area_factor: float) -> Instances:
        """Filters of the card, then each pixel to one object; best score first."""
        smallest = self.min_size * (1.0 if self.in_image_pixels else area_factor)
        kept = apply(self.filters, kept, self.names, scale=area_factor**0.5)
        return remove_overlap(kept, smallest.tolist()).sort_by_score()

    def confidence(
        self, found: Found, boxes: NDArray[np.float32], image_size: tuple[int, int]
    ) -> dict[str, NDArray[np.float32]]:
        """Columns that the second level needs of the objects drawn into `boxes`, if it does."""
        if not self.mask_confidence:
            return {}
        return mask_confidence(found.mask_probs, boxes, image_size, self.whole_pixels)

    def _one_type(self, found: Instances) -> tuple[Instances, str]:
        kind = self.only
        if kind is None:
            if len(self.names) == 1:
                return found, self.names[0]
            if not self.majority:
                return found, ALL_TYPES
            kind = self.type_of(found)
            if kind is None:
                return found[:0], ALL_TYPES
        kept = counted_as(found, kind, self._yielding)
        if self._someone_yields:
            kept = kept[kept.scores >= self.score[kind]]
        return kept, self.names[kind]


def _first(wish: _Number | None, own: _Number | None, usual: _Number) -> _Number:
    """What the user says, else the card, else what is usual."""
    if wish is not None:
        return wish
    return usual if own is None else own
