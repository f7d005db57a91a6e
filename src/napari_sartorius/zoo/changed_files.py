"""Changes what a model's card says, and files beside it: in its own folder, or in a copy of it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.atomic import atomic_folder, remove_leftovers, write_bytes
from napari_sartorius.zoo.bundle import RESCORER_FILE, AnyBundle, open_bundle
from napari_sartorius.zoo.catalogue import is_shipped
from napari_sartorius.zoo.checkpoints.importing import REPORT_FILE
from napari_sartorius.zoo.download.space import require_space
from napari_sartorius.zoo.folders import CARD_FILE, user_models_folder
from napari_sartorius.zoo.manage import check_free_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def check_can_change(bundle: AnyBundle, news: str) -> None:
    """Make sure that a model's own folder may be changed.

    Parameters
    ----------
    bundle
        The model.
    news
        What it is to get, as the user would call it.

    Raises
    ------
    UserError
        When it ships with the package or is a zip file.
    """
    if is_shipped(bundle) or not bundle.path.is_dir():
        what = "ships with napari-sartorius" if is_shipped(bundle) else f"is the zip {bundle.path}"
        raise UserError(
            f"{bundle.card.name} {what}, so it cannot be changed; give a name for a copy that has "
            f"{news}"
        )


def change(
    bundle: AnyBundle,
    changes: Mapping[str, Any],
    files: Mapping[str, bytes],
    news: str,
) -> AnyBundle:
    """Change a model in the user's own folder.

    Parameters
    ----------
    bundle
        The model.
    changes
        Fields of its card.
    files
        Written beside the card, by name.
    news
        As for `check_can_change`.

    Raises
    ------
    UserError
        As in `check_can_change`.
    """
    check_can_change(bundle, news)
    return _write(bundle, changes, files, bundle.path)


def changed_copy(
    bundle: AnyBundle, changes: Mapping[str, Any], files: Mapping[str, bytes], name: str
) -> AnyBundle:
    """Copy a model under a new name into the user's folder, and change the copy.

    Parameters
    ----------
    bundle, changes, files
        As for `change`; the model may also have been shipped or be a zip file. Its second level
        comes along unless there is another among the files.
    name
        Of the copy.

    Raises
    ------
    UserError
        When the name is taken or no name, the weights are damaged, or the disk is full.
    """
    check_free_name(name)
    place = user_models_folder() / name
    remove_leftovers(user_models_folder(), older_than=24 * 3600.0)
    files = dict(files)
    if RESCORER_FILE not in files and (rescorer := bundle.read_rescorer()) is not None:
        files[RESCORER_FILE] = rescorer
    with atomic_folder(place) as folder:
        for inside, owner in bundle.weights_files().items():
            weights = owner.read_weights()
            require_space(place, len(weights))
            target = folder / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(target, weights)
        if (bundle.path / REPORT_FILE).is_file():
            shutil.copyfile(bundle.path / REPORT_FILE, folder / REPORT_FILE)
        _write(bundle, {**changes, "name": name}, files, folder)
    return open_bundle(place)


def _write(
    bundle: AnyBundle, changes: Mapping[str, Any], files: Mapping[str, bytes], folder: Path
) -> AnyBundle:
    """Write the files, then the card that speaks of them."""
    card = bundle.card.with_changes(**changes)
    for name, data in files.items():
        write_bytes(folder / name, data)
    write_bytes(folder / CARD_FILE, (card.model_dump_json(indent=1) + "\n").encode())
    return open_bundle(folder)
