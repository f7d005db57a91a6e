"""The walk over planes: blank ones are not looked at, and what is told of the whole image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor
from napari_sartorius.engine.walk import PlaneVisit, PlaneWalk
from napari_sartorius.io.images import image_from_array


class _Ear(Monitor):
    def __init__(self) -> None:
        self.heard: list[str] = []
        self.fractions: list[float] = []

    def notice(self, message: str) -> None:
        self.heard.append(message)

    def progress(self, stage: str, fraction: float) -> None:
        self.fractions.append(fraction)


def _stack(blank: list[int], count: int = 6) -> np.ndarray:
    stack = np.random.default_rng(0).integers(0, 255, (count, 20, 30)).astype(np.uint8)
    for n in blank:
        stack[n] = n
    return stack


@pytest.mark.parametrize("blank", [[], [0], [5], [0, 1, 4], [1, 2, 3, 5]])
def test_blank_planes_are_known_and_counted_once(blank: list[int]) -> None:
    ear = _Ear()
    stack = _stack(blank)
    walk = PlaneWalk(image_from_array(stack, name="series"), "auto", ear)
    visits = list(walk)
    assert [visit.index for visit in visits] == [(n,) for n in range(6)]
    assert [n for n, visit in enumerate(visits) if visit.is_blank] == blank
    for visit, plane in zip(visits, stack, strict=True):
        assert visit.pixels.dtype == plane.dtype
        np.testing.assert_array_equal(visit.pixels, plane)
    assert walk.notices == ear.heard
    if not blank:
        assert ear.heard == []
    elif len(blank) == 1:
        assert ear.heard == ["1 of 6 planes of series is blank and was skipped"]
    else:
        assert ear.heard == [f"{len(blank)} of 6 planes of series are blank and were skipped"]
    assert ear.fractions == sorted(ear.fractions)


@pytest.mark.parametrize("count", [1, 3])
def test_nothing_is_made_of_an_image_that_is_blank_everywhere(count: int) -> None:
    visits: list[PlaneVisit] = []
    image = image_from_array(np.zeros((count, 20, 30), np.float32), name="dark")
    with pytest.raises(UserError, match=r"dark is blank, .* alike: check the exposure") as caught:
        visits.extend(PlaneWalk(image, "auto", Monitor()))
    assert visits == []
    assert "\n" not in str(caught.value)


def test_blank_colours_are_blank() -> None:
    stack = np.random.default_rng(0).integers(0, 255, (3, 20, 30, 3)).astype(np.uint8)
    stack[1] = 9
    visits = list(PlaneWalk(image_from_array(stack), "auto", Monitor()))
    assert [visit.is_blank for visit in visits] == [False, True, False]
    assert visits[1].pixels.shape == (20, 30, 3)


def test_notes_of_reading_are_told() -> None:
    ear = _Ear()
    image = replace(image_from_array(_stack([], 2)), notes=("two pictures were left out",))
    walk = PlaneWalk(image, "auto", ear)
    assert len(list(walk)) == 2
    assert ear.heard == walk.notices == ["two pictures were left out"]
