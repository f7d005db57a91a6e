"""`segment`: names of any kind, what is no file at all, and files that are not its own."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from cli_fakes import ThresholdSegmenter, squares
from PIL import Image

from napari_sartorius.core.errors import UserError
from napari_sartorius.engine.batch.inputs import JOURNAL
from napari_sartorius.io.coco import read_coco
from napari_sartorius.io.submission import read_submission

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer.testing import Result

    Run = Callable[..., Result]

ALL = ("--model", "squares", "--format", "coco,results,labels,csv,overlay,submission")


def save(path: Path, count: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(squares(count)).save(path, "PNG")


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_names_as_long_as_a_file_system_takes_them(
    run: Run, segmenter: ThresholdSegmenter, tmp_path: Path
) -> None:
    names = ["m" * 250 + "a.png", "m" * 250 + "b.png", "細" * 83 + ".png"]
    for count, name in enumerate(names, start=1):
        save(tmp_path / "in" / name, count)
    out = tmp_path / "out"
    result = run("segment", tmp_path / "in", "-o", out, *ALL)
    assert result.exit_code == 0, result.output
    dataset = read_coco(out / "instances.json")
    assert [image.file_name for image in dataset.images] == names
    assert [len(dataset.instances[image.id]) for image in dataset.images] == [1, 2, 3]
    counts = [tifffile.imread(path).max() for path in sorted(out.glob("*_labels.tif"))]
    assert sorted(counts) == [1, 2, 3]  # nobody writes over another's
    again = run("segment", tmp_path / "in", "-o", out, *ALL, "--resume")
    assert again.stdout.count("(done before)") == 3


def test_clashing_names_in_deep_folders(
    run: Run, segmenter: ThresholdSegmenter, tmp_path: Path
) -> None:
    deep = tmp_path / "in" / "/".join(["level " * 10] * 6)
    save(deep / "a.png", 1)
    save(tmp_path / "in" / "a.png", 2)
    result = run("segment", tmp_path / "in", "-o", tmp_path / "out", "--recursive", *ALL)
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "out").glob("*_labels.tif"))) == 2


def test_a_picture_named_like_a_plane_of_a_stack_beside_it(
    run: Run, segmenter: ThresholdSegmenter, tmp_path: Path
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    for name in ("film_t0.png", "film_t1_z0.png", "other_t0.png"):
        save(folder / name)
    film = np.stack([squares(2), squares(3)])
    tifffile.imwrite(folder / "film.ome.tif", film, metadata={"axes": "TYX"})
    result = run("segment", folder, "-o", out, *ALL, "--json")
    assert result.exit_code == 0, result.output
    images = json.loads(result.stdout)["images"]
    assert {image["file_name"]: image["stem"] for image in images} == {
        "film.ome.tif": "film",
        "film_t0.png": "film_t0_png",
        "film_t1_z0.png": "film_t1_z0_png",
        "other_t0.png": "other_t0",
    }
    written = [name for image in images for name in image["outputs"]]
    assert len(set(written)) == len(written)
    assert set(written) <= set(listing(out))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names of files are text")
def test_a_name_that_is_no_text(run: Run, segmenter: ThresholdSegmenter, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    name = os.fsdecode(b"lat\xe4in.png")
    try:
        save(tmp_path / "in" / name)
    except OSError:
        pytest.skip("this file system takes text only")
    out = tmp_path / "out"
    result = run("segment", tmp_path / "in", "-o", out, *ALL, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["images"][0]["file_name"] == name
    assert read_coco(out / "instances.json").images[0].file_name == name
    found = read_submission(out / "submission.csv", {r"lat\udce4in": (64, 64)})
    assert len(found[r"lat\udce4in"]) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_is_not_waited_for(run: Run, segmenter: ThresholdSegmenter, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tif")
    result = run("segment", tmp_path / "pipe.tif", "-o", tmp_path / "out", *ALL)
    assert result.exit_code == 1
    said = result.stderr.splitlines()[-2:]
    assert said[0].endswith(
        "pipe.tif is a pipe or a device, expected a file: save the image first."
    )
    assert said[1] == "1 of 1 image could not be done."


def test_an_address_is_no_file(run: Run, segmenter: ThresholdSegmenter, tmp_path: Path) -> None:
    result = run("segment", "https://example.org/a.tif", "-o", tmp_path / "out", *ALL)
    assert result.exit_code == 1
    assert "is an address, expected a file: download the image first" in result.stderr


def test_a_name_without_end_is_one_sentence(
    run: Run, segmenter: ThresholdSegmenter, tmp_path: Path
) -> None:
    result = run("segment", tmp_path / ("q" * 5000), "-o", tmp_path / "out", *ALL)
    assert result.exit_code == 1
    assert "check the path" in result.stderr
    assert "unexpected" not in result.stderr


@pytest.mark.parametrize("name", ["a_labels.tif", "a_objects.csv", "instances.json"])
def test_files_that_no_run_wrote_are_not_written_over(
    run: Run, segmenter: ThresholdSegmenter, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "in"
    save(folder / "a.png")
    (folder / name).write_text("by hand")
    result = run("segment", folder / "a.png", "-o", folder, *ALL)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        f"Error: {folder / name} is there already, and no run has written to this folder: choose "
        "another output folder, or move the file."
    )
    assert listing(folder) == ["a.png", name]
    assert (folder / name).read_text() == "by hand"
    # What is not asked for is not in the way.
    other = (*ALL[:2], "--format", "overlay,results")
    assert run("segment", folder / "a.png", "-o", folder, *other).exit_code == 0


def test_what_a_run_wrote_is_written_again(
    run: Run, segmenter: ThresholdSegmenter, tmp_path: Path
) -> None:
    save(tmp_path / "in" / "a.png", 1)
    arguments = ("segment", tmp_path / "in", "-o", tmp_path / "in", *ALL)
    assert run(*arguments).exit_code == 0
    # Whatever a kill before the first record leaves: outputs, and the journal's folder.
    for record in (tmp_path / "in" / JOURNAL / "images").iterdir():
        record.unlink()
    (tmp_path / "in" / JOURNAL / "run.json").unlink()
    save(tmp_path / "in" / "a.png", 3)
    for more in ((), ("--resume",)):
        assert run(*arguments, *more).exit_code == 0
        assert tifffile.imread(tmp_path / "in" / "a_labels.tif").max() == 3
    # A run in which nothing can be done does not disown what was written before it.
    (tmp_path / "in" / "a.png").write_text("no picture")
    assert run(*arguments).exit_code == 1
    save(tmp_path / "in" / "a.png", 2)
    assert run(*arguments).exit_code == 0
    assert tifffile.imread(tmp_path / "in" / "a_labels.tif").max() == 2


def refuse(monkeypatch: pytest.MonkeyPatch, name: str, folder: Path) -> None:
    """Let a function of `os` fail for a folder, as for a user who has no rights to it."""
    real = getattr(os, name)

    def checked(path: str | Path | int, *others: object, **options: object) -> object:
        if not isinstance(path, int) and Path(path).is_relative_to(folder):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *others, **options)

    monkeypatch.setattr(os, name, checked)


def test_a_folder_that_may_not_be_looked_into_is_told(
    run: Run, segmenter: ThresholdSegmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "in"
    save(folder / "a.png")
    save(folder / "secret" / "b.png")
    refuse(monkeypatch, "scandir", folder / "secret")
    result = run("segment", folder, "-o", tmp_path / "out", "--recursive", *ALL)
    assert result.exit_code == 0, result.output
    assert f"Note: {folder / 'secret'} cannot be listed (Permission denied) and was left out" in (
        result.stderr
    )
    result = run("segment", folder / "secret", "-o", tmp_path / "other", *ALL)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        f"Error: {folder / 'secret'} cannot be listed (Permission denied): check its permissions."
    )


def test_hidden_folders_are_not_searched(
    run: Run, segmenter: ThresholdSegmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "in" / "a.png")
    save(tmp_path / "in" / ".trash" / "b.png")
    refuse(monkeypatch, "scandir", tmp_path / "in" / ".trash")
    result = run("segment", tmp_path / "in", "-o", tmp_path / "out", "--recursive", *ALL)
    assert result.stdout.startswith("a.png: 1 object")
    assert "left out" not in result.stderr


def test_a_journal_that_cannot_be_written_is_one_sentence(
    run: Run, segmenter: ThresholdSegmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "a.png")
    out = tmp_path / "out"
    arguments = ("segment", tmp_path / "a.png", "-o", out, *ALL)
    assert run(*arguments).exit_code == 0
    refuse(monkeypatch, "open", out / JOURNAL)
    refuse(monkeypatch, "unlink", out / JOURNAL)
    monkeypatch.setattr("shutil.rmtree", lambda *others, **options: None)
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        f"Error: {out / JOURNAL} cannot be written to (Permission denied): choose another output "
        "folder or change its permissions."
    )


def test_results_of_another_run_are_no_images(
    run: Run, segmenter: ThresholdSegmenter, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    save(folder / "a.png")
    assert run("segment", folder, "-o", folder / "first", *ALL).exit_code == 0
    result = run("segment", folder, "-o", folder / "second", "--recursive", *ALL)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("a.png: 1 object")
    assert "left out 2 pictures that are labels or overlays of an image" in result.stderr
    assert len(read_coco(folder / "second" / "instances.json").images) == 1
    alone = run("segment", folder / "first", "-o", tmp_path / "third", *ALL)
    assert alone.exit_code == 1
    assert "holds no image" in alone.stderr


@pytest.mark.parametrize("more", [(), ("--resume",)])
def test_two_runs_do_not_write_to_one_folder(
    run: Run,
    segmenter: ThresholdSegmenter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: tuple[str, ...],
) -> None:
    save(tmp_path / "a.png", 1)
    save(tmp_path / "b.png", 2)
    out = tmp_path / "out"
    second: list[Result] = []
    look = segmenter.segment

    def start_another(*others: Any, **options: Any) -> object:
        if not second:
            second.append(run("segment", tmp_path / "b.png", "-o", out, *ALL, *more))
        return look(*others, **options)

    monkeypatch.setattr(segmenter, "segment", start_another)
    first = run("segment", tmp_path / "a.png", "-o", out, *ALL)
    assert first.exit_code == 0, first.output
    assert second[0].exit_code == 1
    assert second[0].stderr.splitlines()[-1] == (
        f"Error: {out} is being written to by another run: wait for its end, or choose another "
        "output folder."
    )
    assert [image.file_name for image in read_coco(out / "instances.json").images] == ["a.png"]
    # The next run is free to.
    assert run("segment", tmp_path / "b.png", "-o", out, *ALL, *more).exit_code == 0


def test_whatever_fails_names_its_file(
    run: Run, segmenter: ThresholdSegmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*others: object, **options: object) -> object:
        raise UserError("memory does not suffice to segment this image; close other programs")

    monkeypatch.setattr(segmenter, "segment", full)
    save(tmp_path / "a.png")
    result = run("segment", tmp_path / "a.png", "-o", tmp_path / "out", *ALL)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-2] == (
        f"Error: {tmp_path / 'a.png'}: memory does not suffice to segment this image; close other "
        "programs"
    )
