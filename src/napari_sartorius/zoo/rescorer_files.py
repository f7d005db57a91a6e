"""Gives a model a second level, or another one: into its own folder, or into a copy of it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.atomic import atomic_folder, remove_leftovers, write_bytes
from napari_sartorius.zoo.bundle import CARD_FILE, RESCORER_FILE, AnyBundle, open_bundle
from napari_sartorius.zoo.catalogue import is_shipped, user_models_folder
from napari_sartorius.zoo.checkpoints.importing import REPORT_FILE
from napari_sartorius.zoo.download.space import require_space
from napari_sartorius.zoo.manage import check_free_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_sartorius.zoo.rescorer_card import RescorerCard


def check_can_take_rescorer(bundle: AnyBundle) -> None:
    """Make sure that a model's own folder may be changed.

    Raises
    ------
    UserError
        When it ships with the package or is a zip file.
    """
    if is_shipped(bundle) or not bundle.path.is_dir():
        what = "ships with napari-sartorius" if is_shipped(bundle) else f"is the zip {bundle.path}"
        raise UserError(
            f"{bundle.card.name} {what}, so it cannot be changed; give a name for a copy that has "
            "the rescorer"
        )


def put_rescorer(
    bundle: AnyBundle, data: bytes, card: RescorerCard, metrics: Mapping[str, float]
) -> AnyBundle:
    """Give a model in the user's own folder a second level; an older one is replaced.

    Parameters
    ----------
    bundle
        The model.
    data
        Content of ``rescorer.cbm``.
    card
        Its entry in the model's card.
    metrics
        Figures that are added to the card's.

    Raises
    ------
    UserError
        As in `check_can_take_rescorer`.
    """
    check_can_take_rescorer(bundle)
    return _write(bundle, data, card, metrics, bundle.card.name, bundle.path)


def copy_with_rescorer(
    bundle: AnyBundle, data: bytes, card: RescorerCard, metrics: Mapping[str, float], name: str
) -> AnyBundle:
    """Copy a model under a new name into the user's folder, with a second level.

    Parameters
    ----------
    bundle, data, card, metrics
        As for `put_rescorer`; the model may also have been shipped or be a zip file.
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
    with atomic_folder(place) as folder:
        for inside, owner in bundle.weights_files().items():
            weights = owner.read_weights()
            require_space(place, len(weights))
            target = folder / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(target, weights)
        if (bundle.path / REPORT_FILE).is_file():
            shutil.copyfile(bundle.path / REPORT_FILE, folder / REPORT_FILE)
        _write(bundle, data, card, metrics, name, folder)
    return open_bundle(place)


def _write(
    bundle: AnyBundle,
    data: bytes,
    card: RescorerCard,
    metrics: Mapping[str, float],
    name: str,
    folder: Path,
) -> AnyBundle:
    """Write the rescorer, then the card that speaks of it."""
    changed = bundle.card.with_changes(
        name=name, rescorer=card.model_dump(), metrics=bundle.card.metrics | dict(metrics)
    )
    write_bytes(folder / RESCORER_FILE, data)
    write_bytes(folder / CARD_FILE, (changed.model_dump_json(indent=1) + "\n").encode())
    return open_bundle(folder)
