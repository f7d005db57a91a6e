"""A project that is not wanted any more goes to a trash folder beside it, never away.

From there, and from wherever it is put instead, it finds the images that it only points to: a
note in its folder says where they were seen from.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.atomic import explained, write_text
from napari_sartorius.io.project import folder as names

if TYPE_CHECKING:
    from napari_sartorius.io.project.project import Project


def trash_project(folder: str | Path) -> Path:
    """Move the folder of a project that nobody has open into the folder ``trash`` beside it.

    Images that the project only points to stay where they are.

    Parameters
    ----------
    folder
        The project's.

    Returns
    -------
    Path
        Where it is now; it opens from there, and from any other place on this computer that it
        is moved to, with the images that it points to.

    Raises
    ------
    UserError
        When there is no project, or the folder cannot be moved; it then stays as it is.
    """
    folder = Path(folder).absolute()
    if not (folder / names.ANNOTATIONS).is_file():
        raise UserError(f"{folder} is no project, it has no {names.ANNOTATIONS}: choose another.")
    name = f"{datetime.now():%Y%m%d-%H%M%S}-{folder.name}"
    place = names.free_name(folder.parent / names.TRASH, name)
    try:
        place.parent.mkdir(exist_ok=True)
        folder.rename(place)
    except OSError as error:
        raise explained(folder, error) from error
    with suppress(UserError):  # without the note, opening it asks for one of its images
        write_text(place / names.SEEN_FROM, f"{folder}\n")
    return place


def find_from_before(project: Project) -> None:
    """Point a project that was in the trash to its images, as they are seen from where it lies now.

    Parameters
    ----------
    project
        Just opened. What can be changed is saved, and the note for its next move as well.
    """
    note = project.folder / names.SEEN_FROM
    if not note.is_file():
        return
    before, here = Path(note.read_text("utf-8").strip()), project.folder.absolute()
    if before == here:
        return
    # by their names alone: the folder that the project lay in need not be there any more
    seen = {name: Path(os.path.normpath(before / name)) for name in project.missing_files()}
    found = {name: path for name, path in seen.items() if path.is_file()}
    project.point_to(found)
    if project.read_only is None and found:
        project.save()
        write_text(note, f"{here}\n")
