"""A picture for people: outlines of all objects over the image, with legend and scale bar."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image, ImageDraw

from napari_sartorius.core.categories import default_colour
from napari_sartorius.core.sampling import thinned
from napari_sartorius.core.wide_numbers import for_float32
from napari_sartorius.io.atomic import write_bytes
from napari_sartorius.io.outlines import smooth_outlines
from napari_sartorius.io.overlay_legend import draw_legend, draw_scale_bar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sartorius.core.categories import Category
    from napari_sartorius.core.instances import Instances

ColourBy = Literal["auto", "category", "instance"]

_COMFORTABLE_SIDE = 1400
_LARGEST_SIDE = 5000
_LARGEST_SUPERSAMPLED = 6_000_000
_ROWS = 256


def write_overlay(
    path: str | Path, image: NDArray[Any], instances: Instances, **options: Any
) -> None:
    """Draw an overlay and save it as PNG, atomically; see `draw_overlay` for the parameters.

    Raises
    ------
    UserError
        When the file cannot be written.
    """
    buffer = io.BytesIO()
    Image.fromarray(draw_overlay(image, instances, **options)).save(buffer, "PNG")
    write_bytes(path, buffer.getvalue())


def draw_overlay(
    image: NDArray[Any],
    instances: Instances,
    *,
    categories: Sequence[Category] | None = None,
    colour_by: ColourBy = "auto",
    fill: float = 0.16,
    pixel_size: float | None = None,
    legend: bool = True,
) -> NDArray[np.uint8]:
    """Draw outlines over the contrast-stretched image.

    Parameters
    ----------
    image
        (Y, X) or (Y, X, 3), any real dtype without NaN.
    instances
        Objects on an image of the same size.
    categories
        Names and colours by category index; None: default colours and no legend.
    colour_by
        ``"category"``; ``"instance"``, where neighbours differ; ``"auto"``: by category when there
        is more than one kind, else by instance.
    fill
        Opacity of the objects' inside, 0 to 1.
    pixel_size
        In micrometres; adds a scale bar.
    legend
        Whether to draw names, colours and counts of the categories.

    Returns
    -------
    (Y * zoom, X * zoom, 3) uint8
        Small images are enlarged by a whole number, so that outlines stay thinner than cells;
        images with a side above 5,000 pixels are reduced by a whole number (sizes rounded up).

    Raises
    ------
    ValueError
        When image and objects differ in size.
    """
    height, width = image.shape[:2]
    if (height, width) != instances.image_size:
        raise ValueError(f"image is {(height, width)}, objects lie on {instances.image_size}")
    side = max(height, width)
    enlarge, shrink = min(8, max(1, round(_COMFORTABLE_SIDE / side))), -(-side // _LARGEST_SIDE)
    base = Image.fromarray(stretch_contrast(image)).convert("RGB").reduce(shrink)
    base = base.resize((base.width * enlarge, base.height * enlarge), Image.Resampling.BICUBIC)
    zoom = enlarge / shrink
    by_category = colour_by == "category" or (
        colour_by == "auto" and categories is not None and len(categories) > 1
    )
    colours = _colours(instances, categories, by_category)
    picture = _draw_outlines(_tint(base, instances, colours, fill), instances, colours, zoom)
    if legend and categories is not None and len(instances):
        draw_legend(picture, instances, categories, coloured=by_category)
    if pixel_size is not None:
        draw_scale_bar(picture, pixel_size / zoom)
    return np.asarray(picture)


def stretch_contrast(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Map the 0.3rd to 99.7th percentile to 0 to 255; a constant image becomes mid-grey.

    Parameters
    ----------
    image
        (Y, X) or (Y, X, 3), any real dtype; colours are stretched together.
    """
    image = for_float32(image)
    low, high = np.percentile(thinned(image, 1_000_000).astype(np.float32), [0.3, 99.7])
    if not high > low:
        low, high = float(image.min()), float(image.max())
    if not high > low:
        return np.full(image.shape, 128, np.uint8)
    result = np.empty(image.shape, np.uint8)
    for top in range(0, len(image), _ROWS):  # floats of a whole slide would fill the memory
        rows = image[top : top + _ROWS].astype(np.float32)
        rows = (rows - np.float32(low)) * np.float32(255 / (high - low))
        result[top : top + _ROWS] = np.clip(rows, 0, 255)
    return result


def _colours(
    instances: Instances, categories: Sequence[Category] | None, by_category: bool
) -> list[tuple[int, int, int]]:
    if not by_category:
        # The first colours of the palette are the strongest; the circle behind it never repeats.
        return [_rgb(default_colour(i + 7)) for i in range(len(instances))]
    names = [c.colour for c in categories] if categories is not None else []
    return [
        _rgb(names[c] if c < len(names) else default_colour(c))
        for c in instances.categories.tolist()
    ]


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _tint(
    base: Image.Image, instances: Instances, colours: list[tuple[int, int, int]], fill: float
) -> Image.Image:
    """Colour the inside of all objects, holes left out, where they overlap once only."""
    labels = instances.masks.to_labels()
    step = max(1, round(labels.shape[0] / base.height))
    labels = labels[::step, ::step]
    table = np.array([(0, 0, 0), *colours], np.uint8)
    coloured = Image.fromarray(table[labels]).resize(base.size, Image.Resampling.NEAREST)
    opacity = Image.fromarray(np.where(labels > 0, np.uint8(round(255 * fill)), np.uint8(0)))
    return Image.composite(coloured, base, opacity.resize(base.size, Image.Resampling.NEAREST))


def _draw_outlines(
    base: Image.Image, instances: Instances, colours: list[tuple[int, int, int]], zoom: float
) -> Image.Image:
    # Drawn larger and shrunk, which smooths the lines; too costly, and unneeded, on huge images.
    finer = 2 if base.width * base.height <= _LARGEST_SUPERSAMPLED else 1
    layer = Image.new("RGBA", (base.width * finer, base.height * finer), (0, 0, 0, 0))
    pen = ImageDraw.Draw(layer)
    line = finer * 1.1 * max(1.0, zoom) ** 0.5
    shapes = [
        ([tuple(point) for point in (outline * zoom * finer).tolist()], colour)
        for i, colour in enumerate(colours)
        for outline in smooth_outlines(instances.masks, i)
    ]
    # A dark rim below all lines keeps them visible on bright and coloured images.
    for opacity, width, dark in ((80, 1.9 * line, True), (255, line, False)):
        for points, colour in shapes:
            ink = (0, 0, 0, opacity) if dark else (*colour, opacity)
            pen.line([*points, *points[:2]], fill=ink, width=max(1, round(width)), joint="curve")
    if finer > 1:
        layer = _shrink(layer, base.size)
    return Image.alpha_composite(base.convert("RGBA"), layer).convert("RGB")


def _shrink(layer: Image.Image, size: tuple[int, int]) -> Image.Image:
    # Averaged with colours weighted by opacity, else outlines get dark rims.
    return layer.convert("RGBa").resize(size, Image.Resampling.BOX).convert("RGBA")
