"""Our own training, one step at a time: the whole fit loop, held after each step."""

from __future__ import annotations

import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from napari_sartorius.core.progress import Monitor
from napari_sartorius.training.fit import Trainer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.training.config import TrainConfig
    from napari_sartorius.training.images import AnnotatedImage


class SteppedTraining:
    """The fit loop in a thread that waits after each of `config.steps` steps.

    Use it as a context, and call `step` as often as there are steps.
    """

    def __init__(self, config: TrainConfig, images: Sequence[AnnotatedImage]) -> None:
        self._go, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self._over = self._within = False
        self._folder = TemporaryDirectory()
        self._problem: BaseException | None = None
        self.trainer = Trainer(config, images, [], Path(self._folder.name), _Gate(self))
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> SteppedTraining:
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._over = True
        self._go.release()
        self._thread.join()
        self._folder.cleanup()

    def step(self) -> None:
        """Let the loop make one step, data, average of the weights and all."""
        self._go.release()
        self._done.acquire()
        if self._problem is not None:
            raise self._problem

    def before(self) -> None:
        """Called by the loop when it is about to begin a step, and maybe within it."""
        if self._within:
            return
        self._go.acquire()
        self._within = True
        if self._over:
            raise _OverError

    def after(self) -> None:
        """Called by the loop after a step."""
        self._within = False
        self._done.release()

    def _run(self) -> None:
        try:
            self.trainer.fit()
        except _OverError:
            return
        except BaseException as problem:
            self._problem = problem
        self._done.release()


class _OverError(Exception):
    """Nothing more is to be measured."""


class _Gate(Monitor):
    def __init__(self, training: SteppedTraining) -> None:
        self._training = training

    def check(self) -> None:
        self._training.before()

    def progress(self, stage: str, fraction: float) -> None:
        if stage.startswith("training"):
            self._training.after()
