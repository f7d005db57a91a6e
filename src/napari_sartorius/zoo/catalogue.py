"""Which models there are: those that ship with the package and those the user added."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from napari_sartorius.core.errors import UserError
from napari_sartorius.zoo.bundle import AnyBundle, ModelBundle, open_bundle, single
from napari_sartorius.zoo.folders import CARD_FILE, SHIPPED, candidates, user_models_folder

_LOG = logging.getLogger(__name__)


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


def list_bundles(extra: Path | None = None) -> list[AnyBundle]:
    """All readable bundles, shipped ones first; a user's bundle hides a shipped one of its name.

    A damaged bundle is left out with a warning in the log: one bad folder must not hide the rest.
    """
    bundles, damaged = scan_bundles(extra)
    for one in damaged:
        _LOG.warning("%s", one.reason)
    return bundles


def scan_bundles(extra: Path | None = None) -> tuple[list[AnyBundle], list[DamagedBundle]]:
    """All readable bundles as `list_bundles` has them, and what could not be read."""
    found: dict[str, AnyBundle] = {}
    damaged: list[DamagedBundle] = []
    for folder in (SHIPPED, user_models_folder(), extra):
        for path in candidates(folder):
            try:
                bundle = open_bundle(path)
            except UserError as error:
                damaged.append(DamagedBundle(path, str(error)))
                continue
            found[bundle.card.name] = bundle
    return list(found.values()), damaged


def is_shipped(bundle: AnyBundle) -> bool:
    """Whether a bundle came with the package and thus cannot be changed."""
    return bundle.path.parent == SHIPPED


def find_bundle(name_or_path: str | Path) -> AnyBundle:
    """Bundle of this name, or at this folder or zip file.

    Raises
    ------
    UserError
        When nothing fits; the sentence lists the known names.
    """
    shipped = _shipped_alone(str(name_or_path))
    if shipped is not None:
        return shipped
    bundles = {bundle.card.name: bundle for bundle in list_bundles()}
    if str(name_or_path) in bundles:
        return bundles[str(name_or_path)]
    path = Path(name_or_path)
    if path.exists():
        return open_bundle(path)
    known = ", ".join(sorted(bundles)) or "none installed"
    raise UserError(
        f"there is no model '{name_or_path}'; known models: {known} (or give the path of a bundle)"
    )


def _shipped_alone(name: str) -> AnyBundle | None:
    """A shipped bundle without reading the others; None where a user's may hide it.

    Every run looks for its bundle, and reading all cards takes milliseconds of it.
    """
    path = SHIPPED / name
    if path.parent != SHIPPED or not (path / CARD_FILE).is_file():
        return None
    return None if candidates(user_models_folder()) else open_bundle(path)


def find_single(name_or_path: str | Path) -> ModelBundle:
    """As `find_bundle`, where an ensemble would not do.

    Raises
    ------
    UserError
        When nothing fits, or it is an ensemble.
    """
    return single(find_bundle(name_or_path))
