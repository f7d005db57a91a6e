"""From an image of any kind to what the network sees, one window at a time.

Nothing here makes a float copy of the whole image: channels, scale and normalisation are applied
to the window that is asked for, with numbers measured once for the whole image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.core.channels import ChannelChoice, choose_colours, looks_brown
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.normalise import Scaling, measure, to_channels
from napari_sartorius.core.sampling import thinned
from napari_sartorius.inference.rescale import Rescaler, choose_scale
from napari_sartorius.inference.tiling import Rectangle

if TYPE_CHECKING:
    from napari_sartorius.core.normalise import Normalisation
    from napari_sartorius.inference.config import SegmentConfig
    from napari_sartorius.zoo.card import ModelCard

# Percentiles of a larger image come from about this many evenly spaced pixels.
_SAMPLE = 4_000_000
# An image whose brightest pixel is below this share of a model's mean looks black to it.
_DARK = 1 / 4
_BROWN = (
    "a good part of this image is brown; if it is stained tissue whose nuclei are missed, try the "
    "channel hematoxylin or a lower score"
)
# Rows looked at in one go when searching for NaN.
_CHECK_ROWS = 512


class PartlyRead(Protocol):
    """Pixels (Y, X, C) that are read where they are asked for, from a file for example."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width, channels."""

    def __getitem__(self, key: Any, /) -> NDArray[Any]:
        """Read a part."""


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """An image that can be read in pixels of the network's input.

    Attributes
    ----------
    pixels : (Y, X, C)
        The image in its own pixels and number type; an array, or read part by part.
    channel
        Which channel of it is used.
    channels
        Channels of the network's input.
    scaling
        Normalisation measured on the whole image.
    rescaler
        Gives `size`, the (height, width) of the network's input image.
    notices
        What the user should know about the chosen scale and the grey levels.
    """

    pixels: NDArray[Any] | PartlyRead
    channel: ChannelChoice
    channels: Literal[1, 3]
    scaling: Scaling
    rescaler: Rescaler
    notices: tuple[str, ...]

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) in the image's own pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def window(self, part: Rectangle) -> NDArray[np.float32]:
        """Network input, (height, width, channels) float32, of a part of the rescaled image."""

        def read(source: Rectangle) -> NDArray[Any]:
            crop = np.asarray(self.pixels[source.y0 : source.y1, source.x0 : source.x1])
            return _choose_channel(crop, self.channel, self.channels)

        return self.scaling.apply(self.rescaler.window(read, part))

    def grey_levels(self, y: NDArray[np.int64], x: NDArray[np.int64]) -> NDArray[np.float32]:
        """Grey levels (P,) of pixels of the image at `y` and `x`, (P,), as the network has them.

        Normalised, so that they mean the same in images of any number type and exposure; of colours
        the mean.
        """
        assert isinstance(self.pixels, np.ndarray), "only images that are there as a whole"
        pixels = _choose_channel(self.pixels[y, x][None], self.channel, self.channels)
        mean: NDArray[np.float32] = self.scaling.apply(pixels)[0].mean(axis=-1)
        return mean


def prepare(
    image: NDArray[Any],
    card: ModelCard,
    config: SegmentConfig,
    pixel_size: float | None = None,
) -> PreparedImage:
    """Check an image and measure what is needed to read it window by window.

    Parameters
    ----------
    image : (Y, X) or (Y, X, C)
        Any real number type; C is 1 to 4 unless the configuration chooses a channel. With two
        axes there is nothing left to choose.
    card, config
        What the model expects and what the user wants.
    pixel_size
        Micrometres per pixel as the image's file says, or None.

    Raises
    ------
    UserError
        When the image is empty, has other axes, is complex, holds NaN or infinity, or has no such
        channel.
    """
    pixels = _with_channel_axis(np.asarray(image))
    _check_numbers(pixels)
    channels: Literal[1, 3] = 3 if card.input_channels == 3 else 1
    # Two axes: whoever read the image has chosen the channel already.
    channel: ChannelChoice = "auto" if np.ndim(image) == 2 else config.channel
    _check_channel(pixels, channel)
    size = pixels.shape[0], pixels.shape[1]
    scale = choose_scale(card, config, pixel_size, size)
    rescaler = Rescaler(size, scale.factor, card.whole_grey_levels, card.input_size)
    scaling = _measure(pixels, channel, channels, card.normalisation)
    chosen = channel != "auto" or config.min_score is not None
    stain = _BROWN if not chosen and channels == 3 and looks_brown(pixels) else None
    notices = tuple(n for n in (scale.notice, _darkness(pixels, card), stain) if n is not None)
    return PreparedImage(pixels, channel, channels, scaling, rescaler, notices)


