"""The second level in the segmenter: when it is asked, what it is shown, what becomes of it."""

from __future__ import annotations

import hashlib
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_sartorius.core.mask_confidence import NAMES
from napari_sartorius.core.progress import Monitor
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.segmenter import Segmenter
from napari_sartorius.postprocess.filter_config import FillHolesFilter, ScoreFilter
from napari_sartorius.postprocess.second_level.rescorer import FitSettings, fit_rescorer
from napari_sartorius.zoo.rescorer_card import RescorerCard

if TYPE_CHECKING:
    from napari_sartorius.core.instances import Instances
    from napari_sartorius.inference.prepare import PreparedImage


@pytest.fixture(scope="module")
def likes_large() -> bytes:
    """A rescorer that expects of an object one thousandth of its area, up to 0.9."""
    area = np.linspace(0, 900, 300)
    table = {"mask_area": area, "max_pixel_score": np.linspace(0, 1, 300) % 0.31}
    settings = FitSettings(trees=60, learning_rate=0.3)
    return fit_rescorer(table, area / 1000, settings).to_bytes()


@pytest.fixture
def image(discs: Any) -> Any:
    """Discs of 113, 314 and 615 pixels."""
    return discs((96, 128), np.array([[20, 20], [60, 30], [48, 90]]), np.array([6, 10, 14]))


@pytest.fixture
def bundle(card: Any, likes_large: bytes) -> Any:
    entry = RescorerCard(
        sha256=hashlib.sha256(likes_large).hexdigest(),
        min_predicted_iou={"dim": 0.2},
        rank="predicted_iou",
    )
    known = SimpleNamespace(**vars(card) | {"rescorer": entry})
    return SimpleNamespace(card=known, read_rescorer=lambda: likes_large)


def segment(bundle: Any, detector: Any, image: Any, **options: Any) -> Any:
    config = SegmentConfig.model_validate({"device": "cpu", "preset": "fast", **options})
    return Segmenter(bundle, config, detector).segment(image)


def test_objects_are_judged_dropped_and_ranked(bundle: Any, disc_detector: Any, image: Any) -> None:
    result = segment(bundle, disc_detector(), image, rescore=True)
    areas = result.instances.masks.area()
    assert len(areas) == 2 and areas[0] > areas[1] > 300
    predicted = result.instances.columns["predicted_iou"]
    np.testing.assert_allclose(predicted, areas / 1000, atol=0.05)
    np.testing.assert_array_equal(result.instances.scores, predicted)
    assert not set(NAMES) & set(result.instances.columns)
    assert not result.notices


@pytest.mark.parametrize(
    ("options", "judged"),
    [
        ({"preset": "fast"}, False),
        ({"preset": "best"}, True),
        ({"preset": "best", "rescore": False}, False),
    ],
)
def test_when_it_is_asked(
    bundle: Any, disc_detector: Any, image: Any, options: Any, judged: bool
) -> None:
    result = segment(bundle, disc_detector(), image, **options)
    assert ("predicted_iou" in result.instances.columns) == judged
    assert len(result.instances) == (2 if judged else 3)


def test_sizes_are_those_of_the_network(bundle: Any, disc_detector: Any, image: Any) -> None:
    """Cells half as large as the network knows them are judged as if they were of its size."""
    large = segment(bundle, disc_detector(), image, rescore=True)
    small = segment(bundle, disc_detector(), image[::2, ::2].copy(), rescore=True, diameter=10)
    assert len(small.instances) == 2
    np.testing.assert_allclose(
        small.instances.columns["predicted_iou"],
        large.instances.columns["predicted_iou"],
        atol=0.07,
    )


@pytest.mark.parametrize("missing", ["catboost", "cv2"])
def test_it_goes_on_without_and_says_so(
    bundle: Any, disc_detector: Any, image: Any, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    result = segment(bundle, disc_detector(), image, rescore=True)
    assert len(result.instances) == 3
    assert "predicted_iou" not in result.instances.columns
    assert any("napari-sartorius[all]" in notice for notice in result.notices)


def test_a_model_without_one_says_so_only_when_asked(
    card: Any, disc_detector: Any, image: Any
) -> None:
    plain = SimpleNamespace(card=card)
    assert not segment(plain, disc_detector(), image, preset="best").notices
    (notice,) = segment(plain, disc_detector(), image, rescore=True).notices
    assert "rescore fit" in notice


def test_a_judge_sees_objects_and_their_grey_levels(
    card: Any, disc_detector: Any, image: Any
) -> None:
    seen: list[tuple[Instances, Any]] = []

    def judge(objects: Instances, prepared: PreparedImage) -> Instances:
        y, x = np.nonzero(objects.masks.full(0))
        seen.append((objects, prepared.grey_levels(y, x)))
        return objects[[0]]

    config = SegmentConfig(device="cpu", preset="fast")
    result = Segmenter(SimpleNamespace(card=card), config, disc_detector(), judge).segment(  # type: ignore[arg-type]
        image, monitor=Monitor()
    )
    ((objects, grey),) = seen
    assert len(objects) == 3 and len(result.instances) == 1
    assert set(NAMES) <= set(objects.columns)
    np.testing.assert_allclose(grey, 1.0)


def test_filters_of_the_card_are_run(card: Any, disc_detector: Any, discs: Any) -> None:
    ring = discs((64, 64), np.array([[32, 32]]), np.array([14]))
    ring[28:37, 28:37] = 0
    filters = (FillHolesFilter(), ScoreFilter(minimum={"bright": 1.0}))
    known = SimpleNamespace(**vars(card) | {"filters": filters})
    plain = segment(SimpleNamespace(card=card), disc_detector(), ring)
    filled = segment(SimpleNamespace(card=known), disc_detector(), ring)
    assert filled.instances.masks.area()[0] - plain.instances.masks.area()[0] > 60
