"""Where runs are that the dock may touch, and where they go when they are not wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sartorius.io.project.folder import RUNS, TRASH
from napari_sartorius.training.run_state import user_runs_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_sartorius.io.project import Project


class RunPlaces:
    """Folders of runs: of the user, and of the open project.

    Parameters
    ----------
    project : callable
        Gives the open project or None.
    """

    def __init__(self, project: Callable[[], Project | None]) -> None:
        self._project = project

    def to_offer(self) -> list[Path]:
        """Return the folders whose runs can be continued; not those of a read-only project."""
        project = self._project()
        mine = project is not None and project.read_only is None
        return [user_runs_folder(), *([project.folder / RUNS] if mine and project else [])]

    def for_new(self, from_project: bool) -> Path:
        """Return the folder for a run that learns from the project, or from something else."""
        project = self._project()
        return project.folder / RUNS if from_project and project else user_runs_folder()

    def trash_of(self, run: Path) -> Path:
        """Return the trash folder for a run."""
        project = self._project()
        mine = project is not None and run.parent == project.folder / RUNS
        return project.folder / TRASH if mine and project else run.parent.parent / TRASH
