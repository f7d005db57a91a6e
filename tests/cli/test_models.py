"""The verbs of ``napari-sartorius models`` that bring, share, rename, remove and check."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from loopback import LoopbackServer, answer
from napari_sartorius.zoo import find_bundle
from published_fakes import CLOSED, fake_entry, use_catalogue, zip_bytes
from tiny_models import save_tiny_bundle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typer.testing import Result

    Run = Callable[..., Result]


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder with the model "tiny", and a person who has accepted nothing."""
    folder = tmp_path / "models"
    monkeypatch.setenv("SARTORIUS_MODELS", str(folder))
    accepted = tmp_path / "settings" / "accepted.json"
    monkeypatch.setattr("napari_sartorius.zoo.licences.accepted_file", lambda: accepted)
    save_tiny_bundle(folder / "tiny")
    return folder


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    server = LoopbackServer(zip_bytes())
    yield server
    server.stop()


def test_the_whole_catalogue_is_listed(run: Run, models: Path) -> None:
    short = run("models", "list").stdout
    assert "tiny" in short
    assert "livecell" not in short
    text = run("models", "list", "--all").stdout
    line = next(line for line in text.splitlines() if "livecell-anchor-based-bv2 " in line)
    assert "mask AP 52.6, box AP 54.4" in line
    assert "LIVECell: LIVECell test; CC BY-NC 4.0, to be accepted once" in text
    assert "torchvision-maskrcnn-r50-v2" in text


def test_damaged_models_are_mentioned(run: Run, models: Path) -> None:
    (models / "tiny" / "model.json").write_text("{")
    listed = run("models", "list")
    assert "tiny  " not in listed.stdout
    assert "cannot be read" in listed.stderr


def test_what_is_known_before_a_download(run: Run, models: Path) -> None:
    text = run("models", "show", "livecell-anchor-free").stdout
    for fact in (
        "mask AP 47.78 %, box AP 48.45 % on LIVECell test",
        "CC BY-NC 4.0 (name the authors, and no commercial use)",
        "must be accepted before the download",
        "Size:           not published (all eighteen",
        "none published; the first download is recorded",
        "Edlund et al. 2021",
        "LIVECell_anchor_free_model.pth",
        "livecell_config.yaml",
    ):
        assert fact in text
    text = run("models", "show", "detectron2-maskrcnn-r50").stdout
    assert "md5:f10217... (the publisher gives its beginning)" in text
    assert "stop sign and 68 more" in text


