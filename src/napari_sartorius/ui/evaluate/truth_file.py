"""Which image of a COCO file is the one that is looked at."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.errors import UserError
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
    layer, of the image that it was made from, or of an image in the viewer.

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
        if len(same) == 1:
            return fitting, same[0]
    return fitting, fitting[0] if len(fitting) == 1 else None


def _own_names(layer: Labels, plane: Plane) -> set[str]:
    memory = provenance(layer)
    names = {str(memory.get("image", "")), layer.name}
    images = memory.get("images")
    if isinstance(images, list) and images:
        leading = layer.data.shape[:-2]
        place = int(np.ravel_multi_index(plane, leading)) if plane else 0
        if place < len(images):
            names = {str(images[place].get("file_name", ""))}
    return set().union(*(_forms(name) for name in names if name))


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
