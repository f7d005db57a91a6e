"""Lets a new model look at the images of a project, so that the review asks about other cells.

After fine-tuning nothing is segmented again by itself: what a person corrected stays, and so does
what nobody has looked at yet. The new model looks at the image that is shown, and at others when
they are shown; what it does not see, or sees besides, goes into the review.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal

from napari_sartorius.core.wording import plural
from napari_sartorius.io.project.model_run import is_corrected
from napari_sartorius.io.project.second_look import look_again
from napari_sartorius.ui.project.image_walk import ImageWalk

if TYPE_CHECKING:
    from qtpy.QtCore import QObject

    from napari_sartorius.core.edits import Box
    from napari_sartorius.inference.config import SegmentConfig
    from napari_sartorius.io.project import Project
    from napari_sartorius.ui.engine_client import EngineClient
    from napari_sartorius.ui.project.session import ProjectSession

    FoundPlaces = list[tuple[tuple[int, ...], Box, float]]


class LookAgain(ImageWalk):
    """Looks at one image after the other, each once per model.

    Parameters
    ----------
    session : ProjectSession
        Whose shown images are looked at.
    client : EngineClient
        Who runs the model; behind what the user asked for.
    """

    looked = Signal(str)
    """File name of an image whose objects have new hints now; `places` has what else was seen."""
    said = Signal(str)
    """What happens, in one sentence."""

    def __init__(
        self, session: ProjectSession, client: EngineClient, parent: QObject | None = None
    ) -> None:
        super().__init__(session, client, parent)
        self._config: SegmentConfig | None = None
        self._past: set[str] = set()
        self._places: dict[str, FoundPlaces] = {}
        self._told = ""
        session.shown.connect(self._next)
        session.listed.connect(self._on_listed)
        self._folder: object = None

    def begin(self, config: SegmentConfig) -> None:
        """Look at the shown image with another model, and from now on at those that are shown."""
        self.stop()
        self._config, self._past, self._places = config, set(), {}
        self._next()

    def stop(self) -> None:
        """Look at no more images."""
        self._config = None
        self._leave(cancel=True)

    def places(self, name: str) -> FoundPlaces:
        """Plane, box and score of what the model saw in an image file where there is no label."""
        return self._places.get(name, [])

    def _on_listed(self) -> None:
        """Another project is none that the model was made for."""
        project = self._session.project
        folder = project.folder if project is not None else None
        if folder != self._folder:
            self._folder = folder
            self.stop()

    def _next(self) -> None:
        """Look at the image that is shown, unless the model has done so or is looking at one."""
        project, name = self._session.project, self._session.current
        if self._config is None or self._current is not None or project is None or name is None:
            return
        if name in self._past or project.read_only is not None or not self._has_open(name):
            return
        self._past.add(name)
        self.said.emit(f"{self._config.model} is looking at {PurePosixPath(name).name} …")
        self._enter(project, name, self._config)

    def _has_open(self, name: str) -> bool:
        """Whether an image has objects that nobody has looked at, and is not done."""
        project = self._session.project
        if project is None or self._session.status(name) == "done":
            return False
        planes = [project.plane(record.id) for record in project.planes_of(name)]
        return any(not is_corrected(row) for plane in planes for row in plane.rows.values())

    def _bring(self, project: Project, name: str, planes: list[Any]) -> None:
        compared, unseen = 0, 0
        places: FoundPlaces = []
        for record, plane in zip(project.planes_of(name), planes, strict=True):
            look = look_again(project.plane(record.id), record.id, plane.result.instances)
            if look.edit is not None:
                project.record(look.edit)
            compared, unseen = compared + look.compared, unseen + look.unseen
            where = tuple(record.extra.get("plane", ()))
            places += [(where, box, score) for box, score in look.places]
        self._places[name] = places
        self._told = (
            f"{PurePosixPath(name).name}: the new model does not see {unseen:,} of "
            f"{plural(compared, 'cell')} that nobody has checked, and sees {len(places):,} without "
            "a label. The review asks about them first."
        )

    def _brought(self, name: str) -> None:
        self._session.progressed.emit()
        self.looked.emit(name)
        self.said.emit(self._told)

    def _report(self, sentence: str) -> None:
        self.said.emit(sentence)
