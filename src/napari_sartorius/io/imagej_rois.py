"""Objects as ImageJ regions of interest: a zip that Fiji's ROI Manager opens.

Outlines run along pixel edges, as ImageJ's own traced selections do, so nothing shrinks. An object
with holes or several parts becomes a composite region.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.categories import Category, default_colour
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.rings import masks_of, rings_of
from napari_sartorius.io.atomic import atomic_write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_LARGEST = 1 << 28
"""No zip of regions that somebody drew has more bytes when unpacked."""


def write_rois(path: str | Path, instances: Instances, categories: Sequence[Category]) -> None:
    """Write the objects of one image as a zip of ImageJ regions.

    Parameters
    ----------
    path
        The ``.zip`` to make or replace, atomically.
    instances
        Objects; empty ones are left out because a region cannot be empty.
    categories
        By category index. A region is called ``0001-neuron``; its outline has the category's
        colour, its properties hold category and score.

    Raises
    ------
    UserError
        When the file cannot be written.
    """
    rings = rings_of(instances.masks)
    with atomic_write(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for i, parts in enumerate(rings):
            if parts:
                roi = _roi(parts)
                category = categories[int(instances.categories[i])]
                roi.name = f"{i + 1:04d}-{_plain(category.name)}"
                roi.stroke_color = bytes.fromhex("ff" + category.colour[1:])
                score = float(instances.scores[i])
                roi.props = f"category: {_plain(category.name)}\nscore: {score:.6g}\n"
                archive.writestr(f"{roi.name}.roi", roi.tobytes(), zipfile.ZIP_DEFLATED)


def read_rois(path: str | Path, image_size: tuple[int, int]) -> tuple[Instances, list[Category]]:
    """Read a zip of ImageJ regions as objects of an image.

    Parameters
    ----------
    path
        A ``.zip`` of areas: polygons, traced or freehand outlines, rectangles, ovals, composites.
    image_size
        Height and width; parts outside are cut off.

    Returns
    -------
    Instances
        A pixel belongs to an object when its centre is inside.
    list of Category
        From the regions' properties; one called ``cell`` for regions without.

    Raises
    ------
    UserError
        When the file is no such zip, or a region in it is damaged or no area.
    """
    path = Path(path)
    categories: dict[str, Category] = {}
    rings, scores, numbers = [], [], []
    for name, data in _members(path):
        roi = _parsed(path, name, data)
        rings.append(_outlines(path, name, roi))
        facts = dict(re.findall(r"^(\w+):\s*(.*?)\s*$", roi.props or "", re.MULTILINE))
        kind = facts.get("category") or "cell"
        if kind not in categories:
            n = len(categories)
            categories[kind] = Category(n + 1, kind, default_colour(n))
        numbers.append(list(categories).index(kind))
        scores.append(_number(facts.get("score")))
    instances = Instances.from_masks(
        masks_of(rings, image_size), np.array(scores, np.float32), np.array(numbers, np.int64)
    )
    return instances, list(categories.values()) or [Category(1, "cell")]


def _roi(rings: list[NDArray[np.int64]]) -> Any:
    import roifile

    points = np.concatenate(rings)
    if len(rings) == 1 and points.max() < 32_768:
        roi = roifile.ImagejRoi.frompoints(rings[0].astype(np.int32))
        roi.roitype = roifile.ROI_TYPE.TRACED
        roi.right, roi.bottom = (int(v) for v in points.max(axis=0))  # as ImageJ counts them
        return roi
    roi = roifile.ImagejRoi()
    roi.version, roi.roitype = 227, roifile.ROI_TYPE.RECT
    roi.left, roi.top = (int(v) for v in points.min(axis=0))
    roi.right, roi.bottom = (int(v) for v in points.max(axis=0))
    path: list[float] = []
    for ring in rings:
        for n, (x, y) in enumerate(ring.tolist()):
            path += [0.0 if n == 0 else 1.0, x, y]  # move to, then line to
        path.append(4.0)  # close
    roi.multi_coordinates = np.array(path, np.float32)
    roi.shape_roi_size = len(path)
    return roi


def _members(path: Path) -> list[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [one for one in archive.infolist() if one.filename.lower().endswith(".roi")]
            if sum(entry.file_size for entry in entries) > _LARGEST:
                raise UserError(f"{path} is too large for a zip of regions: choose another file.")
            found = [(entry.filename, archive.read(entry)) for entry in entries]
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: check the path.") from error
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise UserError(
            f"{path} is not a readable zip of ImageJ regions: save it again from the ROI Manager."
        ) from error
    if not found:
        raise UserError(f"{path} holds no ImageJ region (.roi): choose another file.")
    return found


def _parsed(path: Path, name: str, data: bytes) -> Any:
    import roifile

    try:
        return roifile.ImagejRoi.frombytes(data)
    except Exception as error:  # its parser raises whatever a damaged file leads to
        raise UserError(f"{path}: the region {name} is damaged; save it again.") from error


def _outlines(path: Path, name: str, roi: Any) -> list[NDArray[np.float64]]:
    import roifile

    kinds = roifile.ROI_TYPE
    areas = (kinds.POLYGON, kinds.RECT, kinds.OVAL, kinds.FREEHAND, kinds.TRACED)
    if roi.roitype not in areas:
        raise UserError(
            f"{path}: the region {name} is a {roi.roitype.name.lower()}, expected an area; remove "
            "it."
        )
    return [np.asarray(ring, np.float64) for ring in roi.coordinates(multi=True)]


def _plain(name: str) -> str:
    """A category's name without what a file name or a line of properties cannot hold."""
    return re.sub(r"[^\w .()+-]+", "_", name).strip() or "cell"


def _number(text: str | None) -> float:
    try:
        return float(text) if text is not None else 1.0
    except ValueError:
        return 1.0
