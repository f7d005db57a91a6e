"""``napari-sartorius models ensemble``: several models become one."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import Annotated, Any

import typer

from napari_sartorius.cli.console import ConsoleMonitor
from napari_sartorius.cli.model_files import models_app
from napari_sartorius.cli.models import added_text
from napari_sartorius.core.errors import UserError

__all__ = ["models_app"]  # with all its verbs

_STRATEGIES = (
    "mean_of_looks, weighted_boxes, weighted_segments, weighted_masks, mask_clusters, stage_means "
    "or boxes_then_masks; guide/ensembles says what each does."
)


@models_app.command("ensemble")
def make_ensemble(
    name: Annotated[str, typer.Option(help="Name of the ensemble.")],
    members: Annotated[
        list[str] | None,
        typer.Option(
            "--members",
            metavar="A B C",
            help="Names of models, the first one's scale counts; also A,B,C, or once for each.",
        ),
    ] = None,
    further: Annotated[
        list[str] | None, typer.Argument(metavar="[B C...]", help="Further members.")
    ] = None,
    strategy: Annotated[str, typer.Option(help=_STRATEGIES)] = "mean_of_looks",
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="An option of the strategy."),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(metavar="1,2,1", help="How much each member counts; all the same without."),
    ] = None,
    views: Annotated[
        str | None,
        typer.Option(
            metavar="V,V,...",
            help="How each member looks in the preset best: identity, horizontal, vertical, both, "
            "rot90, rot270, transpose, anti_transpose, each also with a scale as in identity@1.5.",
        ),
    ] = None,
    classifier: Annotated[
        str | None, typer.Option(help="Model that decides the cell type of an image.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Title for lists.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.zip", help="Write it as one zip for others, too.")
    ] = None,
) -> None:
    """Combine models into an ensemble, which is a model like any other from then on.

    It holds copies of its members: they can be removed afterwards.
    """
    from napari_sartorius.zoo.archive import export_bundle
    from napari_sartorius.zoo.combine import combine
    from napari_sartorius.zoo.ensemble_options import EnsembleOptions, fusion_of

    names = [one for text in [*(members or []), *(further or [])] for one in _listed(text)]
    options = EnsembleOptions(
        fusion=fusion_of(strategy, dict(_key_value(text) for text in option or [])),
        weights=tuple(_number(text) for text in _listed(weights or "")),
        views=tuple(_listed(views or "")),
        classifier=classifier,
        title=title,
    )
    with ConsoleMonitor() as monitor:
        bundle = combine(names, name, options, monitor=monitor)
        if out is not None:
            export_bundle(bundle, out, monitor=monitor)
    typer.echo(f"Licence: {bundle.card.licence}")
    typer.echo(added_text(bundle))
    if out is not None:
        typer.echo(f"Others add it with: napari-sartorius models import {out.name}")


def _listed(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"--weights cannot hold {text!r}: give numbers, as in 1,2,1") from None


def _key_value(text: str) -> tuple[str, Any]:
    import json

    key, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--option cannot be {text!r}: write NAME=VALUE, as in iou=0.6")
    try:
        return key.strip(), json.loads(value)
    except ValueError:
        return key.strip(), value.strip()
