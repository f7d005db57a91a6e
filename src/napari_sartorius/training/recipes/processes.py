"""How many processes a training began with, which its schedule is made for as long as it lasts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.atomic import write_text
from napari_sartorius.training.place import Place
from napari_sartorius.training.run_files import LAST_FILE

if TYPE_CHECKING:
    from pathlib import Path

PROCESSES_FILE = "processes.json"
"""In the folder of a stage that several processes began."""


def processes_of(folder: Path) -> int:
    """How many processes the training in a folder began with; as many as there are when it begins.

    Steps of a schedule in epochs depend on it, and must not change when it goes on with others.

    Parameters
    ----------
    folder
        Of a stage; a new training of several processes leaves a file there.

    Raises
    ------
    UserError
        When the file is damaged or cannot be written.
    """
    path, begun = folder / PROCESSES_FILE, (folder / LAST_FILE).exists()
    if not begun:
        now = Place.from_environment().size
        if now > 1 or path.is_file():
            write_text(path, json.dumps(now))
        return now
    if not path.is_file():
        return 1
    try:
        return max(1, int(json.loads(path.read_text(encoding="utf-8"))))
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} is damaged: begin anew in another folder") from error
