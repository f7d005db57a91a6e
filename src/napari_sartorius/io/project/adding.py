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
    from collections.abc import Callable, Sequence
    from pathlib import Path

    Tell = Callable[[str, float], None]
    """What is being done, and how much of all has been, 0..1."""


def tell_nobody(stage: str, share: float) -> None:
    """Say nothing."""


def records_of_files(
    paths: Sequence[Path],
    folder: Path,
    first_id: int,
    *,
    copy: bool,
    unreadable: list[str] | None = None,
    tell: Tell = tell_nobody,
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
    tell
        Called before each file is read, and before it is copied; nothing stays copied when it
        raises.

    Raises
    ------
    UserError
        Naming the first file that is no readable image, without `unreadable`; nothing is copied
        then.
    """
    drafts = []
    steps = len(paths) * (2 if copy else 1)
    for n, path in enumerate(paths):
        tell(f"Reading {path.name}, {n + 1} of {len(paths)}", n / steps)
        try:
            drafts.append((path, _planes(path)))
        except UserError as error:
            if unreadable is None:
                raise
            unreadable.append(str(error))
    targets = [path for path, _ in drafts]
    if copy:
        targets = _copied(targets, folder / names.IMAGES, tell)
    own = (folder / names.IMAGES).resolve()
    records: list[CocoImage] = []
    for target, (_, (size, axes, places)) in zip(targets, drafts, strict=True):
        name = names.relative_name(target, folder)
        mine = copy or target.resolve().parent == own  # goes to the trash when it is removed
        for place in places:
            extra: dict[str, Any] = {NAMESPACE: {"status": "new", "copied": mine}}
            if axes:
                extra |= {"plane": list(place), "plane_axes": axes}
            records.append(CocoImage(first_id + len(records), name, size[1], size[0], extra))
    return records


def _copied(paths: Sequence[Path], folder: Path, tell: Tell) -> list[Path]:
    """Copy files into a folder, all or none, and return the copies."""
    copies: list[Path] = []
    try:
        for n, path in enumerate(paths):
            tell(f"Copying {path.name}, {n + 1} of {len(paths)}", (1 + n / len(paths)) / 2)
            target = names.free_name(folder, path.name)
            with atomic_write(target) as temporary:
                shutil.copyfile(path, temporary)
            copies.append(target)
    except BaseException:
        for copy in copies:
            copy.unlink(missing_ok=True)
        raise
    return copies


def _planes(path: Path) -> tuple[tuple[int, int], str, list[tuple[int, ...]]]:
    """Height and width, letters of the axes in front of them, and every place along these."""
    image = read_image(path)
    return image.size, plane_axes(image), list(np.ndindex(*plane_shape(image)))
