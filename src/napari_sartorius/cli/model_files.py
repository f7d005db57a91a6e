"""``napari-sartorius models``: the verbs that bring, give away, rename, remove and check models."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import Annotated

import typer

from napari_sartorius.cli.console import ConsoleMonitor
from napari_sartorius.cli.models import added_text, models_app

__all__ = ["models_app"]  # with all its verbs

Name = Annotated[str, typer.Argument(help="Name of a model that was added.")]


@models_app.command("download")
def download_model(
    name: Annotated[str, typer.Argument(help="Name in the catalogue: models list --all.")],
    save_as: Annotated[
        str | None, typer.Option("--name", help="Name to give it; its own when not given.")
    ] = None,
    accept_licence: Annotated[
        bool,
        typer.Option(
            "--accept-licence", help="Accept a licence that is not open; remembered from then on."
        ),
    ] = False,
    from_file: Annotated[
        Path | None,
        typer.Option(help="The publisher's file, when it is on this computer already."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="The publisher's configuration, in place of the catalogue's."),
    ] = None,
    keep_file: Annotated[
        bool, typer.Option("--keep-file", help="Keep the downloaded file too.")
    ] = False,
    trust_new_file: Annotated[
        bool,
        typer.Option("--trust-new-file", help="Forget the checksum that the first download had."),
    ] = False,
) -> None:
    """Download a published model and add it; a download that broke off goes on where it was.

    A proxy is taken from HTTPS_PROXY, or from SARTORIUS_PROXY for this program alone. Without
    internet here, download the file elsewhere (models show names its address) and give it with
    --from-file.
    """
    from napari_sartorius.zoo.install import DownloadOptions, install_published

    options = DownloadOptions(
        name=save_as,
        from_file=from_file,
        config=config,
        accept_licence=accept_licence,
        keep_file=keep_file,
        trust_new_file=trust_new_file,
    )
    with ConsoleMonitor() as monitor:
        imported = install_published(name, options, monitor=monitor)
    typer.echo(imported.report.lines()[0])
    typer.echo(f"Licence: {imported.bundle.card.licence}")
    typer.echo(added_text(imported.bundle))


@models_app.command("rename")
def rename_model(
    name: Name, new_name: Annotated[str, typer.Argument(help="Its new name.")]
) -> None:
    """Give a model that was added another name."""
    from napari_sartorius.zoo.manage import rename_bundle

    bundle = rename_bundle(name, new_name)
    typer.echo(f"{name} is called {bundle.card.name} now; it is in {bundle.path}")


@models_app.command("remove")
def remove_model(
    name: Name, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
) -> None:
    """Delete a model that was added; a damaged one by the name of its folder."""
    from napari_sartorius.zoo.manage import remove_bundle

    if not yes:
        typer.confirm(f"Delete the model {name} and its weights from this computer?", abort=True)
    typer.echo(f"{name} is gone; {remove_bundle(name) / 1e6:.0f} MB are free again")


@models_app.command("export")
def export_model(
    name: Annotated[str, typer.Argument(help="Name of a model.")],
    file: Annotated[Path, typer.Argument(metavar="FILE.zip", help="Where to write it.")],
) -> None:
    """Write a model as one zip that others can import."""
    from napari_sartorius.zoo import find_bundle
    from napari_sartorius.zoo.archive import export_bundle

    bundle = find_bundle(name)
    with ConsoleMonitor() as monitor:
        export_bundle(bundle, file, monitor=monitor)
    typer.echo(f"{file} holds {bundle.card.name} under its licence ({bundle.card.licence})")
    typer.echo(f"Others add it with: napari-sartorius models import {file.name}")


@models_app.command("verify")
def verify_models(
    name: Annotated[str | None, typer.Argument(help="Name of a model; all when not given.")] = None,
) -> None:
    """Compare the weights of models with the checksums on their cards."""
    from napari_sartorius.core.errors import UserError
    from napari_sartorius.zoo import find_bundle, scan_bundles

    bundles, damaged = ([find_bundle(name)], []) if name is not None else scan_bundles()
    faults = [one.reason for one in damaged]
    for bundle in bundles:
        try:
            bundle.verify()
        except UserError as error:
            faults.append(str(error))
        else:
            typer.echo(f"{bundle.card.name}: good")
    for fault in faults:
        typer.echo(f"Damaged: {fault}", err=True)
    if faults:
        raise typer.Exit(1)
