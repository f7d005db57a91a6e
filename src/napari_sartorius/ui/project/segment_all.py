"""Segments the images of a project one after the other while the user reviews the first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal

from napari_sartorius.core.wording import capital, plural
from napari_sartorius.io.project.model_run import edit_of_run
from napari_sartorius.ui.project.image_walk import ImageWalk
from napari_sartorius.ui.project.walk_notices import WalkNotices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtCore import QObject

    from napari_sartorius.inference.config import SegmentConfig
    from napari_sartorius.io.project import Project
    from napari_sartorius.ui.engine_client import EngineClient
    from napari_sartorius.ui.project.session import ProjectSession


class SegmentAll(ImageWalk):
    """One walk over the images that nobody has segmented yet.

    Parameters
    ----------
    session : ProjectSession
        Where images come from and objects go to. What a person corrected stays as it is.
    client : EngineClient
        Who segments.
    """

    progressed = Signal(str, int, int, float)
    """File name, how many are done, how many there are, share 0..1 of the present one."""
    ended = Signal(str)
    """One sentence on what was done."""
    noticed = Signal(object)
    """Sentences on what the user must know of the images so far, such as a limit that was reached;
    none at the start."""

    def __init__(
        self, session: ProjectSession, client: EngineClient, parent: QObject | None = None
    ) -> None:
        super().__init__(session, client, parent)
        self._waiting: list[str] = []
        self._total = 0
        self._done = 0
        self._found = 0
        self._is_again = False
        self._failures: list[str] = []
        self._notices = WalkNotices()
        self._config: SegmentConfig | None = None
        session.listed.connect(self._on_listed)

    @property
    def notices(self) -> list[str]:
        """What the user must know of the images so far, a sentence each."""
        return self._notices.sentences(name_images=self._total > 1)

    @property
    def is_running(self) -> bool:
        """Whether there is an image being segmented."""
        return self._current is not None

    def start(self, config: SegmentConfig, again: Sequence[str] = ()) -> None:
        """Begin with the images whose status is new, the shown one first.

        Parameters
        ----------
        config
            How to segment.
        again
            Image files to segment instead, whatever their status: what a person drew, changed or
            accepted stays, all else is replaced, in one undo step of the image that is shown.
        """
        session = self._session
        if self.is_running or session.project is None:
            return
        files = [name for name in session.files if session.status(name) == "new"]
        files = list(again) or files
        self._is_again = bool(again)
        files.sort(key=lambda name: name != session.current)
        self._waiting, self._total = files, len(files)
        self._done, self._found, self._failures, self._config = 0, 0, [], config
        self._notices = WalkNotices()
        self.noticed.emit([])
        self._next()

    def cancel(self) -> None:
        """Stop; what is finished stays in the project."""
        if not self.is_running:
            return
        self._waiting = []
        self._leave(cancel=True)
        self._end("Cancelled; ")

    def _next(self) -> None:
        project = self._session.project
        if not self._waiting or project is None or self._config is None:
            self._end("")
            return
        self._enter(project, self._waiting.pop(0), self._config)

    def _on_listed(self) -> None:
        """What was told is of images that may be gone."""
        if not self.is_running:
            self._notices = WalkNotices()
            self.noticed.emit([])

    def _on_progress(self, fraction: float) -> None:
        past = self._done + len(self._failures)
        self.progressed.emit(self._current or "", past, self._total, fraction)

    def _on_notice(self, text: str) -> None:
        if self._current is not None and self._notices.add(self._current, text):
            self.noticed.emit(self.notices)

    def _on_cancelled(self) -> None:
        self._end("Cancelled; ")

    def _report(self, sentence: str) -> None:
        self._failures.append(sentence)

    def _bring(self, project: Project, name: str, planes: list[Any]) -> None:
        count = 0
        for image, plane in zip(project.planes_of(name), planes, strict=True):
            found = plane.result
            edit = edit_of_run(
                project.plane(image.id),
                image.id,
                found.instances,
                found.categories,
                first_label=project.next_label(name),
            )
            if edit is not None:
                project.record(edit)
                count += sum(row is not None for row in edit.rows.values())
        if not self._is_again or self._session.status(name) == "new":
            self._session.set_status(name, "segmented")
        elif self._session.status(name) == "done":
            self._session.set_status(name, "in review")
        self._found += count
        self._done += 1

    def _end(self, prefix: str) -> None:
        if not self._total:
            self.ended.emit("Every image has been segmented already.")
            return
        self._session.save()
        of = plural(self._done, "image")
        said = f"{prefix}{plural(self._found, 'cell')} found in {of}."
        if self._failures:
            said += f" {len(self._failures)} could not be segmented: {self._failures[0]}"
        self.ended.emit(capital(said))
