"""`evaluate` with what `segment` writes: the right images are compared, or it is said why not."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from napari_sartorius.io.coco import read_coco, write_coco
from napari_sartorius.io.exporting import export_dataset

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cli_fakes import ThresholdSegmenter
    from typer.testing import Result

    Run = Callable[..., Result]


@pytest.fixture
def truth(run: Run, segmenter: ThresholdSegmenter, pictures: Path, tmp_path: Path) -> Path:
    """The true cells of three images, field1.png to field3.png."""
    run("segment", pictures, "-o", tmp_path / "all", "--model", "squares", "--format", "coco")
    return tmp_path / "all" / "instances.json"


@pytest.fixture
def listed(run: Run, truth: Path, pictures: Path, tmp_path: Path) -> Path:
    """Our results list of field2.png alone, which it numbers 1 as the truth does field1.png."""
    out = tmp_path / "one"
    run("segment", pictures / "field2.png", "-o", out, "--model", "squares", "--format", "results")
    assert {record["image_id"] for record in json.loads((out / "results.json").read_text())} == {1}
    return out / "results.json"


def test_our_results_list_is_compared_with_its_own_image(
    run: Run, truth: Path, listed: Path
) -> None:
    part = run("evaluate", truth, listed, "--partial", "--json")
    assert part.exit_code == 0, part.output
    content = json.loads(part.stdout)
    assert [image["file_name"] for image in content["images"]] == ["field2.png"]
    assert content["competition_score"] == 1.0
    assert "2 images of the truth have no prediction, left out." in part.stderr
    whole = run("evaluate", truth, listed, "--json")
    assert json.loads(whole.stdout)["competition_score"] == pytest.approx(1 / 3)
    assert "2 of 3 images of the truth do not occur in results.json" in whole.stderr
    assert "--partial" in whole.stderr


def test_truth_in_label_images_against_the_folder_of_a_run(
    run: Run, truth: Path, pictures: Path, tmp_path: Path
) -> None:
    export_dataset(read_coco(truth), tmp_path / "pairs", ["labels"])
    for picture in pictures.glob("field*.png"):
        shutil.copy(picture, tmp_path / "pairs" / picture.name)
    (truth.parent / "results.json").write_text("[]")
    done = run("evaluate", tmp_path / "pairs", truth.parent, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["competition_score"] == 1.0
    assert len(found["images"]) == 3
    assert "does not tell kinds apart: all cells that were found are cell" in done.stderr


def test_lists_of_other_images_are_refused(run: Run, truth: Path, listed: Path) -> None:
    records = json.loads(listed.read_text())

    def refused(**changes: Any) -> str:
        changed = [{**record, **changes} for record in records]
        listed.write_text(json.dumps([{k: v for k, v in r.items() if v} for r in changed]))
        result = run("evaluate", truth, listed, "--partial")
        assert result.exit_code == 1
        (line,) = result.stderr.splitlines()
        assert "results.json" in line
        return line

    assert "about other images, such as x.png" in refused(file_name="x.png")
    assert "image_id 9" in refused(file_name=None, image_id=9)
    other = {**records[0]["segmentation"], "size": [64, 65]}
    assert "65 x 64 pixels, but field2.png is 64 x 64" in refused(segmentation=other)


def test_an_empty_list_found_nothing(run: Run, truth: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.json"
    empty.write_text("[]")
    assert json.loads(run("evaluate", truth, empty, "--json").stdout)["competition_score"] == 0
    refused = run("evaluate", truth, empty, "--partial")
    assert refused.exit_code == 1
    assert "lacks 3 of 3" in refused.stderr


def test_a_results_list_cannot_be_the_truth(run: Run, truth: Path, listed: Path) -> None:
    swapped = run("evaluate", listed, truth)
    assert swapped.exit_code == 1
    (line,) = swapped.stderr.splitlines()
    for words in (
        str(listed),
        "cannot be the truth, it is a COCO results list",
        "give first the COCO dataset with the true cells",
        "change the order of the two files",
    ):
        assert words in line
    assert "change the order" not in run("evaluate", listed, listed).stderr


def test_a_stack_is_compared_plane_by_plane(
    run: Run, segmenter: ThresholdSegmenter, stack: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run("segment", stack, "-o", out, "--model", "squares", "--format", "coco,results")
    for prediction in ("instances.json", "results.json"):
        result = run("evaluate", out / "instances.json", out / prediction, "--json")
        assert result.exit_code == 0, result.output
        content = json.loads(result.stdout)
        assert content["competition_score"] == 1.0
        assert [image["true_count"] for image in content["images"]] == [2, 0, 5]
    truth = read_coco(out / "instances.json")
    truth = truth.select(lambda image: image.extra["plane"] == [2])
    write_coco(tmp_path / "last.json", truth)
    one = run("evaluate", tmp_path / "last.json", out / "results.json", "--json")
    assert json.loads(one.stdout)["competition_score"] == 1.0
    assert (
        "1 of 2 images of results.json is left out, such as series.ome.tif, plane 0" in one.stderr
    )
