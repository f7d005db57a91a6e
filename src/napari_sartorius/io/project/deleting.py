"""A project that is not wanted any more goes to a trash folder beside it, never away."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.atomic import explained
from napari_sartorius.io.project import folder as names


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
        Where it is now; it opens from there, once images that it points to are found again.

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
    return place
