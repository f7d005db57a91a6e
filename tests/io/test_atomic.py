"""No reader ever sees half a file, and what went wrong is said in one sentence."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from napari_sartorius.core.errors import UserError
from napari_sartorius.io import atomic


def test_the_file_appears_complete(tmp_path: Path) -> None:
    target = tmp_path / "new" / "deep" / "out.json"
    with atomic.atomic_write(target) as temporary:
        temporary.write_text("all of it")
        assert not target.exists()
        assert temporary.suffix == ".json"
        assert temporary.parent == target.parent
    assert target.read_text() == "all of it"
    assert list(target.parent.iterdir()) == [target]


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    target.write_text("old")

    def write_badly() -> None:
        with atomic.atomic_write(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        write_badly()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.skipif(os.name == "nt", reason="POSIX file modes")
def test_the_file_has_the_usual_mode(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    atomic.write_text(tmp_path / "ours", "x")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "ours")}
    assert len(modes) == 1


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "read-only"),
        (errno.EIO, "was not written"),
    ],
)
def test_what_the_disk_says_becomes_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    target = tmp_path / "out.txt"

    def fail(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UserError, match=words) as caught:
        atomic.write_text(target, "text")
    assert str(target) in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_while_writing(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"

    def write() -> None:
        with atomic.atomic_write(target), open("/dev/full", "wb", buffering=0) as full:
            full.write(b"x")

    with pytest.raises(UserError, match="disk is full: free some space"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Simulated: an administrator, as in most containers, may write everywhere.
    def refuse(path: str, flags: int, mode: int = 0o777) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(UserError, match="read-only: choose another output folder"):
        atomic.write_text(tmp_path / "out.txt", "text")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UserError, match="in the way"):
        atomic.write_text(tmp_path / "out" / "labels.tif", "text")


def test_a_folder_in_the_way_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        atomic.write_text(tmp_path / "out", "text")


def test_a_folder_appears_complete_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with atomic.atomic_folder(target) as temporary:
        (temporary / "deep").mkdir()
        (temporary / "deep" / "a.txt").write_text("a")
        assert not target.exists()
    assert (target / "deep" / "a.txt").read_text() == "a"

    def overwrite() -> None:
        with atomic.atomic_folder(target):
            pass

    with pytest.raises(UserError, match="not empty"):
        overwrite()

    def fail() -> None:
        with atomic.atomic_folder(tmp_path / "other") as temporary:
            (temporary / "a.txt").write_text("a")
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        fail()
    assert list(tmp_path.iterdir()) == [target]


def test_leftovers_of_a_kill_are_removed_and_nothing_else(tmp_path: Path) -> None:
    stale = []
    for name in ("last.pt", "no_suffix", "two.dots.tif"):
        with atomic.atomic_write(tmp_path / name) as temporary:
            stale.append(temporary)
            temporary.write_text("x")
    with atomic.atomic_folder(tmp_path / "bundle") as temporary:
        stale.append(temporary)
    for path in stale[:3]:
        path.write_text("half")
    stale[3].mkdir()
    (stale[3] / "model.json").write_text("half")
    kept = ["last.pt", "no_suffix", "two.dots.tif", "bundle", ".hidden.part.pt", "a.00000000.part"]
    for name in kept[4:]:
        (tmp_path / name).write_text("the user's own")
    assert all(atomic.is_leftover(path) for path in stale)
    assert atomic.remove_leftovers(tmp_path, older_than=3600) == []
    os.utime(stale[0], (0, 0))
    assert atomic.remove_leftovers(tmp_path, older_than=3600) == [stale[0]]
    assert set(atomic.remove_leftovers(tmp_path)) == set(stale[1:])
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
    assert atomic.remove_leftovers(tmp_path / "nowhere") == []


def test_names_that_are_no_text_are_written_nonetheless(tmp_path: Path) -> None:
    atomic.write_text(tmp_path / "a.html", "of lat\udce4in.png, 細胞")
    assert (tmp_path / "a.html").read_text("utf-8") == r"of lat\udce4in.png, 細胞"
