"""Write files so that a reader never sees half of one, whatever happens in between.

Every writer of this package goes through here: the bytes go to a temporary file beside the target,
reach the disk (``fsync``), and only then take the target's name. A full disk, a read-only folder or
an error while writing leaves the old file, or none, and becomes one sentence for the user.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sartorius.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Give a temporary path to write to; it replaces `path` when the block ends without error.

    Parameters
    ----------
    path
        Where the finished file shall be. Missing parent folders are made.

    Yields
    ------
    Path
        An empty file in the same folder, with the same suffix as `path`.

    Raises
    ------
    UserError
        When the folder cannot be written to, the disk is full, or any other ``OSError`` happens
        in the block. The temporary file is removed and an existing `path` stays as it was.
    """
    path = Path(path)
    temporary = _beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Created by hand rather than by tempfile, whose 0600 mode would stick to the finished file.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
        _flush_folder(path.parent)
    except OSError as error:
        raise explained(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


@contextlib.contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Give a temporary folder to fill; it takes the name `path` when the block ends without error.

    Parameters
    ----------
    path
        Where the finished folder shall be; must not exist yet, or be empty.

    Yields
    ------
    Path
        An empty folder beside `path`.

    Raises
    ------
    UserError
        When `path` holds something already, or as for `atomic_write`.
    """
    path = Path(path)
    temporary = _beside(path)
    try:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UserError(f"{path} exists and is not empty: choose a new folder to write to.")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                _flush(file)
        if path.exists():
            path.rmdir()
        os.replace(temporary, path)
        _flush_folder(path.parent)
    except OSError as error:
        raise explained(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_text(path: str | Path, text: str) -> None:
    r"""Write `text` as UTF-8 with Unix line ends to `path`, atomically; errors as `atomic_write`.

    Names of files from old disks may hold bytes that are no text; these are written as ``\udce4``.
    """
    write_bytes(path, text.encode("utf-8", errors="backslashreplace"))


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` to `path`, atomically; errors as `atomic_write`."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)


def is_leftover(path: Path) -> bool:
    """Whether a file or folder is a temporary one of this module, by its name."""
    return _TEMPORARY.fullmatch(path.name) is not None


def remove_leftovers(folder: Path, older_than: float = 0.0) -> list[Path]:
    """Remove temporary files that killed programs left in a folder, not in those below it.

    A kill leaves no time to tidy up, so whoever owns a folder calls this when it starts again.

    Parameters
    ----------
    folder
        Where to look; it need not exist.
    older_than
        Seconds without a change after which a file belongs to nobody; more than 0 where another
        program may be writing to the same folder.

    Returns
    -------
    list of Path
        What was removed. What cannot be removed stays, it harms nobody.
    """
    newest = time.time() - older_than
    removed = []
    for path in sorted(folder.glob(".*.part*")):
        with contextlib.suppress(OSError):
            if not is_leftover(path) or path.lstat().st_mtime > newest:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
            removed.append(path)
    return removed


def _beside(path: Path) -> Path:
    # The real suffix stays last: writers choose the format by it.
    return path.with_name(f".{path.stem[:40]}.{secrets.token_hex(4)}.part{path.suffix}")


_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.part(\..*)?")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush_folder(folder: Path) -> None:
    # The rename itself must reach the disk too. Windows cannot open folders; it needs no such call.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def explained(path: Path, error: OSError) -> UserError:
    """What went wrong when a file was read or written, as one sentence with a remedy."""
    return UserError(_explain(path, error))


def _explain(path: Path, error: OSError) -> str:
    if error.errno in _DENIED:
        return (
            f"{path} cannot be written, the folder or file is read-only: "
            "choose another output folder or change its permissions."
        )
    if error.errno in _FULL:
        return f"{path} was not written because the disk is full: free some space and run again."
    if error.errno in {errno.ENOTDIR, errno.EEXIST}:
        return f"{path} cannot be written, a file is in the way of its folder: choose another path."
    if error.errno == errno.EISDIR:
        return f"{path} is a folder, expected a file name to write to: choose another path."
    reason = error.strerror or str(error) or type(error).__name__
    return f"{path} was not written ({reason}): check the disk and the path, then run again."
