"""What a job says while it works, and the small types that everything else is made of."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sartorius.core.categories import Category, categories_from_names, default_colour
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Cancelled, Monitor, SubMonitor, TimeLeft


class Recorder(Monitor):
    def __init__(self) -> None:
        self.heard: list[tuple[str, float]] = []
        self.notices: list[str] = []
        self.stop = False

    def progress(self, stage: str, fraction: float) -> None:
        self.heard.append((stage, fraction))

    def notice(self, message: str) -> None:
        self.notices.append(message)

    def check(self) -> None:
        if self.stop:
            raise Cancelled


def test_parts_report_on_the_scale_of_the_whole() -> None:
    whole = Recorder()
    half = SubMonitor(whole, 0.5, 1.0, prefix="image 2 of 2: ")
    quarter = SubMonitor(half, 0.0, 0.5)
    for fraction in (-1.0, 0.0, 0.5, 1.0, 2.0):
        quarter.progress("tiles", fraction)
    np.testing.assert_allclose([f for _, f in whole.heard], [0.5, 0.5, 0.625, 0.75, 0.75])
    assert {stage for stage, _ in whole.heard} == {"image 2 of 2: tiles"}
    quarter.notice("capped")
    assert whole.notices == ["image 2 of 2: capped"]
    quarter.check()
    whole.stop = True
    with pytest.raises(Cancelled):
        quarter.check()
    with pytest.raises(ValueError, match="low <= high"):
        SubMonitor(whole, 0.6, 0.5)


def test_time_left_of_steady_work() -> None:
    clock = TimeLeft()
    assert clock.update(0.0, 100.0) is None
    for step in range(1, 10):
        left = clock.update(step / 10, 100.0 + 2 * step)
        assert left == pytest.approx(2 * (10 - step))
    # Silence: the estimate counts down and never goes below nothing.
    assert clock.update(0.9, 119.0) == pytest.approx(1.0)
    assert clock.update(0.9, 150.0) == 0.0
    assert clock.update(1.0, 151.0) == 0.0


def test_time_left_follows_a_slower_stage_and_a_restart() -> None:
    clock = TimeLeft(memory=5.0)
    for step in range(6):
        before = clock.update(step / 10, float(step))
    after = clock.update(0.6, 15.0)
    assert before is not None and after is not None
    assert before == pytest.approx(5.0)
    assert 4.0 < after < 40.0
    assert clock.update(0.1, 16.0) is None


def test_time_left_is_not_taken_in_by_quick_steps() -> None:
    """Each of 100 images takes a second, and reports its last steps within two milliseconds."""
    clock = TimeLeft()
    left = clock.update(0.0, 0.0)
    for image in range(40):
        for share, moment in ((0.94, 0.998), (0.96, 0.999), (1.0, 1.0)):
            left = clock.update((image + share) / 100, image + moment)
    assert left == pytest.approx(60, rel=0.05)


def test_categories() -> None:
    table = categories_from_names(["shsy5y", "astro", "cort"])
    assert [c.id for c in table] == [1, 2, 3]
    colours = [default_colour(i) for i in range(40)]
    assert len(set(colours)) == 40
    assert all(Category(1, "x", colour).colour == colour for colour in colours)
    with pytest.raises(ValueError, match="colour"):
        Category(1, "x", "red")
    with pytest.raises(ValueError, match="name"):
        Category(1, "")
    with pytest.raises(ValueError, match="negative"):
        default_colour(-1)
    assert issubclass(UserError, ValueError)
