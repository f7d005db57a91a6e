"""How a verb that trains runs, alone or in several processes, and what it says when stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from napari_sartorius.cli.errors import INTERRUPTED
from napari_sartorius.core.progress import Cancelled
from napari_sartorius.training.place import Place

if TYPE_CHECKING:
    from collections.abc import Callable


def run_training(work: Callable[[], None]) -> None:
    """Do all of a verb in the first process, while the others help it with its trainings.

    Parameters
    ----------
    work
        Reads, trains and prints.

    Raises
    ------
    typer.Exit
        When the run was stopped, after saying how it goes on.
    """
    from napari_sartorius.training.leading import led

    try:
        led(work)
    except (KeyboardInterrupt, Cancelled) as stop:
        if Place.from_environment().rank:
            # The first one says why. Its exit code counts: torchrun would end it before it has
            # spoken, if this one were the first to fail.
            raise typer.Exit(0 if isinstance(stop, Cancelled) else INTERRUPTED) from None
        typer.echo(
            "Stopped: run the same command with --resume to go on from the last checkpoint.",
            err=True,
        )
        raise typer.Exit(INTERRUPTED) from None