def test_download(
    run: Run, models: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_catalogue(monkeypatch, fake_entry(server.url(), licence=CLOSED))
    refused = run("models", "download", "far-away")
    assert refused.exit_code == 1
    assert "no commercial use" in refused.stderr
    assert "--accept-licence" in refused.stderr
    assert server.requests == []
    done = run("models", "download", "far-away", "--accept-licence")
    assert done.exit_code == 0, done.stderr
    assert "Licence: CC BY-NC 4.0" in done.stdout
    assert "--model far-away" in done.stdout
    assert find_bundle("far-away").card.title == "Far away"
    assert "already" in run("models", "download", "far-away").stderr
    assert run("models", "download", "far-away", "--name", "again").exit_code == 0
    # once it is there, show tells of what is there
    assert "Location:" in run("models", "show", "far-away").stdout


def test_download_that_fails_is_one_sentence(
    run: Run, models: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_catalogue(monkeypatch, fake_entry(server.url()))
    server.behaviours = [answer(404)]
    failed = run("models", "download", "far-away")
    assert failed.exit_code == 1
    assert failed.stderr.count("\n") == 1
    assert "not there any more" in failed.stderr
    given = tmp_path / "by-hand.pth"
    given.write_bytes(server.content)
    assert run("models", "download", "far-away", "--from-file", given).exit_code == 0


def test_export_and_import(run: Run, models: Path, tmp_path: Path) -> None:
    done = run("models", "export", "tiny", tmp_path / "tiny.zip")
    assert "under its licence (CC0-1.0)" in done.stdout
    assert "exists already" in run("models", "export", "tiny", tmp_path / "tiny.zip").stderr
    taken = run("models", "import", tmp_path / "tiny.zip")
    assert "a model called tiny already" in taken.stderr
    done = run("models", "import", tmp_path / "tiny.zip", "--name", "copy")
    assert "copy finds big, small" in done.stdout
    assert "copy: good" in run("models", "verify").stdout


def test_rename_and_remove(run: Run, models: Path) -> None:
    assert "called small now" in run("models", "rename", "tiny", "small").stdout
    assert run("models", "remove", "small").exit_code == 1  # nobody said yes
    assert (models / "small").is_dir()
    assert "small is gone" in run("models", "remove", "small", "--yes").stdout
    assert not (models / "small").exists()
    assert "ships with" in run("models", "remove", "nuclei", "--yes").stderr


def test_verify(run: Run, models: Path) -> None:
    good = run("models", "verify")
    assert good.exit_code == 0
    assert {"nuclei: good", "tiny: good"} <= set(good.stdout.splitlines())
    weights = models / "tiny" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    (models / "broken").mkdir()
    (models / "broken" / "model.json").write_text("{")
    bad = run("models", "verify")
    assert bad.exit_code == 1
    assert "nuclei: good" in bad.stdout
    assert "do not match its card" in bad.stderr
    assert "broken" in bad.stderr
    assert run("models", "verify", "nuclei").exit_code == 0


def test_combine_and_use(run: Run, models: Path, tmp_path: Path) -> None:
    save_tiny_bundle(models / "other", name="other", licence="CC BY-NC 4.0")
    out = tmp_path / "pair.zip"
    made = run(
        "models", "ensemble", "--members", "tiny", "other", "--strategy", "weighted_boxes",
        "--name", "pair", "--weights", "2,1", "--views", "identity,rot90", "--option", "iou=0.4",
        "--out", out,
    )  # fmt: skip
    assert made.exit_code == 0, made.stderr
    assert "Licence: CC BY-NC 4.0 (the strictest, of other; tiny: CC0-1.0)" in made.stdout
    assert "pair finds big, small" in made.stdout
    assert "pair  " in run("models", "list").stdout
    shown = run("models", "show", "pair").stdout
    assert "Best:           2 models, 4 looks, about 4 x the time of Fast" in shown
    assert "Fast:           1 look, the time of Fast" in shown
    assert "- other: Tiny (CC BY-NC 4.0)" in shown
    assert "- all images: tiny (weight 2), other; identity, rot90; weighted_boxes" in shown
    assert "Cell type:      several in one image" in shown
    assert find_bundle("pair").card.passes[0].fusion.iou == 0.4  # type: ignore[union-attr]
    assert "pair: good" in run("models", "verify", "pair").stdout
    assert run("models", "rename", "pair", "duo").exit_code == 0
    assert run("models", "import", out).exit_code == 0
    assert find_bundle("pair").card.sha256 == find_bundle("duo").card.sha256
    assert run("models", "remove", "duo", "--yes").exit_code == 0

    picture = tmp_path / "picture.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)).save(
        picture
    )
    result = run(
        "segment", picture, "-o", tmp_path / "out", "--model", "pair", "--preset", "best",
        "--format", "coco,csv",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert "Best with pair: 2 models, 4 looks, about 4 x the time of Fast." in result.stderr
    written = json.loads((tmp_path / "out" / "instances.json").read_text())
    assert written["images"][0]["passes"] == [
        {"members": ["tiny", "other"], "views": ["identity", "rot90"], "fusion": "weighted_boxes"}
    ]
    assert written["info"]["model"] == "pair"
    assert {"members", "votes", "agreement"} <= set(written["annotations"][0])
    header = next((tmp_path / "out").glob("picture*.csv")).read_text().splitlines()[0]
    assert {"members", "votes", "agreement", "score_spread", "mask_agreement"} <= set(
        header.split(",")
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "needs members"),
        (["--members", "tiny,tiny"], "tiny is named twice"),
        (["--members", "tiny", "--members", "nobody"], "no model 'nobody'"),
        (["--members", "tiny", "--strategy", "magic"], "no strategy magic; choose one of"),
        (["--members", "tiny", "--option", "iou"], "write NAME=VALUE"),
        (["--members", "tiny", "--option", "iou=7"], "the option iou of mean_of_looks"),
        (["--members", "tiny", "--option", "size=7"], "the option size of mean_of_looks"),
        (["--members", "tiny", "--weights", "heavy"], "--weights cannot hold 'heavy'"),
    ],
)
def test_an_ensemble_that_cannot_be_made(
    run: Run, models: Path, options: list[str], words: str
) -> None:
    result = run("models", "ensemble", "--name", "new", *options)
    assert result.exit_code == 1
    assert words in result.stderr
    assert not (models / "new").exists()
