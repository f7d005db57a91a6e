"""A downloader for pooch that goes on where it broke off; pooch's own begins at the first byte.

Models have hundreds of megabytes, and the networks of institutes and hospitals drop long transfers.
What has arrived therefore stays in a file of its own, beside a note on where it is from, and the
next attempt (also of another day) asks for the rest with HTTP ``Range``. ``If-Range`` makes the
server send everything again when the file has changed meanwhile.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_sartorius.core.progress import Monitor
from napari_sartorius.zoo.download.answers import (
    NoFile,
    Passing,
    Stale,
    read_answer,
    why_no_connection,
)
from napari_sartorius.zoo.download.space import require_space

if TYPE_CHECKING:
    import requests

    from napari_sartorius.zoo.download.partial import PartialFile

LARGEST_DOWNLOAD = 4 << 30
"""Bytes; no checkpoint of a known network is larger, and a stream without an end must end."""

_CHUNK = 1 << 16
_REPORT_EVERY = 0.1
_LONGEST_PAUSE = 60.0


@dataclass(frozen=True)
class Patience:
    """How long to try.

    Parameters
    ----------
    attempts
        Failures in a row before giving up; one that brought `worth` bytes starts the count again.
    connect, silence
        Seconds to wait for a connection, and for the next byte.
    pause
        Seconds before the second attempt; doubled each time, a minute at most.
    worth
        Bytes.
    """

    attempts: int = 6
    connect: float = 15.0
    silence: float = 30.0
    pause: float = 1.0
    worth: int = 1 << 20


class ResumingDownloader:
    """Callable of the form that ``pooch.retrieve(downloader=...)`` wants.

    Proxies are taken from the usual variables (``HTTPS_PROXY``, ``NO_PROXY``); ``SARTORIUS_PROXY``
    goes before them.

    Parameters
    ----------
    partial
        Where to keep what has arrived.
    monitor
        Hears of progress (0 to 1 of the file) and may cancel; what has arrived stays.
    patience
        How long to try.
    expected_bytes
        Size when the server does not say it, for progress and the check of the disk.
    room_after
        Bytes that must stay free per byte of the file, for what will be made of it.
    """

    def __init__(
        self,
        partial: PartialFile,
        monitor: Monitor | None = None,
        patience: Patience | None = None,
        *,
        expected_bytes: int | None = None,
        room_after: float = 0.0,
    ) -> None:
        self._partial = partial
        self._monitor = monitor or Monitor()
        self._patience = patience or Patience()
        self._expected = expected_bytes
        self._room_after = room_after
        self._reported = float("-inf")
        self.resumed = False
        """Whether some of the file is from an earlier attempt."""

    def __call__(self, url: str, output_file: str, pooch: Any = None) -> None:
        """Bring the file at `url` to `output_file`.

        Raises
        ------
        NoFile
            When this address does not give the file, with the reason.
        UserError
            When the disk has no room for it.
        Cancelled
            When the monitor says so.
        """
        import requests

        with requests.Session() as session:
            failures = 0
            while True:
                had = self._partial.size
                try:
                    self._attempt(session, url)
                    break
                except Passing as error:
                    if isinstance(error, Stale):
                        self._partial.forget()
                    gained = self._partial.size - had >= self._patience.worth
                    failures = 1 if gained else failures + 1
                    if failures >= self._patience.attempts:
                        raise NoFile(str(error)) from error
                    self._wait(failures, error.wait)
        os.replace(self._partial.path, output_file)
        self._partial.forget()

    def _attempt(self, session: requests.Session, url: str) -> None:
        import requests
        import urllib3

        self._monitor.check()
        proxy = os.environ.get("SARTORIUS_PROXY")
        try:
            with session.get(
                url,
                headers={
                    "Accept-Encoding": "identity",
                    "User-Agent": "napari-sartorius",
                    **self._partial.request_headers(url),
                },
                stream=True,
                timeout=(self._patience.connect, self._patience.silence),
                proxies={"http": proxy, "https": proxy} if proxy else None,
            ) as response:
                answer = read_answer(url, response, self._partial.size)
                if answer.is_complete:
                    return
                if answer.offset == 0:
                    self._partial.begin(url, response.headers, answer.total)
                self.resumed = self.resumed or answer.offset > 0
                self._make_room(answer.total)
                self._write(response, answer.total)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise why_no_connection(error) from error
        if answer.total is not None and self._partial.size != answer.total:
            raise Passing("the connection broke off")

    def _write(self, response: requests.Response, total: int | None) -> None:
        received = self._partial.size
        with self._partial.path.open("ab") as file:
            for chunk in response.iter_content(_CHUNK):
                self._monitor.check()
                received += len(chunk)
                if received > LARGEST_DOWNLOAD or (total is not None and received > total):
                    raise NoFile("it sends more than the file can have")
                file.write(chunk)
                self._report(received, total)
            file.flush()
            os.fsync(file.fileno())

    def _make_room(self, total: int | None) -> None:
        size = total or self._expected
        if size is not None:
            if size > LARGEST_DOWNLOAD:
                raise NoFile(f"its file has {size / 1e9:.1f} GB, more than any known network")
            still = max(size - self._partial.size, 0)
            require_space(self._partial.path, still + round(self._room_after * size))

    def _report(self, received: int, total: int | None) -> None:
        now = time.monotonic()
        size = total or self._expected
        done = size is not None and received >= size
        if now - self._reported < _REPORT_EVERY and not done:
            return
        self._reported = now
        known = f" of {size / 1e6:.0f}" if size is not None else ""
        fraction = min(received / size, 1.0) if size else 0.0
        self._monitor.progress(f"downloading {received / 1e6:.0f}{known} MB", fraction)

    def _wait(self, failures: int, asked: float | None) -> None:
        pause = asked if asked is not None else self._patience.pause * 2.0 ** (failures - 1)
        until = time.monotonic() + min(pause, _LONGEST_PAUSE)
        while (left := until - time.monotonic()) > 0:
            self._monitor.check()
            time.sleep(min(left, 0.1))
