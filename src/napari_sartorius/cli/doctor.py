"""``napari-sartorius doctor``: what is installed, what will be used, and the one thing to fix."""

from __future__ import annotations

import typer

from napari_sartorius.cli.errors import FAILED


def doctor() -> None:
    """Print versions, device, memory and models, and the first thing to fix if there is one."""
    from napari_sartorius.cli.diagnosis import diagnose

    diagnosis = diagnose()
    width = max(len(name) for name, _ in diagnosis.facts)
    for name, value in diagnosis.facts:
        typer.echo(f"{name:<{width}}  {value}")
    typer.echo("")
    if diagnosis.remedy is None:
        typer.echo("Nothing to fix.")
        return
    typer.echo(f"To fix: {diagnosis.remedy}")
    if diagnosis.unusable:
        raise typer.Exit(FAILED)
