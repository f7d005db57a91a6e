"""Records of the image files of a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.coco_dataset import CocoImage
from napari_sartorius.io.faults import Fault, cause_of
from napari_sartorius.io.images import read_image

if TYPE_CHECKING:
    from pathlib import Path


def record_of(
    folder: Path, number: int, path: Path, faults: list[Fault] | None
) -> CocoImage | None:
    """The record of an image file below `folder`, with the size that the file has.

    Parameters
    ----------
    folder, path
        Its name is that of the path seen from the folder.
    number
        Its id.
    faults
        Hears when the file cannot be read; then there is no record.

    Raises
    ------
    UserError
        When the file cannot be read and there are no `faults` to tell.
    """
    name = path.relative_to(folder).as_posix()
    try:
        height, width = read_image(path).size
    except UserError as error:
        if faults is None:
            raise
        faults.append(Fault("unreadable image", name, None, cause_of(error, path)))
        return None
    return CocoImage(number, name, width, height)
