"""The training that the user has put together, as a job: to be looked at, or to be run."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_sartorius.training.run_files import DATA_FOLDER
from napari_sartorius.ui.train.layer_pairs import Pair, write_pairs

if TYPE_CHECKING:
    from napari_sartorius.engine.train_jobs import FineTuneJob
    from napari_sartorius.ui.train.setup_page import SetupPage


@dataclass(frozen=True, eq=False)
class Wish:
    """What was chosen at one moment; safe to be read in another thread.

    Attributes
    ----------
    path
        Where the annotated images are; None for layers.
    layers
        Images and labels, when layers are chosen.
    model, name, effort, recipe
        As in `FineTuneJob`.
    """

    path: Path | None
    layers: tuple[Pair, ...]
    model: str
    name: str
    effort: Literal["quick", "thorough"]
    recipe: Path | None

    @classmethod
    def of(cls, setup: SetupPage) -> Wish:
        """What is chosen now."""
        return cls(
            setup.data.path,
            tuple(setup.data.layers),
            str(setup.start.currentData()),
            setup.name.text().strip(),
            setup.recipe.effort,
            setup.recipe.file,
        )

    def run_folder(self, place: Path) -> Path:
        """A new run's folder below `place`."""
        return place / f"{self.name}-{datetime.now():%Y%m%d-%H%M%S}"

    def job(self, folder: Path) -> FineTuneJob:
        """The job of a run in a folder; layers are learnt from as `write_layers` writes them."""
        from napari_sartorius.engine.train_jobs import FineTuneJob

        data = self.path if self.path is not None else folder / DATA_FOLDER
        return FineTuneJob(data, folder, self.model, self.name, self.effort, self.recipe)

    def write_layers(self, job: FineTuneJob) -> FineTuneJob:
        """Write the layers as they are now to where the job looks for them; errors as there."""
        write_pairs(self.layers, job.data)
        return job


class Draft:
    """A folder for what is looked at before a run; nothing of it stays.

    Parameters
    ----------
    wish
        What is looked at.
    """

    def __init__(self, wish: Wish) -> None:
        self._wish = wish
        self._folder = Path(tempfile.mkdtemp(prefix="sartorius-"))

    def make_job(self) -> FineTuneJob:
        """The job that would be run; in another thread, since it writes layers the first time.

        Raises
        ------
        UserError
            When they cannot be written.
        """
        job = self._wish.job(self._folder)
        if self._wish.path is None and not job.data.exists():
            self._wish.write_layers(job)
        return job

    def drop(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)
