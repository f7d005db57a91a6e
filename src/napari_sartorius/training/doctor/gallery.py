"""A folder to look at: the findings as a page, with a picture of the worst cases of each kind."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.io.atomic import write_text
from napari_sartorius.io.images import planes, read_image, read_plane
from napari_sartorius.io.overlay import write_overlay
from napari_sartorius.training.doctor.drawing import side_by_side, with_record
from napari_sartorius.training.doctor.finding import together

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.io.coco_dataset import CocoDataset, CocoImage
    from napari_sartorius.training.doctor.finding import DataReport, Finding

_MARGIN = 24  # pixels around the objects shown
_SMALLEST = 96  # side of a cut-out in pixels: less shows a cell without its place
_HEAD = (
    "<!doctype html><meta charset=utf-8><title>Data check</title><style>body{font:16px/1.5 "
    "sans-serif;max-width:60em;margin:2em auto;padding:0 1em}img{max-width:100%;max-height:26em}"
    "figure{margin:1em 0}figcaption{color:#555}</style><h1>Data check</h1>"
)


def write_gallery(
    folder: str | Path, dataset: CocoDataset, report: DataReport, worst: int = 4
) -> Path:
    """Write ``index.html`` and the pictures it shows.

    Parameters
    ----------
    folder
        Made when missing; files of the same names are replaced.
    dataset
        What was checked.
    report
        What was found.
    worst
        Pictures per kind of finding. Faults of objects show these outlined, in a cut-out that
        holds the most of them; faults of images show the image with all its objects, those of two
        images both. What a record draws beyond its image is shown on a striped border.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    UserError
        When something cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    records = {image.id: image for image in dataset.images}
    parts = [_HEAD, f"<p>{html.escape(report.lines()[-1])}</p>"]
    for kind, found in report.kinds().items():
        parts.append(f"<h2>{html.escape(kind)} ({found[0].severity})</h2>")
        parts.append(f"<p>{html.escape(together(kind, found))}</p>")
        for number, one in enumerate(found[:worst], start=1):
            picture = f"{kind.replace(' ', '_')}_{number}.png"
            image = records.get(one.image_id) if one.image_id is not None else None
            caption = f"<figcaption>{html.escape(one.sentence)}</figcaption>"
            drawn = image is not None and _draw(folder / picture, dataset, image, one)
            shown = f'<img src="{picture}" alt="{html.escape(kind)}">' if drawn else ""
            parts.append(f"<figure>{shown}{caption}</figure>")
    page = folder / "index.html"
    write_text(page, "\n".join(parts) + "\n")
    return page


def _draw(path: Path, dataset: CocoDataset, image: CocoImage, finding: Finding) -> bool:
    """Draw a finding; False where there is no image of the right size to draw on."""
    pixels = _pixels(dataset, image)
    if pixels is None:
        return False
    if finding.record is not None:
        drawn = with_record(pixels, finding.record)
        if drawn is not None:
            write_overlay(path, *drawn, colour_by="instance", fill=0.3)
        return drawn is not None
    objects = dataset.instances[image.id]
    if finding.objects:
        objects = objects[np.array(finding.objects)]
    objects = Instances.from_masks(objects.masks, objects.scores, objects.categories)
    if finding.objects:
        x0, y0, x1, y1 = _window(objects, image)
        masks, keep = objects.masks.crop(x0, y0, x1, y1)
        objects = Instances.from_masks(masks, objects.scores[keep], objects.categories[keep])
        pixels = pixels[y0:y1, x0:x1]
    other = next((one for one in dataset.images if one.id == finding.beside), None)
    more = None if other is None else _pixels(dataset, other)
    if other is not None and more is not None:
        pixels, objects = side_by_side((pixels, objects), (more, dataset.instances[other.id]))
    write_overlay(path, pixels, objects, colour_by="instance", fill=0.3)
    return True


def _window(objects: Instances, image: CocoImage) -> tuple[int, int, int, int]:
    """A cut-out around the worst object, which is the first."""
    box = objects.masks.boxes[0].astype(int)
    half = np.maximum((box[2:] - box[:2]) // 2 + _MARGIN, _SMALLEST // 2)
    centre = (box[:2] + box[2:]) // 2
    low = np.maximum(centre - half, 0)
    high = np.minimum(centre + half, (image.width, image.height))
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _pixels(dataset: CocoDataset, image: CocoImage) -> NDArray[Any] | None:
    try:
        data = read_image(dataset.image_path(image))
        index = tuple(image.extra.get("plane", ()))
        plane: NDArray[Any] = read_plane(data, index) if index else next(iter(planes(data)))[1]
    except UserError:
        return None
    return plane if plane.shape[:2] == image.size else None
