"""Random training crops: drawn, changed, and brought to the size that the network sees.

All that joins or moves objects happens in pixels of the image, on the bitmaps; the zoom comes last
and is a factor on coordinates, so no mask is resampled by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from napari_sartorius.nn.targets import Target
from napari_sartorius.training.augment.blur import blurred
from napari_sartorius.training.augment.copy_paste import copy_paste
from napari_sartorius.training.augment.edges import edged
from napari_sartorius.training.augment.flip_paste import flip_paste, may_flip_paste
from napari_sartorius.training.augment.geometry import flip_and_turn, window_side
from napari_sartorius.training.augment.intensity import bend_intensity
from napari_sartorius.training.augment.mixup import mix
from napari_sartorius.training.augment.mosaic import draw_mosaic
from napari_sartorius.training.augment.source import PieceSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_sartorius.core.masks import CropMasks
    from napari_sartorius.training.augment.config import AugmentConfig
    from napari_sartorius.training.augment.piece import Piece
    from napari_sartorius.training.images import AnnotatedImage
    from napari_sartorius.training.sampling import Sampling

# A cell cut by the crop to fewer pixels than this cannot be recognised and is not taught.
_SMALLEST_AREA = 12


class CropSampler:
    """Draws the batch of any step; the same seed and step give the same batch, so a run resumes.

    Parameters
    ----------
    images, sampling
        Packed images and the probability of drawing each at any step.
    crop
        Side of a crop in network pixels.
    augment
        Strength of the random changes.
    seed
        Start of the random numbers.
    """

    def __init__(
        self,
        images: Sequence[AnnotatedImage],
        sampling: Sampling,
        crop: int,
        augment: AugmentConfig,
        seed: int,
    ) -> None:
        self.images, self.sampling = images, sampling
        self.crop, self.augment, self.seed = crop, augment, seed
        self._source = PieceSource(images)

    def batch(self, step: int, size: int, first: int = 0) -> tuple[Tensor, list[Target]]:
        """Batch (B, C, S, S) float32 and its truth.

        Parameters
        ----------
        step
            0-based.
        size
            Number of crops.
        first
            Number of the first of them in the whole batch, of which several processes draw parts.
        """
        rngs = [self._rng(step, first + place) for place in range(size)]
        pairs = [self.draw(rng, step) for rng in rngs]
        return torch.stack([image for image, _ in pairs]), [target for _, target in pairs]

    def names(self, step: int, size: int, first: int = 0) -> list[str]:
        """Name of the image of each crop that `batch` gives for the same arguments."""
        rngs = [self._rng(step, first + place) for place in range(size)]
        chances = self.sampling.probabilities(step)
        return [self.images[self._choice(rng, chances)].name for rng in rngs]

    def _rng(self, step: int, place: int) -> np.random.Generator:
        """Random numbers of one crop, whoever draws it."""
        return np.random.default_rng((self.seed, step, place))

    def _choice(self, rng: np.random.Generator, chances: NDArray[np.float64]) -> int:
        """Which image a crop is taken from; the first thing that is drawn for it."""
        return int(rng.choice(len(self.images), p=chances))

    def draw(self, rng: np.random.Generator, step: int = 0) -> tuple[Tensor, Target]:
        """One crop (C, S, S) and its truth."""
        chances = self.sampling.probabilities(step)
        index = self._choice(rng, chances)
        height, width = self.images[index].pixels.shape[:2]
        side = window_side(rng, self.augment, self.crop, (height, width))
        piece = self._joined(rng, index, chances, side)
        piece = piece.visible(self.augment.min_visibility, _SMALLEST_AREA)
        pixels = bend_intensity(rng, piece.pixels, self.augment)
        pixels = edged(rng, blurred(rng, pixels, self.augment), self.augment)
        return self._to_network(pixels, piece.masks, piece.categories, side)

    def _joined(
        self, rng: np.random.Generator, index: int, chances: NDArray[np.float64], side: int
    ) -> Piece:
        """One piece of at most `side` pixels, with whatever of other pieces is laid over it."""
        augment = self.augment
        piece = self._drawn(rng, index, chances, side)
        if _happens(rng, augment.copy_paste.probability):
            other = self._partner(rng, index, chances, side)
            piece = copy_paste(rng, piece, other, augment.copy_paste)
        if _happens(rng, augment.mixup.probability):
            piece = mix(rng, piece, self._partner(rng, index, chances, side), augment.mixup)
        config = augment.flip_paste
        if _happens(rng, config.probability) and may_flip_paste(piece, config):
            piece = flip_paste(piece, config)
        return piece

    def _drawn(
        self, rng: np.random.Generator, index: int, chances: NDArray[np.float64], side: int
    ) -> Piece:
        """A mosaic or a window, flipped and turned."""
        mosaic = self.augment.mosaic
        if mosaic.fixed or mosaic.random:
            which = rng.random()
            if which < mosaic.fixed + mosaic.random:
                return draw_mosaic(
                    rng, self._source, index, chances, side, self.augment,
                    fixed=which < mosaic.fixed,
                )  # fmt: skip
        return self._window(rng, index, side)

    def _window(self, rng: np.random.Generator, index: int, side: int) -> Piece:
        if self.augment.rotate:
            angle = self.augment.rotate
            piece = self._source.turned_window(rng, index, side, side, angle)
        else:
            piece = self._source.window(rng, index, side, side)
        return flip_and_turn(rng, self.augment, piece)

    def _partner(
        self, rng: np.random.Generator, index: int, chances: NDArray[np.float64], side: int
    ) -> Piece:
        return self._window(rng, self._source.partner(rng, index, chances), side)

    def _to_network(
        self,
        pixels: NDArray[np.float32],
        masks: CropMasks,
        categories: NDArray[np.int64],
        side: int,
    ) -> tuple[Tensor, Target]:
        """Zoom the window to the crop's side; a window smaller than that is padded with 0."""
        zoom = self.crop / side
        tensor = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
        height, width = (max(1, round(n * zoom)) for n in tensor.shape[1:])
        if (height, width) != tuple(tensor.shape[1:]):
            tensor = functional.interpolate(
                tensor[None], size=(height, width), mode="bilinear", antialias=zoom < 1
            )[0]
        scale = (width / pixels.shape[1], height / pixels.shape[0])
        if tensor.shape[1:] != (self.crop, self.crop):
            tensor = tensor[:, : self.crop, : self.crop]
            tensor = functional.pad(
                tensor, (0, self.crop - tensor.shape[2], 0, self.crop - tensor.shape[1])
            )
        factors = np.array([*scale, *scale], np.float32)
        # Masks of a piece are tight, so their boxes are those of the objects.
        target = Target(
            boxes=torch.from_numpy(masks.boxes.astype(np.float32) * factors),
            labels=torch.from_numpy(categories.astype(np.int64)),
            bits=torch.from_numpy(masks.bits.copy()) if len(masks) else _NO_BITS,
            offsets=torch.from_numpy(np.array(masks.offsets[:-1], dtype=np.int64)),
            bitmap_boxes=torch.from_numpy(masks.boxes.astype(np.int64)),
            scale=scale,
        )
        return tensor, target


_NO_BITS = torch.zeros(1, dtype=torch.uint8)


def _happens(rng: np.random.Generator, probability: float) -> bool:
    """Draw only for what is switched on, so that what is off changes no crop."""
    return probability > 0 and rng.random() < probability
