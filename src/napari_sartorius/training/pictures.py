"""What a training sees and finds, as pictures for a person.

Two colours that everybody can tell apart (Okabe and Ito 2008): what is true is blue, what the model
found is orange. Where both agree there are two outlines around one cell; a cell that was missed is
filled blue, one that is not there orange.
"""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.evaluation.matching import one_to_one, pairs_above
from napari_sartorius.io.atomic import atomic_write, write_bytes
from napari_sartorius.io.outlines import smooth_outlines
from napari_sartorius.io.overlay import stretch_contrast
from napari_sartorius.training.picture_names import BEFORE, BEST, FOUND, NOW, TRUTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sartorius.training.images import AnnotatedImage
    from napari_sartorius.training.picture_names import Colour
    from napari_sartorius.training.validate import ValidationResult

SAME_CELL = 0.5
"""IoU above which what was found is the true cell."""

MOST_PICTURES = 4

_WINDOW = 256  # pixels of the image; more cells than that shows nobody looks at
_SIDE = 640  # pixels of the picture
_FILL = 0.42

Window = tuple[int, int, int, int]


class RunPictures:
    """Writes what each validation found beside the truth, in a run's folder.

    ``NAME-before.png`` is the first validation, ``NAME-now.png`` the latest and ``NAME-best.png``
    the one whose weights are kept. Nothing is computed for it but the drawing.

    Parameters
    ----------
    folder
        Where the pictures go.
    most
        Number of images that are drawn, spread evenly.
    """

    def __init__(self, folder: Path, most: int = MOST_PICTURES) -> None:
        self._folder, self._most = folder, most

    def write(self, result: ValidationResult, *, improved: bool) -> None:
        """Draw a validation.

        Raises
        ------
        UserError
            When the folder cannot be written to.
        """
        count = len(result.images)
        chosen = np.linspace(0, count - 1, min(self._most, count)).round().astype(int).tolist()
        for place, number in enumerate(chosen):
            image = result.images[number]
            stem = f"{place + 1:02d}-{_plain(image.name)}"
            picture = draw_comparison(image, result.shown(number), fullest_window(image))
            now = self._folder / f"{stem}-{NOW}.png"
            write_png(now, picture)
            for name, wanted in ((BEFORE, False), (BEST, improved)):
                copy = self._folder / f"{stem}-{name}.png"
                if wanted or not copy.exists():
                    with atomic_write(copy) as temporary:
                        shutil.copyfile(now, temporary)


def fullest_window(image: AnnotatedImage, side: int = _WINDOW) -> Window:
    """The part of an image with the most cells: x0, y0, x1, y1, at most `side` wide and high."""
    height, width = image.pixels.shape[:2]
    wide, high = min(side, width), min(side, height)
    boxes = image.masks.bounding_boxes().astype(np.float64)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    best, most = (0, 0), -1
    for y0 in _starts(height, high):
        for x0 in _starts(width, wide):
            inside = (centres >= (x0, y0)) & (centres < (x0 + wide, y0 + high))
            count = int(inside.all(axis=1).sum())
            if count > most:
                best, most = (x0, y0), count
    return best[0], best[1], best[0] + wide, best[1] + high


def draw_comparison(
    image: AnnotatedImage, found: Instances, window: Window | None = None
) -> NDArray[np.uint8]:
    """Draw true cells and found ones over a part of an image.

    Parameters
    ----------
    image
        Pixels and true cells.
    found
        Found cells on the whole image; a cell of another kind than the true one is not that cell.
    window
        x0, y0, x1, y1 in pixels; the whole image when None.

    Returns
    -------
    (H, W, 3) uint8
        Enlarged by a whole number to a side near 640 pixels.
    """
    height, width = image.pixels.shape[:2]
    x0, y0, x1, y1 = window or (0, 0, width, height)
    truth = Instances.from_masks(image.masks, categories=image.categories)
    missed, invented = disagreements(truth, found)
    grey = stretch_contrast(image.pixels[y0:y1, x0:x1].astype(np.float32).squeeze())
    layers = []
    for instances, filled, colour in ((truth, missed, TRUTH), (found, invented, FOUND)):
        masks, kept = instances.masks.crop(x0, y0, x1, y1)
        layers.append((masks, filled[kept], colour))
    return _drawn(grey, layers)


def draw_truth(pixels: NDArray[np.uint8], labels: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Outlines of a label picture (S, S) over pixels (S, S, 3); enlarged as `draw_comparison`."""
    masks, _ = CropMasks.from_labels(labels)
    return _drawn(pixels, [(masks, np.zeros(len(masks), np.bool_), TRUTH)])


def disagreements(
    truth: Instances, found: Instances
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which true cells were missed (T,), and which found ones are none (F,)."""
    pairs = pairs_above(truth.masks, found.masks, SAME_CELL)
    alike = truth.categories[pairs.truth] == found.categories[pairs.predicted]
    same = one_to_one(type(pairs)(*(column[alike] for column in pairs)))
    missed, invented = np.ones(len(truth), np.bool_), np.ones(len(found), np.bool_)
    missed[same.truth] = False
    invented[same.predicted] = False
    return missed, invented


def write_png(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write a picture, atomically; errors as `io.atomic.atomic_write`."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    write_bytes(path, buffer.getvalue())


def _drawn(
    pixels: NDArray[np.uint8], layers: Sequence[tuple[CropMasks, NDArray[np.bool_], Colour]]
) -> NDArray[np.uint8]:
    picture = Image.fromarray(pixels).convert("RGB")
    zoom = max(1, _SIDE // max(picture.size))
    picture = picture.resize(
        (picture.width * zoom, picture.height * zoom), Image.Resampling.BICUBIC
    )
    for masks, filled, colour in layers:
        if filled.any():
            cover = _covered(masks[np.flatnonzero(filled)], picture.size)
            picture.paste(Image.new("RGB", picture.size, colour), mask=cover)
    draw = ImageDraw.Draw(picture)
    for place, (masks, _, colour) in enumerate(layers):
        wide = 2 if place == len(layers) - 1 else 4  # what agrees stays visible below
        for i in range(len(masks)):
            for ring in smooth_outlines(masks, i):
                line = [tuple(point) for point in ((ring + 0.0) * zoom).tolist()]
                draw.line([*line, line[0]], fill=colour, width=wide, joint="curve")
    return np.asarray(picture)


def _covered(masks: CropMasks, size: tuple[int, int]) -> Image.Image:
    """How opaque the masks' inside is, at the picture's size."""
    cover = np.zeros(masks.image_size, np.uint8)
    for bitmap, (x0, y0, x1, y1) in zip(masks, masks.boxes.tolist(), strict=True):
        cover[y0:y1, x0:x1][bitmap] = round(255 * _FILL)
    return Image.fromarray(cover).resize(size, Image.Resampling.NEAREST)


def _starts(length: int, side: int) -> list[int]:
    """Where windows begin that cover a line, half a window apart."""
    steps = max(0, -(-(length - side) * 2 // side))
    return [round(n * (length - side) / max(1, steps)) for n in range(steps + 1)]


def _plain(name: str) -> str:
    return re.sub(r"[^\w.()+-]+", "_", Path(name).stem)[:60] or "image"
