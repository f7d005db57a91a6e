"""What a user of the command line sees when something goes wrong: one sentence and an exit code.

A program that asked for ``--json`` gets the sentence as JSON on stdout, besides.
"""

from __future__ import annotations

import json
import logging
import select
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Cancelled

FAILED = 1
INTERRUPTED = 130  # 128 + SIGINT, as shells expect
_JSON = "napari_sartorius.json"
# How torch, the system, and the system when it loads torch say it.
_NO_MEMORY = ("out of memory", "cannot allocate memory", "failed to map segment")


class Stopped(Exception):
    """A run that was stopped; the message says what is kept and how it goes on."""


class SentenceGroup(TyperGroup):
    """Turns whatever a verb raises into a sentence on stderr, unless ``--debug`` was given.

    When the reader of a pipe has left, as ``head`` does, the program ends without a word.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the program's own options, and see whether the verb is asked for JSON."""
        ctx.meta[_JSON] = _asks_for_json(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the verb."""
        debug = bool(ctx.params.get("debug"))
        logging.basicConfig(
            level=logging.DEBUG if debug else logging.CRITICAL,
            format="%(levelname)s %(name)s: %(message)s",
        )
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, Cancelled, Stopped) as stop:
            sentence = str(stop) if isinstance(stop, Stopped) else "Stopped."
            _print_json(ctx, sentence)
            typer.echo(sentence, err=True)
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            if _belongs_to_typer(error):
                if hasattr(error, "format_message"):  # a wrong or missing option
                    _print_json(ctx, error.format_message())
                raise
            if debug or _nobody_reads(error):
                raise  # Typer itself ends quietly, with exit code 1, when nobody reads
            sentence = one_sentence(error)
            _print_json(ctx, sentence)
            typer.echo(f"Error: {sentence}", err=True)
            raise typer.Exit(FAILED) from None


def _print_json(ctx: Any, sentence: str) -> None:
    if ctx.meta[_JSON]:
        typer.echo(json.dumps({"error": sentence}, indent=1))


def _asks_for_json(arguments: list[str]) -> bool:
    """Whether ``--json`` is among the options; what follows ``--`` are no options."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return "--json" in arguments[:end]


def one_sentence(error: Exception) -> str:
    """Say what went wrong in one line."""
    text = " ".join(str(error).split())
    if isinstance(error, UserError):
        return text
    if isinstance(error, MemoryError) or any(one in text.lower() for one in _NO_MEMORY):
        return "The memory was not enough: choose a smaller --tile or close other programs."
    if isinstance(error, ModuleNotFoundError):
        return f"The Python package {error.name} is missing: install napari-sartorius again."
    return (
        f"An unexpected {type(error).__name__} happened ({text}): "
        "run again as `napari-sartorius --debug ...` and report what it prints."
    )


def _nobody_reads(error: Exception) -> bool:
    """Whether the pipe that broke is our output; one to another process is worth a sentence."""
    if not isinstance(error, BrokenPipeError):
        return False
    if not hasattr(select, "poll"):  # Windows, where `head` is rare
        return True
    poll = select.poll()
    for stream in (sys.stdout, sys.stderr):
        try:
            poll.register(stream, select.POLLOUT)
        except (OSError, ValueError):  # no file, as in a test
            continue
    return any(state & (select.POLLERR | select.POLLHUP) for _, state in poll.poll(0))


def _belongs_to_typer(error: Exception) -> bool:
    # Usage errors, Exit and Abort are Typer's own language; it prints them well.
    return type(error).__module__.split(".")[0] in {"click", "typer"}
