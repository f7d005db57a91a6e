"""What a server's answer means: the file, its rest, come again, or not here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import requests

_PASSING = {408, 425, 429, 500, 502, 503, 504}
_REASONS = {
    401: "it asks for a password",
    403: "it refuses to give the file",
    404: "the file is not there any more",
    407: "the proxy asks for a password",
    410: "the file is not there any more",
}


class NoFile(Exception):
    """An address does not give the file; the text says why, as the end of a sentence."""


class Passing(Exception):
    """Something that may be over at the next attempt; the text says what.

    Parameters
    ----------
    reason
        End of a sentence.
    wait
        Seconds that the server asks to wait; None when it does not say, 0 for at once.
    """

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class Stale(Passing):
    """What is here is not the beginning of what is there: begin at the first byte, at once."""

    def __init__(self) -> None:
        super().__init__("the file has changed meanwhile", wait=0.0)


@dataclass(frozen=True)
class Answer:
    """A good answer.

    Attributes
    ----------
    offset
        Position of the first byte that follows.
    total
        Bytes of the whole file; None when the server does not say.
    is_complete
        Whether everything is there already.
    """

    offset: int
    total: int | None
    is_complete: bool = False


def read_answer(url: str, response: requests.Response, have: int) -> Answer:
    """Judge an answer to a request for the bytes from `have` on.

    Raises
    ------
    NoFile, Passing, Stale
        When it is none of the file.
    """
    status = response.status_code
    if status in _PASSING:
        raise Passing(f"it answers {status}", _retry_after(response))
    if status == 416:
        if _range(response) == (None, have) and have:
            return Answer(have, have, is_complete=True)
        raise Stale
    if status not in (200, 206):
        raise NoFile(_REASONS.get(status, f"it answers {status}"))
    if urlsplit(url).scheme == "https" and urlsplit(response.url).scheme != "https":
        raise NoFile("it sends on to an address that is not secure")
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise NoFile("it sends a web page instead of the file")
    if status == 206:
        start, total = _range(response)
        if start != have:
            raise Stale
        return Answer(have, total)
    length = response.headers.get("Content-Length", "")
    plain = "Content-Encoding" not in response.headers
    return Answer(0, int(length) if length.isdigit() and plain else None)


def why_no_connection(error: Exception) -> Exception:
    """Sort an error of the connection into those that pass and those that stay."""
    from requests import exceptions

    if isinstance(error, exceptions.ProxyError):
        return Passing("the proxy does not answer")
    if isinstance(error, exceptions.SSLError):
        return NoFile(
            "its certificate is not trusted here (where a proxy inspects the traffic, set "
            "REQUESTS_CA_BUNDLE to the file of your institute's certificates)"
        )
    if isinstance(error, exceptions.TooManyRedirects):
        return NoFile("it sends from one address to the next without end")
    if isinstance(error, exceptions.InvalidProxyURL):
        return NoFile("the proxy's address is not valid")
    if isinstance(error, exceptions.InvalidURL | exceptions.InvalidSchema):
        return NoFile("its address is not valid")
    if isinstance(error, exceptions.ConnectTimeout):
        return Passing("it does not answer")
    if isinstance(error, exceptions.Timeout) or "Read timed out" in str(error):
        return Passing("it stopped sending")
    if isinstance(error, exceptions.ChunkedEncodingError):
        return Passing("the connection broke off")
    return Passing("there is no connection to it")


def _range(response: requests.Response) -> tuple[int | None, int | None]:
    """First byte and size of the file of ``Content-Range``; None for what is not said."""
    text = response.headers.get("Content-Range", "")
    found = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", text.strip())
    if found is None:
        return None, None
    start, total = found.groups()
    return (int(start) if start else None), (int(total) if total != "*" else None)


def _retry_after(response: requests.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else None
