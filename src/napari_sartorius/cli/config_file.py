"""Reads a configuration that the user has written, or says in a sentence what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from napari_sartorius.core.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

Config = TypeVar("Config", bound=BaseModel)


def read_config(path: Path, kind: type[Config], fault: str, remedy: str) -> Config:
    """A configuration from a JSON file.

    Parameters
    ----------
    path
        The file.
    kind
        Its class.
    fault
        What a wrong file is said to be: the words between its name and the first wrong entry.
    remedy
        What to do then.

    Raises
    ------
    UserError
        When the file cannot be read or holds no such configuration.
    """
    try:
        return kind.model_validate_json(path.read_text())
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): check the path.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UserError(f"{path} {fault} ({place}: {first['msg']}): {remedy}") from error
