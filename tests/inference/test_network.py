"""Windows and views go through a network together, and nothing depends on how many do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_sartorius.core.paste import paste
from napari_sartorius.core.views import View
from napari_sartorius.inference.network import NetworkRunner
from napari_sartorius.nn.detector import DetectLimits

if TYPE_CHECKING:
    from numpy.typing import NDArray

FLIPS = ("identity", "horizontal", "vertical", "both")
TURNS = ("transpose", "rot90", "rot270", "anti_transpose")


def _windows(discs: Any, sizes: tuple[tuple[int, int], ...]) -> list[NDArray[np.float32]]:
    """Pictures whose discs lie unlike those of their mirror images."""
    places = np.array([(14, 18), (30, 44), (12, 60)])
    return [discs(size, places, np.array([6.0, 9.0, 5.0]))[..., None] for size in sizes]


def _runner(detector: Any, *views: str) -> NetworkRunner:
    return NetworkRunner(detector, "cpu", "float32", tuple(View.parse(view) for view in views))


@pytest.mark.parametrize("at_once", [1, 3, 5, 64])
def test_the_number_of_looks_at_once_changes_nothing(
    at_once: int, disc_detector: Any, discs: Any
) -> None:
    windows, padded = _windows(discs, ((44, 70), (40, 80))), (48, 80)
    detector = disc_detector()
    runner = _runner(detector, *FLIPS, *TURNS, "horizontal@2")
    for window, views in zip(
        windows, runner.run(windows, padded, DetectLimits(), at_once), strict=True
    ):
        size = (window.shape[0], window.shape[1])
        assert len(views) == 9
        for found in views[:8]:
            drawn = paste(found.mask_probs, found.boxes, size).to_labels() > 0
            np.testing.assert_array_equal(drawn, window[..., 0] > 0.5)
    assert max(shape[0] for shape in detector.batches) <= at_once
    assert {shape[2:] for shape in detector.batches} == {(48, 80), (80, 48), (96, 160)}


def test_views_of_one_shape_share_a_pass(disc_detector: Any, discs: Any) -> None:
    windows = _windows(discs, ((48, 80),))
    detector = disc_detector()
    _runner(detector, *FLIPS, *TURNS).run(windows, (48, 80), DetectLimits(), 8)
    assert [shape[0] for shape in detector.batches] == [4, 4]
    detector.batches.clear()
    _runner(detector, *FLIPS, *TURNS).run(_windows(discs, ((64, 64),)), (64, 64), DetectLimits(), 8)
    assert [shape[0] for shape in detector.batches] == [8]


def test_enlarged_batches_are_divisible_as_the_network_wants(
    disc_detector: Any, discs: Any
) -> None:
    detector = disc_detector(size_divisibility=32)
    _runner(detector, "rot90@1.3").run(_windows(discs, ((64, 96),)), (64, 96), DetectLimits())
    assert detector.batches == [(1, 1, 128, 96)]


def test_enlarged_views_and_larger_networks_take_more_memory(disc_detector: Any) -> None:
    detector = disc_detector()
    assert _runner(detector, "identity", "both").memory_growth == 1
    assert _runner(detector, "identity@0.5").memory_growth == 1
    assert _runner(detector, "identity", "both@1.5").memory_growth == pytest.approx(2.25)
    detector.memory_growth = 3.0
    assert _runner(detector, "identity@2").memory_growth == pytest.approx(12)
