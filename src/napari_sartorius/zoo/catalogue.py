"""Which models there are: those that ship with the package and those the user added."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from platformdirs import user_data_path

from napari_sartorius.core.errors import UserError
from napari_sartorius.zoo.bundle import CARD_FILE, ModelBundle

_LOG = logging.getLogger(__name__)
_BUNDLED = Path(__file__).parent / "bundled"


def user_models_folder() -> Path:
    """Where a user's models live; the variable SARTORIUS_MODELS moves it."""
    chosen = os.environ.get("SARTORIUS_MODELS")
    return Path(chosen) if chosen else user_data_path("napari-sartorius") / "models"


def list_bundles(extra: Path | None = None) -> list[ModelBundle]:
    """All readable bundles, shipped ones first; a user's bundle hides a shipped one of its name.

    A damaged bundle is left out with a warning in the log: one bad folder must not hide the rest.
    """
    found: dict[str, ModelBundle] = {}
    for folder in (_BUNDLED, user_models_folder(), extra):
        if folder is None or not folder.is_dir():
            continue
        for path in sorted(folder.iterdir()):
            if path.name.startswith("."):  # what an interrupted import left behind
                continue
            if not ((path / CARD_FILE).is_file() or path.suffix == ".zip"):
                continue
            try:
                bundle = ModelBundle.open(path)
            except UserError as error:
                _LOG.warning("%s", error)
                continue
            found[bundle.card.name] = bundle
    return list(found.values())


def find_bundle(name_or_path: str | Path) -> ModelBundle:
    """Bundle of this name, or at this folder or zip file.

    Raises
    ------
    UserError
        When nothing fits; the sentence lists the known names.
    """
    bundles = {bundle.card.name: bundle for bundle in list_bundles()}
    if str(name_or_path) in bundles:
        return bundles[str(name_or_path)]
    path = Path(name_or_path)
    if path.exists():
        return ModelBundle.open(path)
    known = ", ".join(sorted(bundles)) or "none installed"
    raise UserError(
        f"there is no model '{name_or_path}'; known models: {known} (or give the path of a bundle)"
    )
