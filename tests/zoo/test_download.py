"""Downloads against a real server that does all that servers and networks do wrong."""

from __future__ import annotations

import hashlib
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import requests

from loopback import (
    Handler,
    LoopbackServer,
    answer,
    drop_at,
    stall_at,
    without_length,
    without_range,
)
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Cancelled, Monitor
from napari_sartorius.zoo.download import ChecksumLedger, Patience, fetch
from napari_sartorius.zoo.download.answers import NoFile, read_answer, why_no_connection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTENT = os.urandom(1 << 20)
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
QUICK = Patience(attempts=3, connect=2.0, silence=0.3, pause=0.001, worth=1 << 16)


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    server = LoopbackServer(CONTENT)
    yield server
    server.stop()


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "SARTORIUS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "downloads" / "model.pth"


def get(server: LoopbackServer, target: Path, **options: object) -> bytes:
    options = {"patience": QUICK} | options
    return fetch([server.url()], target, **options).read_bytes()  # type: ignore[arg-type]


def leftovers(target: Path) -> set[str]:
    return {path.name for path in target.parent.iterdir()}


def test_a_good_server_and_no_second_download(server: LoopbackServer, target: Path) -> None:
    assert get(server, target, checksums=(SHA256,)) == CONTENT
    assert leftovers(target) == {"model.pth"}
    assert get(server, target, checksums=(SHA256,)) == CONTENT
    assert len(server.requests) == 1


def test_goes_on_where_the_connection_broke_off(server: LoopbackServer, target: Path) -> None:
    server.behaviours = [drop_at(300_000), drop_at(700_000), *server.behaviours]
    assert get(server, target, checksums=(SHA256,)) == CONTENT
    starts = [headers.get("Range") for _, headers in server.requests]
    assert starts[0] is None
    assert all(start is not None and start != "bytes=0-" for start in starts[1:])


def test_goes_on_another_day(server: LoopbackServer, target: Path) -> None:
    well = server.behaviours
    server.behaviours = [drop_at(600_000), answer(404)]
    with pytest.raises(UserError, match="not there any more"):
        get(server, target)
    assert not target.exists()
    server.behaviours = well
    assert get(server, target) == CONTENT
    assert int(server.requests[-1][1]["Range"][6:-1]) > 400_000


def test_a_server_that_cannot_resume_sends_all_again(server: LoopbackServer, target: Path) -> None:
    server.behaviours = [without_range(500_000), without_range()]
    assert get(server, target, checksums=(SHA256,)) == CONTENT
    assert "Range" in server.requests[1][1]


def test_a_file_that_changed_meanwhile_is_taken_anew(server: LoopbackServer, target: Path) -> None:
    well = server.behaviours
    server.behaviours = [drop_at(500_000), answer(404)]
    with pytest.raises(UserError):
        get(server, target)
    server.content, server.tag, server.behaviours = CONTENT[::-1], '"second"', well
    assert get(server, target) == CONTENT[::-1]


def test_a_partial_file_longer_than_the_file_is_dropped(
    server: LoopbackServer, target: Path
) -> None:
    well = server.behaviours
    server.behaviours = [drop_at(900_000), answer(404)]
    with pytest.raises(UserError):
        get(server, target)
    server.content, server.behaviours = CONTENT[:1000], well  # the tag stayed: a broken server
    assert get(server, target) == CONTENT[:1000]


def test_all_was_there_already(server: LoopbackServer, target: Path) -> None:
    well = server.behaviours
    server.behaviours = [drop_at(600_000), answer(404)]
    with pytest.raises(UserError):
        get(server, target)
    target.with_name("model.pth.part").write_bytes(CONTENT)
    server.behaviours = well
    assert get(server, target, checksums=(SHA256,)) == CONTENT
    assert server.requests[-1][1]["Range"] == f"bytes={len(CONTENT)}-"


@pytest.mark.parametrize("tag", ['W/"weak"', ""])
def test_without_a_mark_of_the_file_all_is_sent_again(
    server: LoopbackServer, target: Path, tag: str
) -> None:
    server.tag = tag
    server.behaviours = [drop_at(500_000), *server.behaviours]
    assert get(server, target, checksums=(SHA256,)) == CONTENT
    assert "Range" not in server.requests[1][1]


def test_a_date_is_a_mark_too(server: LoopbackServer, target: Path) -> None:
    date = "Sat, 21 Nov 2020 08:00:00 GMT"

    def dated(handler: Handler) -> None:
        start = handler.asked_from
        facts = {"Last_Modified": date, "Content_Length": len(CONTENT) - start}
        if start:
            assert handler.headers["If-Range"] == date
            facts["Content_Range"] = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
        handler.head(206 if start else 200, **facts)
        handler.wfile.write(CONTENT[start:] if start else CONTENT[:500_000])
        if not start:
            handler.hang_up()

    server.behaviours = [dated]
    assert get(server, target, checksums=(SHA256,)) == CONTENT
    assert "Range" in server.requests[1][1]


