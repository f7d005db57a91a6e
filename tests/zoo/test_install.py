"""From an entry of the catalogue to a model in the list, with a server that is really there."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import filelock
import pytest
import torch

from loopback import LoopbackServer, answer, drop_at, send_well, stall_at
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Cancelled, Monitor
from napari_sartorius.zoo import find_bundle, list_bundles
from napari_sartorius.zoo.download import Patience
from napari_sartorius.zoo.install import DownloadOptions, downloads_folder, install_published
from napari_sartorius.zoo.licences import accept_licence, needs_acceptance
from napari_sartorius.zoo.published import Licence, PublishedModel, find_published

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUICK = Patience(attempts=3, connect=2.0, silence=0.3, pause=0.001, worth=1 << 16)
SETTINGS = {
    "MODEL": {
        "ANCHOR_GENERATOR": {"SIZES": [[8], [16], [32], [64], [128]]},
        "ROI_HEADS": {"NUM_CLASSES": 2, "SCORE_THRESH_TEST": 0.1},
    },
    "INPUT": {"MIN_SIZE_TEST": 96, "MAX_SIZE_TEST": 160},
}


@pytest.fixture(scope="module")
def content(
    tiny_weights: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory
) -> bytes:
    """The publisher's file."""
    path = tmp_path_factory.mktemp("publisher") / "tiny.pth"
    torch.save({"model": tiny_weights}, path)
    return path.read_bytes()


