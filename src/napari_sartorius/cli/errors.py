"""What a user of the command line sees when something goes wrong: one sentence and an exit code."""

from __future__ import annotations

import logging
from typing import Any

import typer
from typer.core import TyperGroup

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Cancelled

FAILED = 1
INTERRUPTED = 130  # 128 + SIGINT, as shells expect


class SentenceGroup(TyperGroup):
    """Turns whatever a verb raises into a sentence on stderr, unless ``--debug`` was given."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb."""
        debug = bool(ctx.params.get("debug"))
        logging.basicConfig(
            level=logging.DEBUG if debug else logging.CRITICAL,
            format="%(levelname)s %(name)s: %(message)s",
        )
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, Cancelled):
            typer.echo("Stopped.", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            if debug or _belongs_to_typer(error):
                raise
            typer.echo(f"Error: {one_sentence(error)}", err=True)
            raise typer.Exit(FAILED) from None


def one_sentence(error: Exception) -> str:
    """Say what went wrong in one line."""
    text = " ".join(str(error).split())
    if isinstance(error, UserError):
        return text
    if isinstance(error, MemoryError) or "out of memory" in text.lower():
        return "The memory was not enough: choose a smaller --tile or close other programs."
    if isinstance(error, ModuleNotFoundError):
        return f"The Python package {error.name} is missing: install napari-sartorius again."
    return (
        f"An unexpected {type(error).__name__} happened ({text}): "
        "run again as `napari-sartorius --debug ...` and report what it prints."
    )


def _belongs_to_typer(error: Exception) -> bool:
    # Usage errors, Exit and Abort are Typer's own language; it prints them well.
    return type(error).__module__.split(".")[0] in {"click", "typer"}
