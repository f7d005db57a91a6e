"""Rows of tables that people and spreadsheets write."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, TextIO

from napari_sartorius.core.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

_SEPARATORS = (",", ";", "\t")


def csv_rows(path: Path, needed: set[str], what: str) -> list[dict[str, str]]:
    """Rows of a CSV file by the names of its columns.

    Parameters
    ----------
    path
        Text in UTF-8, with a byte order mark or none. Columns are separated by commas, or, as
        spreadsheets do in some countries, by semicolons or tabs.
    needed
        Columns that it must have.
    what
        What it should be, for errors.

    Raises
    ------
    UserError
        When it cannot be read, or lacks a column.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            separator = _separator(file.readline(), needed)
            file.seek(0)
            reader = csv.DictReader(file, delimiter=separator)
            missing = sorted(needed - set(reader.fieldnames or ()))
            if missing:
                raise UserError(
                    f"{path} is not {what}, it lacks the columns {', '.join(missing)}: "
                    "choose another file."
                )
            return [{key: row[key] or "" for key in reader.fieldnames or ()} for row in reader]
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: check the path.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be opened ({error.strerror}): expected a file.") from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not a CSV table in UTF-8 ({error}): save it as CSV UTF-8, or choose "
            "another file."
        ) from error
    except csv.Error as error:
        raise UserError(f"{path} is not a CSV table ({error}): choose another file.") from error


def new_table(path: Path) -> TextIO:
    r"""Open a file to write a table to that names files.

    Names of files from old disks may hold bytes that are no text; these are written as ``\udce4``.
    """
    return path.open("w", newline="", encoding="utf-8", errors="backslashreplace")


def _separator(head: str, needed: set[str]) -> str:
    """The character between the columns: the first that gives all needed ones."""
    for separator in _SEPARATORS:
        if needed <= set(next(csv.reader([head], delimiter=separator), ())):
            return separator
    return ","
