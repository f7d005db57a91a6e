"""How image files become records of a project."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.atomic import atomic_write
from napari_sartorius.io.coco_dataset import CocoImage
from napari_sartorius.io.images import plane_axes, plane_shape, read_image
from napari_sartorius.io.project import folder as names
from napari_sartorius.io.project.records import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def records_of_files(
    paths: Sequence[Path],
    folder: Path,
    first_id: int,
    *,
    copy: bool,
    unreadable: list[str] | None = None,
) -> list[CocoImage]:
    """Records for image files, one for every plane of each.

    Parameters
    ----------
    paths
        PNG, JPEG or TIFF.
    folder
        The project's.
    first_id
        Id of the first record.
    copy
        Copy the files into the project's folder ``images``; otherwise records point to them.
    unreadable
        Takes a sentence for each file that is no readable image; the others get their records.

    Raises
    ------
    UserError
        Naming the first file that is no readable image, without `unreadable`; nothing is copied
        then.
    """
    drafts = []
    for path in paths:
        try:
            drafts.append((path, _planes(path)))
        except UserError as error:
            if unreadable is None:
                raise
            unreadable.append(str(error))
    own = (folder / names.IMAGES).resolve()
    records: list[CocoImage] = []
    for path, (size, axes, places) in drafts:
        target = path
        if copy:
            target = names.free_name(folder / names.IMAGES, path.name)
            with atomic_write(target) as temporary:
                shutil.copyfile(path, temporary)
        name = names.relative_name(target, folder)
        mine = copy or target.resolve().parent == own  # goes to the trash when it is removed
        for place in places:
            extra: dict[str, Any] = {NAMESPACE: {"status": "new", "copied": mine}}
            if axes:
                extra |= {"plane": list(place), "plane_axes": axes}
            records.append(CocoImage(first_id + len(records), name, size[1], size[0], extra))
    return records


def _planes(path: Path) -> tuple[tuple[int, int], str, list[tuple[int, ...]]]:
    """Height and width, letters of the axes in front of them, and every place along these."""
    image = read_image(path)
    return image.size, plane_axes(image), list(np.ndindex(*plane_shape(image)))