@pytest.fixture
def server(content: bytes) -> Iterator[LoopbackServer]:
    server = LoopbackServer(content)
    yield server
    server.stop()


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty models folder, and a person who has accepted nothing."""
    monkeypatch.setenv("SARTORIUS_MODELS", str(tmp_path / "models"))
    accepted = tmp_path / "settings" / "accepted.json"
    monkeypatch.setattr("napari_sartorius.zoo.licences.accepted_file", lambda: accepted)
    monkeypatch.delenv("SARTORIUS_PROXY", raising=False)
    return tmp_path / "models"


@pytest.fixture
def entry(server: LoopbackServer, models: Path, monkeypatch: pytest.MonkeyPatch) -> PublishedModel:
    """A catalogue entry whose file is at the server."""
    stock = find_published("detectron2-maskrcnn-r50")
    made = stock.model_copy(
        update={
            "name": "tiny-published",
            "title": "Tiny, published",
            "urls": (server.url(),),
            "settings": SETTINGS,
            "checksum": None,
            "categories": ("round", "long"),
        }
    )
    monkeypatch.setattr("napari_sartorius.zoo.published.loading.published_models", lambda: (made,))
    return made


@pytest.fixture
def guarded(entry: PublishedModel, monkeypatch: pytest.MonkeyPatch) -> PublishedModel:
    """The same under a licence that is not open."""
    closed = Licence(
        name="CC BY-NC 4.0",
        spdx="CC-BY-NC-4.0",
        open=False,
        url="https://creativecommons.org/licenses/by-nc/4.0/",
        summary="no commercial use",
    )
    made = entry.model_copy(update={"licence": closed})
    monkeypatch.setattr("napari_sartorius.zoo.published.loading.published_models", lambda: (made,))
    return made


def install(**options: object) -> object:
    return install_published(
        "tiny-published",
        DownloadOptions(**options),  # type: ignore[arg-type]
        patience=QUICK,
    )


def names() -> set[str]:
    return {bundle.card.name for bundle in list_bundles()}


def visible(models: Path) -> list[str]:
    return sorted(path.name for path in models.iterdir() if not path.name.startswith("."))


def test_the_model_is_there_with_what_the_publisher_says(
    entry: PublishedModel, models: Path, server: LoopbackServer
) -> None:
    install()
    bundle = find_bundle("tiny-published")
    card = bundle.card
    assert bundle.path == models / "tiny-published"
    assert card.title == "Tiny, published"
    assert card.category_names == ["round", "long"]
    assert card.licence.startswith("CC BY-SA 3.0: name the authors")
    assert card.citation.startswith("Wu et al. 2019")
    assert card.metrics["mask AP on COCO val (published)"] == pytest.approx(0.372)
    assert card.input_size is not None
    assert card.input_size.short_edge == 96
    assert bundle.load_network() is not None
    assert sorted(path.name for path in bundle.path.iterdir()) == [
        "import.json",
        "model.json",
        "weights.safetensors",
    ]
    left = {path.name for path in downloads_folder().iterdir()}
    assert left - {"tiny-published.lock"} == {"checksums.json"}
    assert visible(models) == ["tiny-published"]


def test_another_name_and_the_file_kept(entry: PublishedModel, server: LoopbackServer) -> None:
    install(name="mine", keep_file=True)
    assert "mine" in names()
    assert (downloads_folder() / entry.name / entry.file_name).is_file()
    install(name="mine2")
    assert len(server.requests) == 1


def test_a_taken_name_is_refused_before_the_download(
    entry: PublishedModel, server: LoopbackServer
) -> None:
    with pytest.raises(UserError, match="a model called nuclei already"):
        install(name="nuclei")
    assert server.requests == []


def test_the_first_checksum_is_enforced_afterwards(
    entry: PublishedModel, server: LoopbackServer, tiny_weights: dict[str, torch.Tensor],
    tmp_path: Path,
) -> None:  # fmt: skip
    install()
    changed = dict(tiny_weights)
    changed["roi_heads.box_head.fc1.bias"] = changed["roi_heads.box_head.fc1.bias"] + 1
    torch.save({"model": changed}, tmp_path / "changed.pth")
    server.content, server.tag = (tmp_path / "changed.pth").read_bytes(), '"second"'
    with pytest.raises(UserError, match=r"not the right one: its sha256.*--trust-new-file"):
        install(name="again")
    assert names() & {"again"} == set()
    install(name="again", trust_new_file=True)
    assert "again" in names()


def test_what_cannot_be_imported_is_not_trusted_and_not_installed(
    entry: PublishedModel, server: LoopbackServer, models: Path, content: bytes
) -> None:
    damaged = bytearray(content)
    damaged[len(content) // 4 : len(content) // 2] = bytes(len(content) // 4)
    for wrong, reason in ((content[:-5000], "not complete"), (bytes(damaged), "is damaged")):
        server.content = wrong
        with pytest.raises(UserError, match=reason):
            install()
        assert [path.name for path in models.iterdir()] == [".downloads"]
        assert {path.suffix for path in downloads_folder().rglob("*.*")} <= {".lock"}


def test_a_web_page_that_claims_to_be_the_file(
    entry: PublishedModel, server: LoopbackServer, models: Path
) -> None:
    server.behaviours = [answer(200, b"<html>gone</html>", Content_Type="application/zip")]
    with pytest.raises(UserError, match="it is no checkpoint"):
        install()
    server.behaviours = [send_well]
    install()
    assert "tiny-published" in names()


def test_a_broken_download_installs_nothing_and_goes_on_later(
    entry: PublishedModel, server: LoopbackServer, models: Path
) -> None:
    server.behaviours = [drop_at(len(server.content) // 2), answer(404)]
    with pytest.raises(UserError, match="could not be downloaded"):
        install()
    assert visible(models) == []
    server.behaviours = [send_well]
    install()
    assert "Range" in server.requests[-1][1]
    assert "tiny-published" in names()


def test_a_licence_that_is_not_open_is_accepted_once(
    guarded: PublishedModel, server: LoopbackServer, models: Path
) -> None:
    with pytest.raises(UserError, match=r"CC BY-NC 4\.0 \(no commercial use.*--accept-licence"):
        install()
    assert server.requests == []
    install(accept_licence=True)
    assert not needs_acceptance(guarded)
    install(name="again")
    other = guarded.model_copy(update={"publisher": "somebody else"})
    assert needs_acceptance(other)
    accept_licence(other)
    assert not needs_acceptance(other)


def test_a_file_that_is_there_already(
    entry: PublishedModel, server: LoopbackServer, content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "copied.pth"
    path.write_bytes(content)
    install(from_file=path)
    assert find_bundle("tiny-published").card.title == "Tiny, published"
    assert path.is_file()
    assert server.requests == []
    install(name="downloaded")
    path.write_bytes(content + b"x")
    with pytest.raises(UserError, match="is not the file of tiny-published: its sha256"):
        install(name="third", from_file=path)
    with pytest.raises(UserError, match="is not a file"):
        install(name="third", from_file=tmp_path / "nothing.pth")


def test_published_checksums_count_for_given_files(
    entry: PublishedModel, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "copied.pth"
    path.write_bytes(content)
    begun = entry.model_copy(update={"checksum": "md5:" + hashlib.md5(content).hexdigest()[:6]})
    monkeypatch.setattr("napari_sartorius.zoo.published.loading.published_models", lambda: (begun,))
    path.write_bytes(content + b"x")
    with pytest.raises(UserError, match="its md5 checksum"):
        install(from_file=path)
    path.write_bytes(content)
    install(from_file=path)
    assert "tiny-published" in names()


def test_a_model_that_cannot_be_used_is_not_downloaded(models: Path) -> None:
    with pytest.raises(UserError, match="deformable convolutions"):
        install_published("centermask2-v39-dcn")
    with pytest.raises(UserError, match="the catalogue has no model"):
        install_published("nothing")


class Impatient(Monitor):
    """Cancels as soon as a stage begins."""

    def __init__(self, stage: str) -> None:
        self.stage, self.begun = stage, False
        self.fractions: list[float] = []

    def progress(self, stage: str, fraction: float) -> None:
        self.begun = self.begun or stage == self.stage
        self.fractions.append(fraction)

    def check(self) -> None:
        if self.begun:
            raise Cancelled


def test_cancel_while_importing_leaves_no_model(
    entry: PublishedModel, models: Path, server: LoopbackServer
) -> None:
    with pytest.raises(Cancelled):
        install_published("tiny-published", monitor=Impatient("read"))
    assert visible(models) == []
    heard = Impatient("never")
    install_published("tiny-published", monitor=heard)
    assert len(server.requests) == 1  # the file had arrived
    assert heard.fractions == sorted(heard.fractions)
    assert heard.fractions[-1] == 1.0


def test_one_program_at_a_time(entry: PublishedModel, models: Path) -> None:
    downloads_folder().mkdir(parents=True)
    with (
        filelock.FileLock(downloads_folder() / "tiny-published.lock"),
        pytest.raises(UserError, match="by another program"),
    ):
        install()
    install()
    assert "tiny-published" in names()


_PROGRAM = """
import sys
sys.path[:] = {path!r}
import pytest
from published_fakes import fake_entry, use_catalogue
use_catalogue(pytest.MonkeyPatch(), fake_entry({url!r}, name="tiny-published"))
from napari_sartorius.zoo.install import install_published
install_published("tiny-published")
"""


def test_killing_the_program_leaves_no_half_a_model(
    entry: PublishedModel, server: LoopbackServer, models: Path
) -> None:
    half = len(server.content) // 2
    server.behaviours = [stall_at(half), send_well]
    program = _PROGRAM.format(path=sys.path, url=server.url())
    process = subprocess.Popen([sys.executable, "-c", program])
    part = downloads_folder() / "tiny-published" / f"{entry.file_name}.part"
    try:
        for _ in range(1200):
            if process.poll() is not None or (part.exists() and part.stat().st_size > half // 2):
                break
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    assert visible(models) == []
    assert part.stat().st_size > half // 2
    install()
    assert "Range" in server.requests[-1][1]
    assert visible(models) == ["tiny-published"]
