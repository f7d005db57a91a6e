"""Pictures of a run: what agrees, what was missed and what was invented look different."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.normalise import Normalisation
from napari_sartorius.training.images import AnnotatedImage, pack_image
from napari_sartorius.training.picture_names import FOUND, TRUTH
from napari_sartorius.training.pictures import (
    RunPictures,
    disagreements,
    draw_comparison,
    draw_truth,
    fullest_window,
)
from napari_sartorius.training.validate import ValidationResult

if TYPE_CHECKING:
    from pathlib import Path

SIDE = 64


def _squares(*corners: tuple[int, int], kind: int = 0) -> Instances:
    masks = CropMasks.from_bitmaps(
        [np.ones((12, 12), bool)] * len(corners), np.array(corners), (SIDE, SIDE)
    )
    return Instances.from_masks(
        masks,
        scores=np.full(len(corners), 0.9, np.float32),
        categories=np.full(len(corners), kind),
    )


@pytest.fixture
def image() -> AnnotatedImage:
    """Two true squares on a grey ground: at (x, y) = (4, 4) and (40, 4)."""
    truth = _squares((4, 4), (40, 4))
    pixels = np.tile(np.arange(SIDE, dtype=np.uint8), (SIDE, 1)) + np.uint8(90)
    return pack_image("a b.png", pixels, truth.masks, truth.categories, Normalisation(), 1)


def _share(picture: np.ndarray, colour: tuple[int, int, int], y: int, x: int) -> float:
    """How far the middle of a square is tinted: distance of its hue's direction from grey."""
    zoom = len(picture) // SIDE
    inside = picture[(y + 3) * zoom : (y + 9) * zoom, (x + 3) * zoom : (x + 9) * zoom]
    away = inside.reshape(-1, 3).mean(axis=0)
    away = away - away.mean()
    wanted = np.array(colour) - np.mean(colour)
    return float(away @ wanted / (wanted @ wanted))


def test_what_agrees_is_empty_and_what_does_not_is_filled(image: AnnotatedImage) -> None:
    found = _squares((5, 4), (20, 40))  # the first true one, and one that is not there
    missed, invented = disagreements(Instances.from_masks(image.masks), found)
    assert missed.tolist() == [False, True]
    assert invented.tolist() == [False, True]
    picture = draw_comparison(image, found)
    assert picture.shape == (640, 640, 3)
    assert abs(_share(picture, TRUTH, 4, 4)) < 0.02
    assert _share(picture, TRUTH, 4, 40) > 0.3
    assert _share(picture, FOUND, 40, 20) > 0.3
    colours = {tuple(c) for c in picture.reshape(-1, 3).tolist()}
    assert {TRUTH, FOUND} <= colours  # outlines are drawn in the full colours


def test_a_cell_of_another_kind_is_not_that_cell(image: AnnotatedImage) -> None:
    truth = Instances.from_masks(image.masks, categories=image.categories)
    missed, invented = disagreements(truth, _squares((4, 4), (40, 4), kind=1))
    assert missed.all()
    assert invented.all()


def test_the_window_is_where_the_cells_are() -> None:
    masks = CropMasks.from_bitmaps(
        [np.ones((5, 5), bool)] * 3, np.array([[10, 10], [400, 300], [420, 320]]), (500, 700)
    )
    image = AnnotatedImage("x", np.zeros((500, 700, 1), np.float16), masks, np.zeros(3, np.int64))
    x0, y0, x1, y1 = fullest_window(image, 128)
    assert (x1 - x0, y1 - y0) == (128, 128)
    assert x0 <= 400
    assert x1 >= 425
    assert y0 <= 300
    assert y1 >= 325
    assert fullest_window(image, 1000) == (0, 0, 700, 500)


def _result(image: AnnotatedImage, found: Instances) -> ValidationResult:
    return ValidationResult(0.5, {0: 0.5}, {0: 0.3}, predictions=[found], images=[image])


def test_before_stays_now_follows_best_is_the_best(image: AnnotatedImage, tmp_path: Path) -> None:
    pictures = RunPictures(tmp_path / "pictures")
    nothing, all_of_it = _squares()[:0], _squares((4, 4), (40, 4))
    for found, improved in ((nothing, True), (all_of_it, True), (nothing, False)):
        pictures.write(_result(image, found), improved=improved)
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert names == ["01-a_b-before.png", "01-a_b-best.png", "01-a_b-now.png"]
    drawn = {n: np.asarray(Image.open(tmp_path / "pictures" / n)) for n in names}
    np.testing.assert_array_equal(drawn["01-a_b-before.png"], drawn["01-a_b-now.png"])
    np.testing.assert_array_equal(drawn["01-a_b-best.png"], draw_comparison(image, all_of_it))
    # A run that goes on after a crash keeps the picture of its beginning.
    RunPictures(tmp_path / "pictures").write(_result(image, all_of_it), improved=True)
    before = np.asarray(Image.open(tmp_path / "pictures" / "01-a_b-before.png"))
    np.testing.assert_array_equal(before, draw_comparison(image, nothing))


def test_only_what_counts_is_drawn(image: AnnotatedImage) -> None:
    found = _squares((4, 4), (40, 4))
    found.scores[:] = 0.9, 0.2
    assert len(_result(image, found).shown(0)) == 1
    other = _squares((4, 4), kind=1)  # nothing is known of what its score should be
    assert len(_result(image, other).shown(0)) == 0
    assert len(_result(image, _squares()[:0]).shown(0)) == 0


def test_outlines_of_a_preview_lie_on_the_labels() -> None:
    labels = np.zeros((64, 64), np.uint16)
    labels[20:40, 10:30] = 3
    picture = draw_truth(np.full((64, 64, 3), 128, np.uint8), labels)
    y, x = np.nonzero((picture == TRUTH).all(axis=-1))
    zoom = len(picture) // 64
    assert abs(y.min() / zoom - 20) < 1
    assert abs(y.max() / zoom - 40) < 1
    assert abs(x.min() / zoom - 10) < 1
    assert abs(x.max() / zoom - 30) < 1
