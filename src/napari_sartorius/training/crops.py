"""Random training crops: window, flips and turns exactly on the bitmaps, zoom on coordinates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from napari_sartorius.nn.targets import Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_sartorius.core.masks import CropMasks
    from napari_sartorius.training.config import AugmentConfig
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
        return [self.images[self._choice(rng, step)].name for rng in rngs]

    def _rng(self, step: int, place: int) -> np.random.Generator:
        """Random numbers of one crop, whoever draws it."""
        return np.random.default_rng((self.seed, step, place))

    def _choice(self, rng: np.random.Generator, step: int) -> int:
        """Which image a crop is taken from; the first thing that is drawn for it."""
        return int(rng.choice(len(self.images), p=self.sampling.probabilities(step)))

    def draw(self, rng: np.random.Generator, step: int = 0) -> tuple[Tensor, Target]:
        """One crop (C, S, S) and its truth."""
        image = self.images[self._choice(rng, step)]
        height, width = image.pixels.shape[:2]
        low, high = self.augment.scale
        scale = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        side = max(32, round(self.crop / scale))
        x0 = _window_start(rng, width, side)
        y0 = _window_start(rng, height, side)
        x1, y1 = min(x0 + side, width), min(y0 + side, height)
        masks, kept = image.masks.crop(x0, y0, x1, y1)
        categories = image.categories[kept]
        pixels = image.pixels[y0:y1, x0:x1].astype(np.float32)
        large = masks.area() >= _SMALLEST_AREA
        masks, categories = masks[large], categories[large]
        pixels, masks = _turn(pixels, masks, rng)
        pixels = _bend_intensity(pixels, self.augment, rng)
        return self._to_network(pixels, masks, categories, side)

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
        tensor = tensor[:, : self.crop, : self.crop]
        tensor = functional.pad(
            tensor, (0, self.crop - tensor.shape[2], 0, self.crop - tensor.shape[1])
        )
        factors = np.array([*scale, *scale], np.float32)
        target = Target(
            boxes=torch.from_numpy(masks.bounding_boxes() * factors),
            labels=torch.from_numpy(categories.astype(np.int64)),
            bits=torch.from_numpy(masks.bits.astype(np.uint8)) if len(masks) else _NO_BITS,
            offsets=torch.from_numpy(np.asarray(masks.offsets[:-1], dtype=np.int64)),
            bitmap_boxes=torch.from_numpy(masks.boxes.astype(np.int64)),
            scale=scale,
        )
        return tensor, target


_NO_BITS = torch.zeros(1, dtype=torch.uint8)


def _window_start(rng: np.random.Generator, length: int, side: int) -> int:
    """First pixel of a window; borders come as often as the middle although fewer windows touch."""
    if length <= side:
        return 0
    margin = side // 8
    return int(np.clip(rng.integers(-margin, length - side + margin + 1), 0, length - side))


def _turn(
    pixels: NDArray[np.float32], masks: CropMasks, rng: np.random.Generator
) -> tuple[NDArray[np.float32], CropMasks]:
    """One of the eight flips and quarter turns."""
    if rng.random() < 0.5:
        pixels, masks = pixels[:, ::-1], masks.flip_horizontal()
    if rng.random() < 0.5:
        pixels, masks = pixels[::-1], masks.flip_vertical()
    if rng.random() < 0.5:
        pixels, masks = pixels.transpose(1, 0, 2), masks.transpose()
    return pixels, masks


def _bend_intensity(
    pixels: NDArray[np.float32], augment: AugmentConfig, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Random gain, shift, monotone bend, colours, noise and inversion, in network units."""
    if augment.invert and rng.random() < augment.invert:
        pixels = -pixels
    if augment.colour and pixels.shape[2] > 1:
        # Rows add up to one, so grey stays as it is and only colours move.
        share = rng.uniform(0, augment.colour)
        exchanged = np.eye(pixels.shape[2])[rng.permutation(pixels.shape[2])]
        mix = (1 - share) * np.eye(pixels.shape[2]) + share * exchanged
        pixels = pixels @ mix.T.astype(np.float32)
    if augment.gamma > 1:
        exponent = np.exp(rng.uniform(-1, 1) * np.log(augment.gamma))
        unit = np.clip((pixels + 4) / 8, 0, 1)
        pixels = unit**exponent * 8 - 4
        # The bend also moves the middle grey; take that part back, brightness is drawn apart.
        pixels = pixels - np.float32(0.5**exponent * 8 - 4)
    gain = 1 + rng.uniform(-augment.contrast, augment.contrast)
    shift = rng.uniform(-augment.brightness, augment.brightness)
    pixels = pixels * np.float32(gain) + np.float32(shift)
    if augment.noise and rng.random() < 0.5:
        noise = rng.standard_normal(pixels.shape, dtype=np.float32)
        pixels = pixels + noise * np.float32(rng.uniform(0, augment.noise))
    return pixels.astype(np.float32, copy=False)
