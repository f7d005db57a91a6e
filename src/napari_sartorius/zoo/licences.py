"""Remembers which licences a person has accepted, so that each is asked about once."""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING

from platformdirs import user_config_path

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.atomic import write_text

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.zoo.published import PublishedModel


def accepted_file() -> Path:
    """Where it is remembered: with the person's settings, not with models that others share."""
    return user_config_path("napari-sartorius") / "accepted-licences.json"


def needs_acceptance(model: PublishedModel) -> bool:
    """Whether the licence of a model must be accepted and has not been."""
    return not model.licence.open and _key(model) not in _read()


def accept_licence(model: PublishedModel) -> None:
    """Remember that this person accepts a model's licence, for all models of its publisher."""
    today = datetime.date.today().isoformat()
    write_text(accepted_file(), json.dumps(_read() | {_key(model): today}, indent=1) + "\n")


def require_accepted(model: PublishedModel) -> None:
    """Insist on the licence.

    Raises
    ------
    UserError
        When it must be accepted first; the sentence says what it asks for.
    """
    if needs_acceptance(model):
        licence = model.licence
        raise UserError(
            f"{model.title} is published under {licence.name} ({licence.summary}; "
            f"{licence.url}): read it, and if you accept it, download again with --accept-licence"
        )


def _key(model: PublishedModel) -> str:
    return f"{model.publisher}: {model.licence.spdx or model.licence.name}"


def _read() -> dict[str, str]:
    try:
        content = json.loads(accepted_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):  # ask again rather than take for granted
        return {}
    return content if isinstance(content, dict) else {}
