"""What is kept of a training while it runs: pictures of what it finds, how long steps take."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from napari_sartorius.core.errors import UserError
from napari_sartorius.training.run_files import PICTURES_FOLDER

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.training.config import TrainConfig
    from napari_sartorius.training.fit_results import ValidationEvent
    from napari_sartorius.training.run_state import RunState

_LOG = logging.getLogger(__name__)


class Chronicle:
    """Hears of every validation of a run: draws what it found, notes how long steps take.

    Parameters
    ----------
    folder
        Of the run.
    config
        Its settings.
    state
        Hears how many steps were planned.
    """

    def __init__(self, folder: Path, config: TrainConfig, state: RunState) -> None:
        from napari_sartorius.training.pictures import RunPictures

        self._folder, self._state = folder, state

        self._pictures = RunPictures(folder / PICTURES_FOLDER)
        self._config = config

    def __call__(self, event: ValidationEvent) -> None:
        """Take in a validation."""
        from napari_sartorius.inference.device import choose_device
        from napari_sartorius.training.finetune_plan import read_plan
        from napari_sartorius.training.step_times import remember_seconds, step_key

        plan = read_plan(self._folder)
        if plan is not None:
            self._state.steps = plan.steps
        if event.result is not None:
            try:
                self._pictures.write(event.result, improved=event.is_best)
            except UserError as error:  # pictures are no reason to lose a run
                _LOG.warning("%s", error)
        if event.step:
            device = choose_device(self._config.device).device
            remember_seconds(step_key(self._config, device), event.row.get("seconds_per_step", 0.0))
