"""``napari-sartorius models``: which models there are and what is known of each."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sartorius.cli.console import ConsoleMonitor
from napari_sartorius.core.wording import some_of

if TYPE_CHECKING:
    from napari_sartorius.zoo import AnyBundle, InputSize
    from napari_sartorius.zoo.published import PublishedModel

_MANY = 12


class Engine(StrEnum):
    """Who runs the network of an imported model."""

    own = "own"
    detectron2 = "detectron2"


models_app = typer.Typer(
    help="Models: find, download, import, share, remove.", no_args_is_help=True
)


@models_app.command("list")
def list_models(
    everything: Annotated[
        bool, typer.Option("--all", help="List the models that can be downloaded too.")
    ] = False,
) -> None:
    """List the models that ship with the package and those that were added."""
    from napari_sartorius.zoo import scan_bundles, user_models_folder

    bundles, damaged = scan_bundles()
    width = max((len(bundle.card.name) for bundle in bundles), default=0)
    for bundle in bundles:
        names = ", ".join(bundle.card.category_names)
        typer.echo(f"{bundle.card.name:<{width}}  {bundle.card.title} ({_shortened(names)})")
    if not bundles:
        typer.echo(f"No model is installed; put bundles into {user_models_folder()}.")
    for broken in damaged:
        typer.echo(f"Note: {broken.reason}", err=True)
    if everything:
        typer.echo("\n".join(published_lines()))


@models_app.command("show")
def show_model(
    name: Annotated[str, typer.Argument(help="Name of a model or path of a bundle.")],
) -> None:
    """Show a model's card: what it finds, licence, training data, metrics, known failures.

    Of a model that was not downloaded yet it shows what its publisher says.
    """
    from napari_sartorius.zoo import find_bundle, list_bundles
    from napari_sartorius.zoo.published import published_model

    entry = published_model(name)
    if entry is not None and name not in {bundle.card.name for bundle in list_bundles()}:
        typer.echo("\n".join(entry_lines(entry)))
    else:
        typer.echo("\n".join(card_lines(find_bundle(name))))


@models_app.command("import")
def import_model(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Checkpoint, .pth or .pkl, or a .zip of 'models export'."
        ),
    ],
    config: Annotated[
        Path | None, typer.Option(help="The config.yaml of the training run.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the model; the file's name when not given.")
    ] = None,
    categories: Annotated[
        str | None,
        typer.Option(metavar="A,B,C", help="Names of the classes in the order of training."),
    ] = None,
    cell_diameter: Annotated[
        float | None,
        typer.Option(help="Typical cell diameter in pixels of the network's input."),
    ] = None,
    engine: Annotated[
        Engine,
        typer.Option(
            help="Who runs the network: this program, or a detectron2 that you have installed, "
            "which can run any of its instance segmentation models and needs --config."
        ),
    ] = Engine.own,
    tensors: Annotated[
        bool, typer.Option("--tensors", help="List what became of every tensor.")
    ] = False,
) -> None:
    """Add a model: a zip that others exported, or a checkpoint of a network trained elsewhere.

    Nothing in the file is executed. Give the configuration of the training run when anchors,
    grey levels or image sizes were changed in it; what is assumed without it is printed.
    """
    from napari_sartorius.zoo.archive import import_bundle_zip, is_bundle_zip

    if engine is Engine.detectron2:
        from napari_sartorius.zoo.detectron2_engine import import_with_detectron2 as import_it
    else:
        from napari_sartorius.zoo.checkpoints import import_checkpoint as import_it

    if is_bundle_zip(checkpoint):
        with ConsoleMonitor() as monitor:
            bundle = import_bundle_zip(checkpoint, name=name, monitor=monitor)
        typer.echo(added_text(bundle))
        return
    names = [one.strip() for one in categories.split(",")] if categories is not None else None
    with ConsoleMonitor() as monitor:
        imported = import_it(
            checkpoint,
            config=config,
            name=name,
            categories=names,
            cell_diameter=cell_diameter,
            monitor=monitor,
        )
    typer.echo("\n".join(imported.report.lines(every_tensor=tensors)))
    typer.echo(added_text(imported.bundle))


def added_text(bundle: AnyBundle) -> str:
    """What to say of a model that is there now."""
    card = bundle.card
    return (
        f"{card.name} finds {_shortened(', '.join(card.category_names))}; it is in {bundle.path}\n"
        f"Use it: napari-sartorius segment ... --model {card.name}"
    )


def published_lines() -> list[str]:
    """Lines of the catalogue for a list, publisher by publisher."""
    from napari_sartorius.zoo.published import published_models, why_not

    models = published_models()
    width = max(len(model.name) for model in models)
    lines: list[str] = []
    publisher = ""
    for model in models:
        if model.publisher != publisher:
            publisher = model.publisher
            closed = "" if model.licence.open else ", to be accepted once"
            lines += ["", f"{publisher}: {model.measured_on}; {model.licence.name}{closed}"]
        unusable = "  (cannot be used here)" if why_not(model) else ""
        lines.append(f"  {model.name:<{width}}  {model.figures_text}{unusable}")
    return [*lines, "", "More of one: models show NAME. Get it: models download NAME."]


def entry_lines(entry: PublishedModel) -> list[str]:
    """Lines of a catalogue entry for a reader."""
    from napari_sartorius.zoo.licences import needs_acceptance
    from napari_sartorius.zoo.published import why_not

    checksum = entry.checksum or "none published; the first download is recorded and enforced"
    if entry.checksum is not None and len(entry.checksum.partition(":")[2]) < 32:
        checksum += "... (the publisher gives its beginning)"
    accepted = "must be accepted before the download" if needs_acceptance(entry) else ""
    figures = ", ".join(f"{name} {value:g} %" for name, value in entry.metrics.items())
    facts = {
        "Publisher": f"{entry.publisher}, {entry.page}",
        "Finds": _shortened(", ".join(entry.categories or ())),
        "Measured": f"{figures} on {entry.measured_on}, as published",
        "Trained on": entry.training_data,
        "Licence": f"{entry.licence.name} ({entry.licence.summary}), {entry.licence.url}",
        "": accepted,
        "Size": entry.size_text,
        "Checksum": checksum,
        "Citation": entry.citation,
        "File": "\n                ".join(entry.urls),
        "Configuration": entry.config_url or "not published",
    }
    lines = [f"{entry.name}: {entry.title}", "", entry.description, ""]
    lines += [f"{f'{title}:' if title else '':<15} {fact}" for title, fact in facts.items() if fact]
    get_it = f"Not downloaded yet: napari-sartorius models download {entry.name}"
    return [*lines, "", why_not(entry) or get_it]


def card_lines(bundle: AnyBundle) -> list[str]:
    """Lines of a card for a reader."""
    from napari_sartorius.cli.ensemble_text import ensemble_lines, preset_lines
    from napari_sartorius.zoo.detectron2_engine.available import why_unusable
    from napari_sartorius.zoo.ensemble_bundle import EnsembleBundle
    from napari_sartorius.zoo.wording import wording

    card = bundle.card
    lead = card.lead
    pixel = f"{card.pixel_size:g} um" if card.pixel_size else "unknown"
    lines = [
        f"{card.name}: {card.title}",
        "",
        card.description,
        "",
        f"Finds:          {_shortened(', '.join(card.category_names))}",
        f"Cell diameter:  {card.cell_diameter:g} px, pixel size {pixel}",
        *([f"Input:          {_input(lead.input_size)}"] if lead.input_size else []),
        *([f"Meant for:      cells of {lead.image_diameter:g} px"] if lead.image_diameter else []),
        f"Licence:        {card.licence}",
        f"Trained on:     {card.training_data}",
    ]
    judged = "judges every object with the preset best: napari-sartorius rescore show"
    optional = {
        "Filters": ", ".join(one.filter for one in card.filters),
        "Second level": f"{judged} {card.name}" if card.rescorer is not None else "",
        "Schedule": card.schedule,
        "Citation": card.citation,
        "Parent": "" if isinstance(bundle, EnsembleBundle) else bundle.card.parent or "",
        "Reproduce with": card.metrics_command,
    }
    lines += [f"{title + ':':<15} {text}" for title, text in optional.items() if text]
    lines += preset_lines(card)
    if isinstance(bundle, EnsembleBundle):
        lines += ensemble_lines(bundle.card)
    lines += [f"Thresholds of {c}: {_thresholds(bundle, c)}" for c in card.category_names[:_MANY]]
    if card.metrics:
        lines += ["", "Metrics:"]
        lines += [f"  {wording(metric)}: {value:.4g}" for metric, value in card.metrics.items()]
    if card.known_failures:
        lines += ["", "Known failures:", *(f"  - {failure}" for failure in card.known_failures)]
    obstacles = (why_unusable(member.card) for member in bundle.weights_files().values())
    obstacle = next((one for one in obstacles if one), None)
    if obstacle:
        lines += ["", f"Cannot be used here: {obstacle}"]
    lines += ["", f"Location: {bundle.path}"]
    return lines


def _input(size: InputSize) -> str:
    return f"whole images with a shorter edge of {size.short_edge} px (longer: {size.long_edge} px)"


def _shortened(names: str) -> str:
    """At most so many of the names, for networks that know eighty kinds of things."""
    return some_of(names.split(", "), _MANY)


def _thresholds(bundle: AnyBundle, category: str) -> str:
    found = bundle.card.thresholds_of(category)
    vote = f", vote {found.vote:g}" if found.vote < 1 else ""
    return (
        f"score {found.score:g}, mask {found.mask:g}, nms {found.nms:g}, "
        f"min size {found.min_size}{vote}"
    )