def test_an_address_that_is_not_secure_is_not_followed() -> None:
    response = SimpleNamespace(status_code=200, url="http://b.example/a.pth", headers={})
    with pytest.raises(NoFile, match="not secure"):
        read_answer("https://a.example/a.pth", response, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (requests.exceptions.SSLError(), "REQUESTS_CA_BUNDLE"),
        (requests.exceptions.InvalidProxyURL(), "proxy's address is not valid"),
        (requests.exceptions.InvalidSchema(), "its address is not valid"),
        (requests.exceptions.ConnectTimeout(), "it does not answer"),
    ],
)
def test_faults_of_the_connection_have_a_sentence(error: Exception, reason: str) -> None:
    assert reason in str(why_no_connection(error))


def test_a_stall_is_ended_and_resumed(server: LoopbackServer, target: Path) -> None:
    server.behaviours = [stall_at(400_000), *server.behaviours]
    assert get(server, target, checksums=(SHA256,)) == CONTENT
    assert "Range" in server.requests[1][1]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_fault_is_waited_out(server: LoopbackServer, target: Path, status: int) -> None:
    server.behaviours = [answer(status, Retry_After=0), answer(status), *server.behaviours]
    assert get(server, target) == CONTENT


def test_gives_up_after_as_many_faults_as_allowed(server: LoopbackServer, target: Path) -> None:
    server.behaviours = [answer(500)]
    with pytest.raises(UserError, match="it answers 500"):
        get(server, target)
    assert len(server.requests) == QUICK.attempts


def test_progress_starts_the_count_of_faults_again(server: LoopbackServer, target: Path) -> None:
    drops = [drop_at(position) for position in range(200_000, 1_000_000, 150_000)]
    assert len(drops) > QUICK.attempts
    server.behaviours = [*drops, *server.behaviours]
    assert get(server, target, checksums=(SHA256,)) == CONTENT


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (answer(404), "not there any more"),
        (answer(403), "refuses"),
        (answer(200, b"<html>", Content_Type="text/html; charset=utf-8"), "a web page"),
        (answer(302, Location="/model.pth"), "without end"),
    ],
)
def test_what_will_not_pass_is_said_at_once(
    server: LoopbackServer, target: Path, behaviour: object, reason: str
) -> None:
    server.behaviours = [behaviour]  # type: ignore[list-item]
    with pytest.raises(UserError, match=reason) as caught:
        get(server, target)
    assert server.url() in str(caught.value)
    assert "--from-file" in str(caught.value)
    assert not target.exists()


def test_wrong_bytes_are_not_accepted(server: LoopbackServer, target: Path) -> None:
    server.content = CONTENT[:-1] + b"x"
    with pytest.raises(UserError, match="not the right one: its sha256"):
        get(server, target, checksums=(SHA256,))
    assert leftovers(target) == set()


def test_the_beginning_of_a_checksum_counts_too(server: LoopbackServer, target: Path) -> None:
    begun = "md5:" + hashlib.md5(CONTENT).hexdigest()[:6]
    assert get(server, target, checksums=(begun,)) == CONTENT
    target.write_bytes(b"damaged on the disk")
    assert get(server, target, checksums=(begun,)) == CONTENT
    target.unlink()
    with pytest.raises(UserError, match="md5 checksum"):
        get(server, target, checksums=("md5:ffffff",))


def test_a_resumed_file_that_came_out_wrong_is_taken_anew(
    server: LoopbackServer, target: Path
) -> None:
    well = server.behaviours
    server.behaviours = [drop_at(500_000), answer(404)]
    with pytest.raises(UserError):
        get(server, target)
    part = target.with_name("model.pth.part")
    part.write_bytes(b"x" * part.stat().st_size)  # a damaged disk
    server.behaviours = well
    assert get(server, target, checksums=(SHA256,)) == CONTENT


def test_redirects_are_followed(server: LoopbackServer, target: Path) -> None:
    server.behaviours = [answer(302, Location="/elsewhere"), *server.behaviours]
    assert get(server, target) == CONTENT
    assert [path for path, _ in server.requests] == ["/model.pth", "/elsewhere"]


def test_the_next_mirror_is_asked(server: LoopbackServer, target: Path) -> None:
    other = LoopbackServer(CONTENT)
    other.behaviours = [answer(404)]
    try:
        done = fetch([other.url(), server.url()], target, checksums=(SHA256,), patience=QUICK)
    finally:
        other.stop()
    assert done.read_bytes() == CONTENT
    assert len(other.requests) == len(server.requests) == 1


