"""Makes a bundle of a lab's own checkpoint, wholly or not at all."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from napari_sartorius.core.categories import default_colour
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor
from napari_sartorius.core.wording import agree, plural
from napari_sartorius.io.atomic import atomic_folder, write_text
from napari_sartorius.zoo.bundle import ModelBundle, save_bundle
from napari_sartorius.zoo.card import CategoryCard, ModelCard, Thresholds
from napari_sartorius.zoo.catalogue import list_bundles
from napari_sartorius.zoo.checkpoints.formats import format_of
from napari_sartorius.zoo.checkpoints.reading import read_checkpoint
from napari_sartorius.zoo.checkpoints.report import ImportReport
from napari_sartorius.zoo.checkpoints.settings import Settings, read_settings
from napari_sartorius.zoo.checkpoints.weights import fit_weights
from napari_sartorius.zoo.folders import user_models_folder
from napari_sartorius.zoo.naming import model_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from napari_sartorius.nn.config import Architecture
    from napari_sartorius.zoo.checkpoints.checkpoint_format import ImportedNetwork

REPORT_FILE = "import.json"

# What the model was made for is one look; more are there for who asks for the best.
_VIEWS = {
    "fast": ("identity",),
    "balanced": ("identity",),
    "best": ("identity", "horizontal", "vertical", "both"),
}
# From this score on detectron2's own viewer shows objects.
_SHOWN_SCORE = 0.5


@dataclass(frozen=True)
class ImportedModel:
    """A finished import.

    Attributes
    ----------
    bundle
        The model, already where it can be found by its name.
    report
        What became of every tensor, and what was assumed.
    """

    bundle: ModelBundle
    report: ImportReport


def import_checkpoint(
    checkpoint: str | Path,
    *,
    config: str | Path | None = None,
    name: str | None = None,
    categories: Sequence[str] | None = None,
    cell_diameter: float | None = None,
    folder: str | Path | None = None,
    monitor: Monitor | None = None,
) -> ImportedModel:
    """Turn a checkpoint of another program into a bundle that works like any other.

    Nothing in the file is executed. The bundle appears only when everything fits; its weights keep
    their full precision, so that it finds what the other program finds.

    Parameters
    ----------
    checkpoint
        ``.pth`` or ``.pkl`` of a Mask R-CNN with a ResNet and a feature pyramid.
    config
        The ``config.yaml`` of the training run. Needed when anchors, grey levels or image sizes are
        not the stock ones; without it they are assumed to be, and the report says so.
    name
        Name of the model; the file's name when None.
    categories
        Names of the classes in the order of training; numbered when None.
    cell_diameter
        Typical diameter of an object in pixels of the network's input, where images have their
        shorter edge at 800 pixels unless the configuration says otherwise. The smallest anchor
        when None.
    folder
        Where the bundle's folder goes; the user's models folder when None.
    monitor
        Hears of progress and may cancel.

    Raises
    ------
    UserError
        When the file cannot be read, is another network, contradicts the configuration, holds
        damaged weights, or the name is taken.
    """
    monitor = monitor or Monitor()
    path = Path(checkpoint)
    target_name = wished_name(path, name)
    place = Path(folder) if folder is not None else user_models_folder()
    refuse_taken(target_name, place, everywhere=folder is None)
    settings = read_settings(Path(config)) if config is not None else Settings()
    monitor.progress("read", 0.0)
    weights = read_checkpoint(path)
    monitor.check()
    source = format_of(path, weights)
    if source.rules is not None:
        settings = source.rules.judged(settings)
    try:
        network = source.describe(path, weights, settings)
        card = make_card(
            path, target_name, network, source.title, source.citation, categories, cell_diameter
        )
    except ValidationError as error:
        raise no_usable_network(settings.path or path, error) from error
    monitor.progress("build", 0.4)
    state, notes = fit_weights(path, weights, _wanted(network.architecture), source)
    monitor.check()
    report = ImportReport(
        source=path.name,
        source_sha256=checksum(path),
        tensors=tuple(notes),
        assumptions=(*network.assumptions, *about_the_card(card, network, cell_diameter)),
        settings=settings.notes,
    )
    monitor.progress("write", 0.7)
    imported = save_imported(place / target_name, card, state, report)
    monitor.progress("write", 1.0)
    return imported


def save_imported(
    target: Path, card: ModelCard, state: Mapping[str, Tensor], report: ImportReport
) -> ImportedModel:
    """Write bundle and report to the folder `target`, which appears only when both are whole."""
    with atomic_folder(target) as temporary:
        bundle = save_bundle(temporary, card, state, "float32")
        write_text(temporary / REPORT_FILE, report.model_dump_json(indent=1) + "\n")
    return ImportedModel(ModelBundle(bundle.card, target), report)


def no_usable_network(where: Path, error: ValidationError) -> UserError:
    """Sentence for a configuration that no architecture tree or card can hold."""
    first = error.errors()[0]
    return UserError(
        f"{where} describes no usable network "
        f"({'.'.join(str(part) for part in first['loc'])}: {first['msg']}); correct the entry"
    )


def wished_name(path: Path, wish: str | None) -> str:
    """The wished name, or one from the file's that a card accepts."""
    if wish is None:
        return model_name(path.stem, "imported")
    plain = wish.isascii() and wish[:1].isalnum()
    if not plain or not all(c.isalnum() or c in "._-" for c in wish):
        raise UserError(
            f"a model cannot be called {wish!r}; use letters, digits, dots, dashes and underscores"
        )
    return wish


