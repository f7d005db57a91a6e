"""Programs that ask for JSON get JSON, whatever goes wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

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
