"""What a fusion strategy is given and what it gives back: looks at one tile, and their objects.

A look is what one model found in one view. The columns that every strategy adds to its objects:

``members``
    (N,) int64, how many different models found the object.
``votes``
    (N,) int64, how many looks found it.
``agreement``
    (N,) float32, 0..1, share of all looks that found it.
``score_spread``
    (N,) float32, standard deviation of the members' scores; 0 where one look found it.
``mask_agreement``
    (N,) float32, 0..1, mean IoU over all pairs of the members' masks; 1 where one look found it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.core.found import Found
from napari_sartorius.core.mask_confidence import mask_confidence
from napari_sartorius.core.paste import paste

if TYPE_CHECKING:
    from napari_sartorius.core.instances import Instances
    from napari_sartorius.core.masks import CropMasks

Keep = Callable[[NDArray[np.float32], NDArray[np.int64]], NDArray[np.bool_]]
"""Says from fused scores and categories which objects are wanted."""

COLUMNS = ("members", "votes", "agreement", "score_spread", "mask_agreement")


@dataclass(frozen=True, eq=False)
class Look:
    """What one model found in one view.

    Attributes
    ----------
    found
        Its objects; boxes are in pixels of the image, masks as the network draws them.
    model
        Which model, from 0.
    view
        Which of its views, from 0.
    weight
        How much the model counts, above 0.
    """

    found: Found
    model: int = 0
    view: int = 0
    weight: float = 1.0


@dataclass(frozen=True, eq=False)
class Canvas:
    """Where fused objects are drawn, and what is wanted of them.

    Attributes
    ----------
    image_size : (height, width)
        Pixels.
    mask_threshold : (K,) float32
        Probability per category from which a pixel belongs to an object.
    keep
        Which fused objects are wanted; None for all. Only these need masks.
    whole_pixels
        Bring boxes to whole pixels before pasting, as torchvision does.
    mask_confidence
        Whether objects shall carry the columns of `core.mask_confidence`.
    """

    image_size: tuple[int, int]
    mask_threshold: NDArray[np.float32]
    keep: Keep | None = None
    whole_pixels: bool = False
    mask_confidence: bool = False

    def confidence(self, found: Found) -> dict[str, NDArray[np.float32]]:
        """Columns on the probabilities of the masks of objects, where these are wanted."""
        if not self.mask_confidence:
            return {}
        return mask_confidence(found.mask_probs, found.boxes, self.image_size, self.whole_pixels)

    def draw(self, found: Found) -> CropMasks:
        """Masks of the objects at full resolution."""
        return paste(
            found.mask_probs,
            found.boxes,
            self.image_size,
            self.mask_threshold[found.labels],
            self.whole_pixels,
        )


class Strategy(Protocol):
    """Fuses the looks at one tile into one set of objects with the columns named above."""

    def __call__(self, looks: Sequence[Look], canvas: Canvas) -> Instances:
        """Fuse.

        Parameters
        ----------
        looks
            One for every model and view, also those that found nothing.
        canvas
            Where to draw.

        Returns
        -------
        Instances
            Best score first. They may overlap; what is dropped is decided later.
        """
        ...
