"""The worst images of a report as pictures: truth, prediction, and what went wrong."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from napari_sartorius.core.categories import Category
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.evaluation.outcome_colours import OUTCOMES
from napari_sartorius.evaluation.outcomes import Outcome
from napari_sartorius.io.images import plane_shape, read_image, read_plane
from napari_sartorius.io.overlay import draw_overlay

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.evaluation.cases import Case
    from napari_sartorius.evaluation.outcomes import ObjectOutcomes
    from napari_sartorius.evaluation.results import EvaluationResult

_QUALITY = 80
# A page is to be opened by any browser, whatever the size of the images.
_LARGEST_SIDE = 2000
_SHOWN = (Outcome.MISSED, Outcome.EXTRA, Outcome.MERGED, Outcome.SPLIT, Outcome.MATCHED)


@dataclass(frozen=True)
class CasePictures:
    """Three pictures of one image as ``data:`` addresses, and whether its file was found."""

    truth: str
    predicted: str
    errors: str
    has_image: bool


def worst_images(result: EvaluationResult, count: int) -> list[int]:
    """Return the positions of the images with the lowest scores, the worst first.

    Of equal scores the one with more wrong objects comes first. Images without any mistake at an
    IoU of 0.5 and above are left out.
    """

    def badness(i: int) -> tuple[float, int]:
        image = result.images[i]
        return image.competition.score, image.outcomes.counts.matched - image.true_count

    wrong = [i for i, image in enumerate(result.images) if image.competition.score < 1]
    return sorted(wrong, key=badness)[:count]


def draw_case(case: Case, outcomes: ObjectOutcomes) -> CasePictures:
    """Draw one image three times; on a plain ground where its file cannot be used."""
    image = _image(case)
    ground = np.full(case.truth.image_size, 128, np.uint8) if image is None else image
    return CasePictures(
        _address(draw_overlay(ground, case.truth)),
        _address(draw_overlay(ground, case.predicted)),
        _errors(ground, case, outcomes),
        image is not None,
    )


def _image(case: Case) -> NDArray[Any] | None:
    """Read the image from the first place where one of this size, with this plane, is."""
    for place in case.places:
        if not place.is_file():
            continue
        try:
            data = read_image(place)
            if "C" in data.axes or data.size != case.truth.image_size:
                continue
            if not _has_plane(plane_shape(data), case.plane):
                continue
            pixels = read_plane(data, case.plane)
        except UserError:
            continue
        return np.nan_to_num(pixels) if pixels.dtype.kind == "f" else pixels
    return None


def _has_plane(shape: tuple[int, ...], plane: tuple[int, ...]) -> bool:
    return len(plane) == len(shape) and all(
        0 <= n < length for n, length in zip(plane, shape, strict=True)
    )


def _errors(ground: NDArray[Any], case: Case, outcomes: ObjectOutcomes) -> str:
    truth, predicted = outcomes.truth, outcomes.predicted
    merging, split = predicted.covers > 1, truth.covers > 1
    chosen = {
        Outcome.MISSED: (case.truth, truth.outcome == Outcome.MISSED),
        Outcome.EXTRA: (case.predicted, predicted.outcome == Outcome.EXTRA),
        Outcome.MERGED: (case.predicted, merging),
        Outcome.SPLIT: (case.truth, split),
        Outcome.MATCHED: (case.predicted, (predicted.outcome == Outcome.MATCHED) & ~merging),
    }
    parts = []
    for number, outcome in enumerate(_SHOWN):
        objects, which = chosen[outcome]
        masks = objects.masks[which]
        parts.append(Instances.from_masks(masks, categories=np.full(len(masks), number)))
    names = [
        Category(number, outcome.name.lower(), OUTCOMES[outcome])
        for number, outcome in enumerate(_SHOWN, start=1)
    ]
    together = Instances.concatenate(parts)
    return _address(
        draw_overlay(ground, together, categories=names, colour_by="category", fill=0.4)
    )


def _address(picture: NDArray[np.uint8]) -> str:
    image = Image.fromarray(picture)
    image.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
    buffer = io.BytesIO()
    # Without colour subsampling: it would wash out thin lines.
    image.save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
