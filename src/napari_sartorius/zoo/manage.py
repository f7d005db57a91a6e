"""What a person does with models that are there: rename, remove, check."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import ValidationError

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.atomic import write_bytes
from napari_sartorius.zoo.bundle import AnyBundle, ModelBundle
from napari_sartorius.zoo.catalogue import find_bundle, is_shipped, list_bundles, scan_bundles
from napari_sartorius.zoo.folders import CARD_FILE, user_models_folder

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.zoo.card import ModelCard


def check_free_name(name: str) -> None:
    """Make sure that a new model can have this name.

    Raises
    ------
    UserError
        When a model cannot be called so, or another one is.
    """
    if re.fullmatch("[A-Za-z0-9][A-Za-z0-9._-]*", name) is None:
        raise UserError(
            f"a model cannot be called {name!r}; use letters, digits, dots, dashes and underscores"
        )
    taken = {bundle.card.name for bundle in list_bundles()}
    if name in taken or (user_models_folder() / name).exists():
        raise UserError(
            f"there is a model called {name} already; choose another name, or remove that one first"
        )


def write_card(folder: Path, card: ModelCard) -> ModelBundle:
    """Replace the card of a bundle's folder; the weights, and so their checksum, stay."""
    write_bytes(folder / CARD_FILE, (card.model_dump_json(indent=1) + "\n").encode())
    return ModelBundle(card, folder)


def renamed(bundle: AnyBundle, name: str, folder: Path) -> AnyBundle:
    """The bundle in `folder` with another name on its card, which is written there."""
    card = bundle.card.with_changes(name=name)
    write_bytes(folder / CARD_FILE, (card.model_dump_json(indent=1) + "\n").encode())
    return replace(bundle, card=card, path=folder)  # type: ignore[arg-type]


def rename_bundle(name: str, new_name: str) -> AnyBundle:
    """Give an added model another name; its folder takes it too.

    Raises
    ------
    UserError
        When there is no such model, it ships with the package, is a zip file, or the name is taken.
    """
    bundle = find_bundle(name)
    _refuse_shipped(bundle, "renamed")
    if not bundle.path.is_dir():
        raise UserError(
            f"{bundle.path} is a zip file, which cannot be renamed in place: import it under "
            "another name, and remove the file"
        )
    check_free_name(new_name)
    changed = renamed(bundle, new_name, bundle.path)
    target = bundle.path.with_name(new_name)
    try:
        os.replace(bundle.path, target)
    except OSError:  # in use on Windows: the card counts, the folder may keep its name
        return changed
    return replace(changed, path=target)


def remove_bundle(name: str) -> int:
    """Delete an added model, or a damaged folder or zip among them by its file name.

    Returns
    -------
    int
        Bytes that are free again.

    Raises
    ------
    UserError
        When there is no such model, it ships with the package, or the folder is protected.
    """
    path = _removable(name)
    size = bundle_bytes(path)
    gone = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")  # disappears as a whole
    try:
        os.replace(path, gone)
        if gone.is_dir():
            shutil.rmtree(gone)
        else:
            gone.unlink()
    except OSError as error:
        with contextlib.suppress(OSError):
            os.replace(gone, path)
        raise UserError(
            f"{path} could not be deleted ({error.strerror or error}); check its permissions and "
            "whether another program uses it"
        ) from error
    return size


def why_unusable(bundle: AnyBundle) -> str | None:
    """One sentence on why an installed model cannot be used; None when it looks usable.

    Looks at what is quick to see; the checksum of the weights is compared when they are loaded.
    """
    for place, member in bundle.weights_files().items():
        try:
            _ = member.card.architecture
        except ValidationError:
            return (
                f"{member.card.title} describes a network that this version does not know: update "
                "napari-sartorius."
            )
        if bundle.path.is_dir() and not (bundle.path / place).is_file():
            return f"{member.card.title} has no weights in {bundle.path}: install the model again."
    return None


def bundle_bytes(path: Path) -> int:
    """Bytes of a bundle on the disk."""
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def _removable(name: str) -> Path:
    bundles, damaged = scan_bundles()
    found = next((bundle for bundle in bundles if bundle.card.name == name), None)
    if found is not None:
        _refuse_shipped(found, "removed")
        return found.path
    broken = next((one.path for one in damaged if one.path.name == name), None)
    if broken is not None and broken.parent == user_models_folder():
        return broken
    added = [bundle.card.name for bundle in bundles if not is_shipped(bundle)]
    names = ", ".join(sorted(added)) or "none"
    raise UserError(f"there is no model '{name}' to remove; models that were added: {names}")


def _refuse_shipped(bundle: AnyBundle, verb: str) -> None:
    if is_shipped(bundle):
        raise UserError(
            f"{bundle.card.name} ships with napari-sartorius and cannot be {verb}; export it and "
            "import the zip under another name to have a copy of your own"
        )
