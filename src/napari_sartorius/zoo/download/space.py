"""Asks for room on the disk before it is needed, so that nothing stops half-way."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from napari_sartorius.core.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

_SPARE = 50_000_000  # bytes that others on the computer may need meanwhile


def require_space(place: Path, wanted: int) -> None:
    """Make sure that `wanted` bytes fit where `place` is or will be.

    Raises
    ------
    UserError
        When they do not.
    """
    folder = place
    while not folder.is_dir():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < wanted + _SPARE:
        raise UserError(
            f"the disk of {folder} has {free / 1e6:.0f} MB free, but "
            f"{(wanted + _SPARE) / 1e6:.0f} MB are needed; free some space, or move the models "
            "with the variable SARTORIUS_MODELS, and try again"
        )
