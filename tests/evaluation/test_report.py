"""The report: one page that needs nothing else, and the same figures as files."""

from __future__ import annotations

import csv
import json
import re
import sys
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from napari_sartorius.core.categories import categories_from_names
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.progress import Cancelled, Monitor
from napari_sartorius.evaluation.cases import Cases, collect_cases
from napari_sartorius.evaluation.dataset import evaluate_cases
from napari_sartorius.evaluation.report import write_report
from napari_sartorius.evaluation.report.pictures import worst_images
from napari_sartorius.io.coco import CocoDataset, CocoImage

if TYPE_CHECKING:
    from pathlib import Path

SIZE = (40, 60)
NAMES = ("round", "a < b & $x$")


def squares(*corners: tuple[int, int, int], category: int = 0) -> Instances:
    """Squares given by y, x and side."""
    stack = np.zeros((len(corners), *SIZE), np.bool_)
    for mask, (y, x, side) in zip(stack, corners, strict=True):
        mask[y : y + side, x : x + side] = True
    scores = np.linspace(0.9, 0.4, len(corners))
    categories = np.full(len(corners), category)
    return Instances.from_masks(CropMasks.from_full(stack), scores, categories)


TRUTH = {
    "images/<one>.png": squares((2, 2, 8), (20, 20, 8), (20, 40, 6)),
    "images/two.png": squares((5, 5, 10), (5, 16, 10), category=1),
    "images/three.png": squares(),
}
FOUND = {
    # One matched, one missed, one too many; two in one; nothing.
    "images/<one>.png": squares((2, 2, 8), (30, 2, 5), (20, 40, 6)),
    "images/two.png": Instances.from_masks(
        CropMasks.from_full(np.pad(np.ones((1, 10, 21), bool), ((0, 0), (5, 25), (5, 34)))),
        [0.7],
        [1],
    ),
    "images/three.png": squares(),
}


def dataset(objects: dict[str, Instances], folder: Path | None = None) -> CocoDataset:
    images = [CocoImage(i, name, SIZE[1], SIZE[0]) for i, name in enumerate(objects)]
    instances = {i: objects[image.file_name] for i, image in enumerate(images)}
    return CocoDataset(images, categories_from_names(NAMES), dict(instances), folder=folder)


def cases(folder: Path | None = None) -> Cases:
    return collect_cases(dataset(TRUTH, folder), dataset(FOUND))


class Addresses(HTMLParser):
    """Collects what a page would load, and checks that its elements are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "data"):
                self.found.append(value or "")
            if name == "id":
                self.ids.append(value or "")
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def written(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "images").mkdir()
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 255, SIZE, np.uint8)).save(folder / "images" / "two.png")
    compared = cases(folder)
    result = evaluate_cases(compared)
    paths = write_report(folder / "report", compared, result, title="Mine & <yours>")
    assert sorted(path.name for path in paths) == sorted(
        path.name for path in (folder / "report").iterdir()
    )
    return folder / "report"


def test_the_page_needs_nothing_else(report: Path) -> None:
    text = (report / "report.html").read_text("utf-8")
    parser = Addresses()
    parser.feed(text)
    assert not parser.open
    pictures = [address for address in parser.found if address.startswith("data:image/jpeg")]
    assert len(pictures) == 2 * 3
    others = [address for address in parser.found if not address.startswith("data:")]
    assert others and all(address.startswith("#") for address in others)
    assert {address[1:] for address in others} <= set(parser.ids)
    assert len(set(parser.ids)) == len(parser.ids)
    assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org)", text)
    assert "Mine &amp; &lt;yours&gt;" in text and "<yours>" not in text
    assert "<one>" not in text and "&lt;one&gt;" in text
    assert "a &lt; b &amp; $x$" in text


def test_pictures_without_files_say_so(report: Path) -> None:
    text = (report / "report.html").read_text("utf-8")
    assert "file of 1 of these images was not found" in text


def test_the_same_figures_as_files(report: Path) -> None:
    content = json.loads((report / "report.json").read_text("utf-8"))
    assert content["outcomes"]["missed"] == 1
    assert content["outcomes"]["extra"] == 1
    assert content["outcomes"]["merged"] == 1
    assert content["counting"]["mean_absolute"] == pytest.approx(1 / 3)
    images = written(report, "images.csv")
    assert [row["file_name"] for row in images] == list(TRUTH)
    assert [row["count_error"] for row in images] == ["0", "-1", "0"]
    assert images[2]["category"] == "" and images[2]["count_error_relative"] == ""
    for row, image in zip(images, content["images"], strict=True):
        assert float(row["competition_score"]) == image["competition_score"]
    categories = {row["category"]: row for row in written(report, "categories.csv")}
    assert list(categories) == [*NAMES, "all"]
    assert float(categories["all"]["ap"]) == content["ap"]
    assert categories["round"]["true_count"] == "3"
    assert float(categories["round"]["recall50"]) == pytest.approx(2 / 3)


def test_every_object_has_a_row(report: Path) -> None:
    rows = written(report, "objects.csv")
    outcomes = [(row["file_name"], row["side"], row["outcome"]) for row in rows]
    one, two, _ = TRUTH
    assert outcomes == [
        (one, "truth", "matched"),
        (one, "truth", "missed"),
        (one, "truth", "matched"),
        (one, "prediction", "matched"),
        (one, "prediction", "extra"),
        (one, "prediction", "matched"),
        (two, "truth", "merged"),
        (two, "truth", "merged"),
        (two, "prediction", "merged"),
    ]
    assert [row["partner"] for row in rows[:6]] == ["1", "0", "3", "1", "0", "3"]
    assert rows[8]["score"] == "0.7" and rows[8]["area"] == "210.0" and rows[0]["score"] == ""
    shapes = written(report, "shapes.csv")
    areas = {(r["side"], r["category"]): r["mean"] for r in shapes if r["feature"] == "area"}
    assert float(areas["prediction", NAMES[1]]) == 210


def test_the_worst_come_first() -> None:
    result = evaluate_cases(cases())
    assert worst_images(result, 5) == [1, 0]
    assert worst_images(result, 1) == [1]


def test_nothing_found_and_nothing_to_find(tmp_path: Path) -> None:
    nothing = {name: squares() for name in TRUTH}
    for truth, found in ((TRUTH, nothing), (nothing, FOUND), (nothing, nothing)):
        compared = collect_cases(dataset(truth), dataset(found))
        write_report(tmp_path, compared, evaluate_cases(compared))
        content = json.loads((tmp_path / "report.json").read_text("utf-8"))
        assert content["competition_score"] is not None
        assert "nan" not in (tmp_path / "report.html").read_text("utf-8").lower().split("<svg")[0]


def test_cancel_leaves_nothing(tmp_path: Path) -> None:
    class Stop(Monitor):
        def progress(self, stage: str, fraction: float) -> None:
            self.stage = stage

        def check(self) -> None:
            if self.stage == "writing":
                raise Cancelled

    compared = cases()
    result = evaluate_cases(compared)
    with pytest.raises(Cancelled):
        write_report(tmp_path / "report", compared, result, monitor=Stop())
    assert not (tmp_path / "report").exists()


def test_without_matplotlib_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    compared: Any = None  # looked for first, before anything takes time
    with pytest.raises(UserError, match=r'pip install "napari-sartorius\[all\]"'):
        write_report(tmp_path, compared, compared)
