"""Chooses values category by category, on all images or on all folds but one."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.progress import Monitor, SubMonitor
from napari_sartorius.training.tuning.search import search

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sartorius.training.tuning.config import TuningConfig
    from napari_sartorius.training.tuning.images import TuningImage
    from napari_sartorius.training.tuning.spaces import Space
    from napari_sartorius.training.tuning.trials import Choice, TrialImage


class Tuner:
    """Searches category by category.

    Parameters
    ----------
    space
        What is tuned.
    images, trials
        The images, and what scores them.
    names
        Categories of the model.
    config
        How to search.

    Attributes
    ----------
    trials_made, seconds
        How many combinations were scored, and how long that took.
    """

    def __init__(
        self,
        space: Space,
        images: Sequence[TuningImage],
        trials: Sequence[TrialImage],
        names: Sequence[str],
        config: TuningConfig,
    ) -> None:
        self._space = space
        self._images = images
        self._trials = trials
        self._names = names
        self._config = config
        self._start = space.start
        self.trials_made = 0
        self.seconds = 0.0

    def in_folds(
        self, fold: NDArray[np.int64], monitor: Monitor
    ) -> tuple[list[dict[str, Choice]], dict[str, Choice]]:
        """Choices for each fold, made on the images of all others, and those made on all images."""
        count = self._config.folds
        parts = [
            SubMonitor(monitor, n / (count + 1), (n + 1) / (count + 1)) for n in range(count + 1)
        ]
        by_fold = [self.choose(fold != number, parts[number]) for number in range(count)]
        return by_fold, self.choose(np.ones(len(fold), np.bool_), parts[count])

    def choose(self, use: NDArray[np.bool_], monitor: Monitor) -> dict[str, Choice]:
        """The best values by category name, judged by the images in `use`, (N,).

        A category that none of them shows has no entry. Where an image may show several
        categories, each is tuned with those before it as they were tuned.
        """
        chosen: dict[str, Choice] = {}
        for number, name in enumerate(self._names):
            mine = [
                trial
                for image, trial, used in zip(self._images, self._trials, use, strict=True)
                if used and image.category == name
            ]
            monitor.progress(f"searching: {name}", number / len(self._names))
            if mine:
                score = partial(self._score, mine, dict(chosen), name)
                chosen[name], _ = search(
                    score,
                    self._space.grid,
                    self._start[name],
                    self._config.trials,
                    self._config.seed,
                    monitor,
                )
        return chosen

    def scores(self, chosen: Mapping[str, Choice]) -> list[float]:
        """What the images score with these values, when their category is known."""
        vector = self._vector(chosen)
        return [trial.score(vector) for trial in self._trials]

    def _score(
        self,
        trials: Sequence[TrialImage],
        others: dict[str, Choice],
        name: str,
        choice: Choice,
    ) -> float:
        began = time.perf_counter()
        vector = self._vector({**others, name: choice})
        score = float(np.mean([trial.score(vector) for trial in trials]))
        self.seconds += time.perf_counter() - began
        self.trials_made += 1
        return score

    def _vector(self, chosen: Mapping[str, Choice]) -> list[Choice]:
        values = self._start | dict(chosen)
        return [values[name] for name in self._names]
