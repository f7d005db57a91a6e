"""Remembers which projects were open last, so that work goes on with one click."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

from platformdirs import user_state_path

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.atomic import write_text

_LOG = logging.getLogger(__name__)
_MOST = 10


def recent_file() -> Path:
    """Where the list is kept; the variable SARTORIUS_STATE moves its folder."""
    chosen = os.environ.get("SARTORIUS_STATE")
    folder = Path(chosen) if chosen else user_state_path("napari-sartorius")
    return folder / "recent-projects.json"


def recent_projects() -> list[Path]:
    """Folders of projects that were open last and still are there, the latest first."""
    try:
        listed = json.loads(recent_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    if not isinstance(listed, list):
        return []
    folders = [Path(one) for one in listed if isinstance(one, str)]
    return [folder for folder in folders if (folder / "annotations.json").is_file()]


def remember_project(folder: Path) -> None:
    """Put a project at the head of the list; a list that cannot be written is no reason to fail."""
    folder = folder.absolute()
    others = [one for one in recent_projects() if one != folder]
    try:
        text = json.dumps([str(one) for one in [folder, *others][:_MOST]], indent=1)
        write_text(recent_file(), text + "\n")
    except UserError as error:
        _LOG.warning("%s", error)