def test_an_unfinished_download_goes_on_at_its_own_mirror(
    server: LoopbackServer, target: Path
) -> None:
    other = LoopbackServer(CONTENT)
    other.behaviours = [answer(404)]
    urls = [other.url(), server.url()]
    try:
        well, server.behaviours = server.behaviours, [drop_at(600_000), answer(403)]
        with pytest.raises(UserError, match=r"not there any more; .*refuses"):
            fetch(urls, target, patience=QUICK)
        server.behaviours = well
        fetch(urls, target, patience=QUICK)
    finally:
        other.stop()
    assert len(other.requests) == 1
    assert "Range" in server.requests[-1][1]


def test_nobody_there_is_one_sentence(target: Path) -> None:
    server = LoopbackServer(CONTENT)
    url = server.url()
    server.stop()
    with pytest.raises(UserError, match="there is no connection to it"):
        fetch([url], target, patience=QUICK)


def test_a_file_of_unknown_length(server: LoopbackServer, target: Path) -> None:
    server.behaviours = [without_length]
    assert get(server, target, checksums=(SHA256,)) == CONTENT


def test_the_proxy_of_the_environment_is_used(
    server: LoopbackServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url("")[:-1])
    monkeypatch.setenv("NO_PROXY", "")
    fetch(["http://models.example/a.pth"], target, patience=QUICK)
    assert server.requests[0][0] == "http://models.example/a.pth"


def test_the_proxy_of_the_settings_goes_before_it(
    server: LoopbackServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("SARTORIUS_PROXY", server.url("")[:-1])
    fetch(["http://models.example/a.pth"], target, patience=QUICK)
    assert server.requests[0][0] == "http://models.example/a.pth"


def test_a_proxy_that_is_not_there_is_named(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SARTORIUS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="the proxy does not answer"):
        fetch(["http://models.example/a.pth"], target, patience=QUICK)


class Stopper(Monitor):
    """Cancels when a share of the file has arrived."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.fractions: list[float] = []

    def progress(self, stage: str, fraction: float) -> None:
        self.stages.append(stage)
        self.fractions.append(fraction)

    def check(self) -> None:
        if self.fractions:
            raise Cancelled


def test_cancel_keeps_what_has_arrived(server: LoopbackServer, target: Path) -> None:
    with pytest.raises(Cancelled):
        get(server, target, monitor=Stopper())
    assert not target.exists()
    assert leftovers(target) == {"model.pth.part", "model.pth.part.json"}
    assert get(server, target, checksums=(SHA256,)) == CONTENT
    assert "Range" in server.requests[1][1]


def test_progress_names_megabytes_and_ends_at_one(server: LoopbackServer, target: Path) -> None:
    heard = Stopper()
    heard.check = lambda: None  # type: ignore[method-assign]
    get(server, target, monitor=heard)
    assert heard.stages[-1] == "downloading 1 of 1 MB"
    assert heard.fractions[-1] == 1.0
    assert heard.fractions == sorted(heard.fractions)


def test_no_room_on_the_disk_is_said_before_it_is_full(
    server: LoopbackServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = SimpleNamespace(free=50_000_000 + len(CONTENT) + 10)
    monkeypatch.setattr("shutil.disk_usage", lambda path: free)
    with pytest.raises(UserError, match="51 MB free, but 52 MB are needed"):
        get(server, target, room_after=1.0)
    assert get(server, target) == CONTENT


def test_a_disk_that_fills_up_meanwhile_is_one_sentence(
    server: LoopbackServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        if os.fstat(descriptor).st_size > 100_000:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fail)
        with pytest.raises(UserError, match="No space left"):
            get(server, target)
    assert not target.exists()
    assert get(server, target, checksums=(SHA256,)) == CONTENT


def test_an_answer_that_is_too_long_is_cut_off(
    server: LoopbackServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_sartorius.zoo.download.resume.LARGEST_DOWNLOAD", 100_000)
    with pytest.raises(UserError, match="more than any known network"):
        get(server, target)
    server.behaviours = [without_length]
    with pytest.raises(UserError, match="more than the file can have"):
        get(server, target)


def test_the_ledger_remembers_the_first_checksum(tmp_path: Path) -> None:
    ledger = ChecksumLedger(tmp_path / "checksums.json")
    assert ledger.expected("a", None) == ()
    assert ledger.expected("a", "md5:abcdef") == ("md5:abcdef",)
    ledger.record("a", "1" * 64)
    ledger.record("a", "2" * 64)
    ledger.record("b", "3" * 64)
    assert ledger.expected("a", None) == ("sha256:" + "1" * 64,)
    assert ledger.expected("b", "md5:abcdef") == ("md5:abcdef", "sha256:" + "3" * 64)
    ledger.forget("a")
    assert ledger.expected("a", None) == ()
    ledger.path.write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        ledger.expected("a", None)
