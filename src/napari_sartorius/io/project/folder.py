"""Names of what is in a project's folder."""

from __future__ import annotations

import os
from pathlib import Path

ANNOTATIONS = "annotations.json"
JOURNAL = "journal.jsonl"
IMAGES = "images"
MODELS = "models"
RUNS = "runs"
TRASH = "trash"
SEEN_FROM = "seen-from.txt"
"""In a project that was in the trash: the folder that its names of images outside start from."""


def relative_name(path: Path, folder: Path) -> str:
    """Path of a file as seen from a folder, with forward slashes; absolute on another drive."""
    try:
        return Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix()
    except ValueError:
        return path.absolute().as_posix()


def free_name(folder: Path, name: str) -> Path:
    """A path in a folder that nothing has yet: the name, else with a number behind it."""
    path, number = folder / name, 2
    while path.exists():
        path = folder / f"{Path(name).stem}_{number}{Path(name).suffix}"
        number += 1
    return path


def moved_alike(old: Path, new: Path, other: Path) -> Path | None:
    """Where a file should be now if it moved as another one did.

    Parameters
    ----------
    old, new
        A file before and after the move.
    other
        Another file before the move.

    Returns
    -------
    Path or None
        The other one's place after the same folder was moved; None when that says nothing.
    """
    kept = 0
    while (
        kept < min(len(old.parts), len(new.parts)) and old.parts[-1 - kept] == new.parts[-1 - kept]
    ):
        kept += 1
    if not kept:
        return None
    before = Path(*old.parts[: len(old.parts) - kept])
    after = Path(*new.parts[: len(new.parts) - kept])
    try:
        return after / other.relative_to(before)
    except ValueError:
        return None
