"""The journal gives back what was written, up to the first damaged byte."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.project.journal import Journal

if TYPE_CHECKING:
    from pathlib import Path

ENTRIES: list[dict[str, Any]] = [{"kind": "edit", "n": n, "text": "µ\n" * n} for n in range(5)]


def _written(path: Path) -> bytes:
    journal = Journal(path)
    for n, content in enumerate(ENTRIES, start=1):
        assert journal.append(content) == n
    return path.read_bytes()


def test_what_was_appended_is_read_in_order(tmp_path: Path) -> None:
    _written(tmp_path / "j")
    again = Journal(tmp_path / "j")
    entries, damaged = again.read()
    assert [entry.content for entry in entries] == ENTRIES
    assert [entry.number for entry in entries] == [1, 2, 3, 4, 5]
    assert damaged == 0
    assert again.append({"kind": "more"}) == 6


def test_entries_that_are_saved_already_are_passed_over(tmp_path: Path) -> None:
    _written(tmp_path / "j")
    entries, damaged = Journal(tmp_path / "j", last=3).read()
    assert [entry.number for entry in entries] == [4, 5]
    assert damaged == 0


def test_no_file_is_no_entry(tmp_path: Path) -> None:
    assert Journal(tmp_path / "none").read() == ([], 0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(place=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_a_damaged_byte_ends_the_reading_there_and_no_earlier(
    tmp_path: Path, place: int, flip: int
) -> None:
    path = tmp_path / "j"
    path.unlink(missing_ok=True)
    data = bytearray(_written(path))
    place %= len(data)
    line = bytes(data[:place]).count(b"\n")
    data[place] ^= flip
    path.write_bytes(bytes(data))
    entries, damaged = Journal(path).read()
    assert [entry.content for entry in entries] == ENTRIES[:line]
    assert damaged > 0


@pytest.mark.parametrize("cut", [1, 7, 30])
def test_a_cut_line_is_set_aside_and_the_journal_goes_on(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "journal.jsonl"
    whole = _written(path)
    path.write_bytes(whole[:-cut])
    journal = Journal(path)
    entries, damaged = journal.read()
    assert len(entries) == 4
    copy = journal.set_aside_tail(damaged)
    assert copy.read_bytes() == whole[:-cut]
    assert journal.append(ENTRIES[4]) == 5
    assert path.read_bytes() == whole


def test_an_entry_that_does_not_reach_the_disk_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "j"
    whole = _written(path)
    journal = Journal(path)
    journal.read()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="disk is full"):
        journal.append({"kind": "lost"})
    assert path.read_bytes() == whole
    monkeypatch.undo()
    assert journal.append({"kind": "kept"}) == 6
