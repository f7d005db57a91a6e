"""Which image of a COCO file is the one that is looked at."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.image_names import plane_of
from napari_sartorius.ui.result_view import provenance

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels

    from napari_sartorius.io.coco_dataset import CocoDataset, CocoImage
    from napari_sartorius.ui.evaluate.sides import Plane


def candidates(
    dataset: CocoDataset, file: str, viewer: ViewerModel, layer: Labels, plane: Plane
) -> tuple[list[CocoImage], CocoImage | None]:
    """Return the images of the layer's size, and the one that it is, if that can be told.

    It can when a single image has the size, or the file name of a single one is the name of the
    layer, of the image that it was made from, or of an image in the viewer. Of the planes of a
    stack it is the one that is shown.

    Raises
    ------
    UserError
        If the file holds no image of this size.
    """
    size = tuple(layer.data.shape[-2:])
    fitting = [image for image in dataset.images if image.size == size]
    if not fitting:
        raise UserError(
            f"{file} holds no image of {size[0]} x {size[1]} pixels, the size of {layer.name}: "
            "choose the annotations of this image."
        )
    for names in (_own_names(layer, plane), _names_in(viewer, size)):
        same = [image for image in fitting if _forms(image.file_name) & names]
        if len(same) > 1:
            here = _own_plane(layer, plane)
            same = [image for image in same if here and plane_of(image) == here]
        if len(same) == 1:
            return fitting, same[0]
    return fitting, fitting[0] if len(fitting) == 1 else None


def _own_names(layer: Labels, plane: Plane) -> set[str]:
    record = _record_of(layer, plane)
    names = {str(provenance(layer).get("image", "")), layer.name}
    if record is not None:
        names = {str(record.get("file_name", ""))}
    return set().union(*(_forms(name) for name in names if name))


def _own_plane(layer: Labels, plane: Plane) -> tuple[int, ...]:
    """Place of a slice in the stack that it comes from."""
    record = _record_of(layer, plane)
    extra = record.get("extra") if record is not None else None
    known = extra.get("plane") if isinstance(extra, dict) else None
    return tuple(known) if known else tuple(int(n) for n in plane)


def _record_of(layer: Labels, plane: Plane) -> dict[str, Any] | None:
    """What a layer that was opened from a file remembers of the image in a slice of it."""
    images = provenance(layer).get("images")
    if not isinstance(images, list) or not images:
        return None
    leading = layer.data.shape[:-2]
    place = int(np.ravel_multi_index(plane, leading)) if plane else 0
    return images[place] if place < len(images) else None


def _names_in(viewer: ViewerModel, size: tuple[int, ...]) -> set[str]:
    """Names and files of the images in the viewer that have this size."""
    from napari.layers import Image

    names: set[str] = set()
    for layer in viewer.layers:
        if isinstance(layer, Image) and not layer.multiscale:
            shape = layer.data.shape[:-1] if layer.rgb else layer.data.shape
            if tuple(shape[-2:]) == size:
                names |= _forms(layer.name)
                if layer.source.path:
                    names |= _forms(layer.source.path)
    return names


def _forms(name: str) -> set[str]:
    path = PurePath(name.replace("\\", "/"))
    return {path.name.casefold(), path.stem.casefold()}
