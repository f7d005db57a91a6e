"""Which models there are: those that ship with the package and those the user added."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
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


@dataclass(frozen=True)
class DamagedBundle:
    """Something among the models that cannot be one.

    Attributes
    ----------
    path
        Its folder or zip file.
    reason
        One sentence on what is wrong with it.
    """

    path: Path
    reason: str


def list_bundles(extra: Path | None = None) -> list[ModelBundle]:
    """All readable bundles, shipped ones first; a user's bundle hides a shipped one of its name.

    A damaged bundle is left out with a warning in the log: one bad folder must not hide the rest.
    """
    bundles, damaged = scan_bundles(extra)
    for one in damaged:
        _LOG.warning("%s", one.reason)
    return bundles


def scan_bundles(extra: Path | None = None) -> tuple[list[ModelBundle], list[DamagedBundle]]:
    """All readable bundles as `list_bundles` has them, and what could not be read."""
    found: dict[str, ModelBundle] = {}
    damaged: list[DamagedBundle] = []
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
                damaged.append(DamagedBundle(path, str(error)))
                continue
            found[bundle.card.name] = bundle
    return list(found.values()), damaged


def is_shipped(bundle: ModelBundle) -> bool:
    """Whether a bundle came with the package and thus cannot be changed."""
    return bundle.path.parent == _BUNDLED


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