def prepare_parts(
    image: PartlyRead, card: ModelCard, config: SegmentConfig, pixel_size: float | None = None
) -> PreparedImage:
    """As `prepare`, of an image that is read part by part: evenly spaced pixels are looked at now.

    Parameters
    ----------
    image
        (Y, X, C); of an image that is small enough all pixels are looked at.
    card, config, pixel_size
        As for `prepare`, as the errors are.
    """
    seen = prepare(np.asarray(thinned(image, _SAMPLE)), card, config, pixel_size)  # type: ignore[arg-type]
    size = image.shape[0], image.shape[1]
    factor = choose_scale(card, config, pixel_size, size).factor
    rescaler = Rescaler(size, factor, card.whole_grey_levels, card.input_size)
    return replace(seen, pixels=image, rescaler=rescaler)


def network_view(
    image: NDArray[Any],
    card: ModelCard,
    config: SegmentConfig,
    pixel_size: float | None = None,
) -> NDArray[np.float32]:
    """Return the whole image as the network sees it, (height, width, channels) float32.

    For people who want to look at it; errors as in `prepare`.
    """
    prepared = prepare(image, card, config, pixel_size)
    return prepared.window(Rectangle(0, 0, *prepared.rescaler.size))


def _with_channel_axis(image: NDArray[Any]) -> NDArray[Any]:
    if image.ndim not in (2, 3):
        raise UserError(
            f"expected an image with axes (Y, X) or (Y, X, channels) but got {image.ndim} axes of "
            f"shape {image.shape}; choose one plane, or segment it as a stack"
        )
    if 0 in image.shape:
        raise UserError(f"the image has no pixels (shape {image.shape}); choose another image")
    return image[..., None] if image.ndim == 2 else image


def _check_numbers(pixels: NDArray[Any]) -> None:
    if pixels.dtype.kind not in "biuf":
        raise UserError(
            f"pixels of type {pixels.dtype} cannot be segmented; convert the image to a real "
            "integer or float type"
        )
    if pixels.dtype.kind != "f":
        return
    for row in range(0, len(pixels), _CHECK_ROWS):
        if not np.isfinite(pixels[row : row + _CHECK_ROWS]).all():
            raise UserError(
                "the image holds NaN or infinite pixels; replace them (for example by 0) and try "
                "again"
            )


def _darkness(pixels: NDArray[Any], card: ModelCard) -> str | None:
    """Sentence for an image that a model of fixed grey levels would see almost black."""
    if card.normalisation.method != "fixed" or pixels.dtype in (np.uint8, np.bool_):
        return None
    brightest = float(thinned(pixels, _SAMPLE).max())
    white = 255.0 if pixels.dtype.kind == "f" else float(np.iinfo(pixels.dtype).max)
    level = brightest / white * 255
    if level >= _DARK * float(np.min(card.normalisation.mean)):
        return None
    return (
        f"the model {card.name} was trained on grey levels around "
        f"{np.mean(card.normalisation.mean):.0f} of 255, where this {pixels.dtype} image reaches "
        f"only {level:.2g} and looks almost black; convert it to 8 bits as its training images were"
    )


def _check_channel(pixels: NDArray[Any], channel: ChannelChoice) -> None:
    count = pixels.shape[2]
    if isinstance(channel, int):
        if channel >= count:
            raise UserError(
                f"channel {channel} was asked for but the image has {count}; channels count from 0"
            )
    elif count > 4:
        raise UserError(
            f"the image has {count} channels and it is not clear which one shows the cells; "
            "choose a channel by its number, counted from 0"
        )


def _choose_channel(
    pixels: NDArray[Any], channel: ChannelChoice, channels: Literal[1, 3]
) -> NDArray[Any]:
    if channel != "auto":
        pixels = choose_colours(pixels, channel)
    return to_channels(pixels, channels)


def _measure(
    pixels: NDArray[Any],
    channel: ChannelChoice,
    channels: Literal[1, 3],
    normalisation: Normalisation,
) -> Scaling:
    if normalisation.method == "fixed":
        # Depends on the number type of the file only, which mixing channels would hide.
        return measure(pixels[:1, :1], normalisation)
    sample = thinned(pixels, _SAMPLE)
    return measure(_choose_channel(sample, channel, channels), normalisation)
