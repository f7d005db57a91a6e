"""What stages of recipes make, where it is, and why one may have made nothing."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.atomic import atomic_folder
from napari_sartorius.training.run_files import MODEL_FOLDER
from napari_sartorius.zoo import AnyBundle, open_bundle
from napari_sartorius.zoo.manage import renamed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_sartorius.training.recipes.schema import Recipe

LABELS_FILE = "labels.json"
"""What a stage ``pseudo_labels`` leaves behind."""


class LeftOut(Exception):
    """A stage cannot run, and the recipe says that it may be left out; the message says why."""


@dataclass(frozen=True, eq=False)
class Made:
    """What a stage has made: a model, or a file with labels."""

    bundle: AnyBundle | None = None
    labels: Path | None = None


@contextmanager
def in_a_trial(recipe: Recipe) -> Iterator[None]:
    """What goes wrong because the networks of a trial know nothing leaves the stage out.

    Raises
    ------
    LeftOut
        In place of a `UserError`; without a trial errors stay what they are.
    """
    try:
        yield
    except UserError as error:
        if not recipe.trial:
            raise
        raise LeftOut(str(error)) from error


def copied(bundle: AnyBundle, place: Path, name: str, **changes: Any) -> AnyBundle:
    """A copy of a model under another name, with other fields of its card."""
    with atomic_folder(place) as folder:
        shutil.copytree(bundle.path, folder, dirs_exist_ok=True)
        card = bundle.card.with_changes(**changes)
        renamed(replace(bundle, card=card, path=folder), name, folder)  # type: ignore[arg-type]
    return open_bundle(place)


def finished(folder: Path) -> Made | None:
    """What a stage has made in its folder; None when it is not finished."""
    if (folder / MODEL_FOLDER / "model.json").is_file():
        return Made(open_bundle(folder / MODEL_FOLDER))
    if (folder / LABELS_FILE).is_file():
        return Made(labels=folder / LABELS_FILE)
    return None
