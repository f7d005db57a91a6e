"""Programs that ask for JSON get JSON, whatever goes wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from napari_sartorius.core.progress import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    Run = Callable[..., Result]


JSON_VERBS = [
    ("segment", "x.png", "-o", "out", "--model", "nothing"),
    ("evaluate", "nothing.json", "nothing.json"),
    ("tune", "--model", "nothing", "--data", "nothing.json"),
    ("data", "check", "nothing.json"),
    ("data", "stats", "nothing.json"),
    ("rescore", "fit", "--model", "nothing", "--data", "nothing.json"),
    ("rescore", "show", "nothing"),
]


@pytest.mark.parametrize("arguments", JSON_VERBS, ids=lambda a: " ".join(a[:2]))
def test_errors_are_json_where_json_was_asked_for(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*arguments, "--json")
    assert result.exit_code == 1
    sentence = json.loads(result.stdout)["error"]
    assert "nothing" in sentence
    assert f"Error: {sentence}" in result.stderr.splitlines()
    plain = run(*arguments)
    assert (plain.exit_code, plain.stdout) == (1, "")


def test_a_file_called_json_is_no_option(run: Run) -> None:
    assert run("evaluate", "--", "--json", "nothing.json").stdout == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("segment", "x.png"), "--output"),
        (("segment", "x.png", "-o", "out", "--min-score", "much"), "--min-score"),
        (("segment", "x.png", "-o", "out", "--sooner"), "--sooner"),
        (("evaluate", "truth.json"), "PREDICTION"),
        (("doctor",), "--json"),
    ],
)
def test_wrong_options_are_json_too(run: Run, arguments: tuple[str, ...], words: str) -> None:
    result = run(*arguments, "--json")
    assert result.exit_code == 2
    assert words in json.loads(result.stdout)["error"]
    assert "Usage:" in result.stderr


@pytest.mark.parametrize("stop", [KeyboardInterrupt, Cancelled])
@pytest.mark.parametrize(
    ("place", "verb", "words"),
    [
        ("napari_sartorius.engine.batch.segment_files.segment_files", "segment", "--resume"),
        ("napari_sartorius.io.sources.read_dataset", "evaluate", "Stopped."),
    ],
)
def test_a_stop_is_json_too(
    run: Run,
    segmenter: object,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stop: type[BaseException],
    place: str,
    verb: str,
    words: str,
) -> None:
    def stopped(*others: object, **options: object) -> None:
        raise stop

    monkeypatch.setattr(place, stopped)
    arguments = {
        "segment": ("x.png", "-o", tmp_path / "out", "--model", "squares"),
        "evaluate": (tmp_path, tmp_path),
    }[verb]
    result = run(verb, *arguments, "--json")
    assert result.exit_code == 130
    sentence = json.loads(result.stdout)["error"]
    assert words in sentence
    assert result.stderr.splitlines()[-1] == sentence
