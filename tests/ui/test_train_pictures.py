"""Curves, sample pictures and previews of the Train tab."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import Qt

from napari_sartorius.training.curve_file import FIGURES
from napari_sartorius.training.picture_names import BEFORE, BEST, NOW
from napari_sartorius.ui.train.curves import Curves, best_row, read_curve
from napari_sartorius.ui.train.preview import Preview
from napari_sartorius.ui.train.run_page import RunPage
from napari_sartorius.ui.train.sample_pictures import SamplePictures
from napari_sartorius.ui.train.thumbnails import LargePictures, pixmap_of
from napari_sartorius.ui.train.unfinished import moment

from .train_hand import CURVE

if TYPE_CHECKING:
    from pathlib import Path


def test_the_curves_are_drawn(qtbot: Any, tmp_path: Path) -> None:
    assert read_curve(tmp_path / "none.csv") == []
    (tmp_path / "curve.csv").write_text(CURVE)
    rows = read_curve(tmp_path / "curve.csv")
    assert rows[0] == {"step": 0, "score": 0.2}
    assert best_row(rows) is rows[1]
    curves = Curves()
    qtbot.addWidget(curves)
    curves.resize(300, 250)
    curves.show_rows([], 300)
    empty = curves.grab().toImage()
    assert best_row([]) is None
    curves.show_rows(rows, 300, before=0.2)
    assert curves.grab().toImage() != empty
    assert curves.before.isVisible()
    assert curves.before.value() == 0.2
    assert curves.best_text.toPlainText() == "0.310"
    low, high = curves.score.viewRange()[0]
    assert low <= 0
    assert 300 <= high < 320
    curves.show_rows(rows, 300, before=0.31)  # nothing better yet
    assert not curves.best_text.isVisible()
    assert not len(curves.best.getData()[0])


def test_what_the_start_reached_is_what_was_measured_of_it(qtbot: Any, tmp_path: Path) -> None:
    (tmp_path / "curve.csv").write_text("step,score,ap\n0,0.0,0.1\n50,0.08,0.2\n")
    page = RunPage()
    qtbot.addWidget(page)
    page.begin(tmp_path, "ours", 300)
    page.stop()
    assert page.best.text() == "Best score so far 0.080, at step 50; 0.000 before."
    # a kind that the start lacks is not found at step 0, but by another name it was
    (tmp_path / "plan.json").write_text('{"before": 0.09}')
    page.look()
    assert page.best.text() == "Score 0.090 before; nothing better yet."
    assert page.curves.before.value() == 0.09
    (tmp_path / "settings.json").write_text('{"select_by": "ap"}')
    page.look()  # that is another figure
    assert page.best.text() == "Best AP so far 0.200, at step 50; 0.100 before."


def test_the_best_is_that_of_the_figure_which_the_run_selects_by(
    qtbot: Any, tmp_path: Path
) -> None:
    (tmp_path / "curve.csv").write_text(
        "step,score,ap50,ap\n0,0.1,0.3,0.2\n50,0.4,0.5,0.3\n100,0.3,0.7,0.25\n"
    )
    rows = read_curve(tmp_path / "curve.csv")
    page = RunPage()
    qtbot.addWidget(page)
    for select_by, star, text in (
        ("competition", (50, 0.4), "Best score so far 0.400, at step 50; 0.100 before."),
        ("ap50", (100, 0.7), "Best AP50 so far 0.700, at step 100; 0.300 before."),
        ("ap", (50, 0.3), "Best AP so far 0.300, at step 50; 0.200 before."),
        (None, (50, 0.4), "Best score so far 0.400, at step 50; 0.100 before."),
    ):
        told = "{" if select_by is None else json.dumps({"select_by": select_by})
        (tmp_path / "settings.json").write_text(told)
        page.begin(tmp_path, "ours", 300)
        page.stop()
        assert page.best.text() == text
        assert [*page.curves.best.getData()[0], *page.curves.best.getData()[1]] == [*star]
        title = {"ap50": "AP50", "ap": "AP"}.get(str(select_by), "Score")
        last = rows[2][FIGURES[select_by or "competition"]]
        assert page.curves.score_line.getData()[1][-1] == last
        assert page.curves.score.property("title") == f"{title} on what is kept apart"


def test_the_wheel_scrolls_what_the_plots_are_in(qtbot: Any) -> None:
    curves = Curves()
    qtbot.addWidget(curves)

    class Event:
        ignored = False

        def ignore(self) -> None:
            self.ignored = True

    event = Event()
    curves.score.wheelEvent(event)
    assert event.ignored


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(("01-plate", "02-dish-b"), start=1):
        for end in (BEFORE, NOW, BEST):
            Image.new("RGB", (40, 20), (10 * number, 0, 0)).save(tmp_path / f"{name}-{end}.png")
    return tmp_path


def test_pictures_refresh_and_open_large(qtbot: Any, folder: Path) -> None:
    samples = SamplePictures((NOW,), "Now")
    qtbot.addWidget(samples)
    samples.watch(folder)
    assert not samples.isHidden()
    assert [one.toolTip() for one in samples.pictures.buttons] == [
        "plate: click to see it large",
        "dish-b: click to see it large",
    ]
    before = samples.pictures.buttons[0].icon().pixmap(20, 20).toImage()
    samples.refresh()  # nothing new: nothing is read again
    path = folder / f"01-plate-{NOW}.png"
    Image.new("RGB", (40, 20), (0, 200, 0)).save(path)
    os.utime(path, ns=(1, 1))
    samples.refresh()
    assert samples.pictures.buttons[0].icon().pixmap(20, 20).toImage() != before
    qtbot.mouseClick(samples.pictures.buttons[1], Qt.MouseButton.LeftButton)
    (large,) = samples.findChildren(LargePictures)
    assert large.captions == ["Before", "Now"]
    assert large.windowTitle() == "dish-b"
    large.close()


def test_before_and_after_stand_side_by_side(qtbot: Any, folder: Path) -> None:
    samples = SamplePictures((BEFORE, BEST), "Both")
    qtbot.addWidget(samples)
    samples.name_first("At first")
    samples.watch(folder)
    assert len(samples.pictures.buttons) == 4
    qtbot.mouseClick(samples.pictures.buttons[2], Qt.MouseButton.LeftButton)
    (large,) = samples.findChildren(LargePictures)
    assert large.captions == ["At first", "After"]
    large.close()
    samples.watch(folder / "none")
    assert samples.isHidden()


def test_the_preview_shows_crops_and_asks_for_others(qtbot: Any) -> None:
    preview = Preview()
    qtbot.addWidget(preview)
    assert preview.isHidden()
    crops = [np.full((8, 8, 3), 40 * n, np.uint8) for n in range(6)]
    preview.show_crops(crops)
    assert len(preview.pictures.buttons) == 6
    with qtbot.waitSignal(preview.others_asked):
        preview.others_button.click()
    assert not preview.others_button.isEnabled()
    preview.show_crops(crops[:4])
    assert preview.others_button.isEnabled()
    assert [one.isHidden() for one in preview.pictures.buttons] == [False] * 4 + [True] * 2


def test_an_array_becomes_the_same_picture(qtbot: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (5, 7, 3)).astype(np.uint8)
    image = pixmap_of(pixels).toImage()
    assert (image.width(), image.height()) == (7, 5)
    colour = image.pixelColor(6, 2)
    assert (colour.red(), colour.green(), colour.blue()) == tuple(pixels[2, 6].tolist())


def test_moments_are_said_as_people_do() -> None:
    now = datetime(2025, 5, 4, 12, 0)
    assert moment(datetime(2025, 5, 4, 9, 5).timestamp(), now) == "today 09:05"
    assert moment(datetime(2025, 5, 3, 17, 4).timestamp(), now) == "yesterday 17:04"
    assert moment(datetime(2025, 2, 1, 1, 2).timestamp(), now) == "1 February, 01:02"
    assert moment(datetime(2024, 2, 1, 1, 2).timestamp(), now) == "1 February 2024, 01:02"


def test_the_tab_opens_without_plots_and_without_networks() -> None:
    program = (
        "import sys, napari_sartorius.ui.train.train_tab; "
        "heavy = {'pyqtgraph', 'torch', 'napari_sartorius.training.pictures'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"
