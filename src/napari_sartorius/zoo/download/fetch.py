"""Brings one file from one of its addresses, with pooch, and accepts it only when it is right."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor
from napari_sartorius.zoo.download.answers import NoFile
from napari_sartorius.zoo.download.checksums import is_full, mismatch
from napari_sartorius.zoo.download.partial import PartialFile
from napari_sartorius.zoo.download.resume import Patience, ResumingDownloader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


def fetch(
    urls: Sequence[str],
    target: Path,
    *,
    checksums: tuple[str, ...] = (),
    why_wrong: Callable[[Path], str | None] = lambda path: None,
    expected_bytes: int | None = None,
    room_after: float = 0.0,
    monitor: Monitor | None = None,
    patience: Patience | None = None,
) -> Path:
    """Download a file unless it is there already; returns `target`.

    Parameters
    ----------
    urls
        Addresses of the same file. The one that an unfinished download is from comes first, then
        the order counts.
    target
        Where the file shall be. It appears when it is complete and right, not before.
    checksums
        What it must have, each ``algorithm:digits``, all digits or the first ones.
    why_wrong
        Looks at a file that has arrived and says what is wrong with it, or None.
    expected_bytes, room_after, monitor, patience
        As for `ResumingDownloader`.

    Raises
    ------
    UserError
        When no address gives the right file, or the disk is full.
    Cancelled
        When the monitor says so; what has arrived is kept for the next time.
    """
    monitor = monitor or Monitor()
    if target.is_file():
        if mismatch(target, checksums) is None:
            return target
        target.unlink()

    def judge(path: Path) -> str | None:
        return mismatch(path, checksums) or why_wrong(path)

    full = next((one for one in checksums if is_full(one)), None)
    partial = PartialFile(target.with_name(target.name + ".part"))
    reasons: list[str] = []
    for url in sorted(urls, key=lambda one: one != partial.url):
        downloader = ResumingDownloader(
            partial, monitor, patience, expected_bytes=expected_bytes, room_after=room_after
        )
        for _ in range(2):
            try:
                return _retrieve(url, target, full, judge, downloader)
            except NoFile as error:
                reasons.append(f"{urlsplit(url).netloc}: {error}")
                if not downloader.resumed:
                    break
                # What was there did not fit to what came; begin again at the first byte, once.
                partial.forget()
                downloader.resumed = False
            except OSError as error:
                raise UserError(
                    f"{target} could not be written ({error.strerror or error}); what has arrived "
                    "is kept: free some space and download again"
                ) from error
    raise UserError(
        f"{target.name} could not be downloaded ({'; '.join(dict.fromkeys(reasons))}); check the "
        f"internet connection and the proxy, or download {urls[0]} in another way and give the "
        "file with --from-file"
    )


def _retrieve(
    url: str,
    target: Path,
    checksum: str | None,
    judge: Callable[[Path], str | None],
    downloader: ResumingDownloader,
) -> Path:
    import pooch

    def download(address: str, output_file: str, manager: object) -> None:
        downloader(address, output_file)
        wrong = judge(Path(output_file))
        if wrong is not None:
            raise NoFile(f"the file is not the right one: {wrong}")

    with _quiet_pooch():
        pooch.retrieve(url, checksum, fname=target.name, path=target.parent, downloader=download)
    return target


@contextlib.contextmanager
def _quiet_pooch() -> Iterator[None]:
    """Keep pooch from writing to the terminal; who listens to the monitor knows already."""
    import pooch

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
