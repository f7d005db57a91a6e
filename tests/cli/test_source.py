"""What is read is not written over, and a split that is not there is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annotated_discs import dataset_of_masks, discs
from napari_sartorius.io.coco import read_coco, write_coco
from napari_sartorius.io.project import create_project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in, with annotations of two images of the split val, four of train."""
    sides = [{"split": "val" if n < 2 else "train"} for n in range(6)]
    write_coco(tmp_path / "annotations.json", dataset_of_masks(tmp_path, [discs()] * 6, sides))
    (tmp_path / "link.json").symlink_to(tmp_path / "annotations.json")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        "data convert annotations.json --out annotations.json --split val",
        "data convert link.json --out ./annotations.json",
        "data convert annotations.json --out . --format labels,coco",
        "data check annotations.json --fix annotations.json",
        "export annotations.json --out . --format coco --split val",
    ],
)
def test_annotations_are_not_written_over(run: Run, folder: Path, words: str) -> None:
    before = (folder / "annotations.json").read_bytes()
    done = run(*words.split())
    assert done.exit_code == 1
    assert "annotations.json is what is read, and writing there would replace it" in done.stderr
    assert (folder / "annotations.json").read_bytes() == before


def test_a_project_is_not_written_over(run: Run, tmp_path: Path) -> None:
    create_project(tmp_path / "work", ["cell"]).close()
    before = (tmp_path / "work" / "annotations.json").read_bytes()
    done = run("export", tmp_path / "work", "--out", tmp_path / "work", "--format", "coco")
    assert "is what is read" in done.stderr
    assert (tmp_path / "work" / "annotations.json").read_bytes() == before


@pytest.mark.parametrize(
    "words",
    [
        "data convert annotations.json --out new.json --split test",
        "data stats annotations.json --split test",
        "export annotations.json --out new --format coco --split test",
    ],
)
def test_a_split_that_is_not_there_is_told(run: Run, folder: Path, words: str) -> None:
    done = run(*words.split())
    assert done.exit_code == 1
    assert "has no image of the split 'test' (there are train, val)" in done.stderr
    assert not list(folder.glob("new*"))
    good = run(*words.replace("test", "val").split())
    assert good.exit_code == 0, good.output


def test_a_split_may_be_marked_in_the_file_itself(run: Run, folder: Path) -> None:
    done = run("data", "split", "annotations.json", "--out", "annotations.json")
    assert done.exit_code == 0, done.output
    assert len(read_coco(folder / "annotations.json")) == 6