def refuse_taken(name: str, place: Path, *, everywhere: bool) -> None:
    """Make sure that no model of this name is there, in `place` or among all models.

    Raises
    ------
    UserError
        When there is one.
    """
    taken = {bundle.card.name for bundle in list_bundles()} if everywhere else set()
    if name in taken or (place / name).exists():
        raise UserError(
            f"there is a model called {name} already; choose another name with --name, or delete "
            f"{place / name} first"
        )


def _wanted(architecture: Architecture) -> dict[str, Tensor]:
    """Names and shapes of the network's tensors, without making their numbers."""
    import torch

    from napari_sartorius.nn.build import build_network

    with torch.device("meta"):
        return build_network(architecture).state_dict()


def checksum(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_card(
    path: Path,
    name: str,
    network: ImportedNetwork,
    title: str,
    citation: str,
    categories: Sequence[str] | None,
    cell_diameter: float | None,
) -> ModelCard:
    """Card of an imported model.

    Parameters
    ----------
    path, name
        The checkpoint and the model's name.
    network
        What is known of it.
    title, citation
        What it is, for people, and whose program trained it.
    categories, cell_diameter
        As in `import_checkpoint`.

    Raises
    ------
    UserError
        When names or diameter are not possible.
    """
    count = network.architecture.num_classes
    names = list(categories) if categories is not None else _numbered(count)
    if len(names) != count:
        raise UserError(
            f"{path} finds {plural(count, 'category', 'categories')} but "
            f"{plural(len(names), 'name')} {agree(len(names), 'was', 'were')} given; give "
            f"{plural(count, 'name')} in the order of training"
        )
    if len(set(names)) != count or not all(names):
        raise UserError("two categories have the same name, or one has none; give each its own")
    if cell_diameter is not None and not 0 < cell_diameter < float("inf"):
        raise UserError(f"a cell diameter of {cell_diameter} pixels is not possible")
    score = network.score if network.score is not None else _SHOWN_SCORE
    return ModelCard(
        name=name,
        title=f"Imported from {path.name}",
        description=f"{title}, imported from {path.name}.",
        categories=tuple(
            CategoryCard(name=one, colour=default_colour(i)) for i, one in enumerate(names)
        ),
        cell_diameter=cell_diameter or network.architecture.smallest_object,
        architecture=network.architecture.model_dump(mode="json"),
        normalisation=network.normalisation,
        input_size=network.input_size,
        whole_grey_levels=network.whole_grey_levels,
        mask_pasting=network.mask_pasting,
        precision="float32",
        thresholds={one: Thresholds(score=score) for one in names},
        box_nms=network.box_nms,
        max_objects=network.max_objects,
        views=_VIEWS,
        licence="not stated in the checkpoint; ask who trained it",
        citation=citation,
        training_data="not stated in the checkpoint",
    )


def _numbered(count: int) -> list[str]:
    return ["cell"] if count == 1 else [f"class{i + 1}" for i in range(count)]


def about_the_card(
    card: ModelCard, network: ImportedNetwork, cell_diameter: float | None
) -> list[str]:
    """Sentences about what only people know and nobody said."""
    said = []
    if cell_diameter is None:
        said.append(
            f"cells are about {card.cell_diameter:g} pixels wide in the network's input (the "
            "smallest that it is made for); it matters only when a diameter is given for an image"
        )
    if network.score is None:
        said.append(f"objects count from a score of {_SHOWN_SCORE:g} on")
    return said
