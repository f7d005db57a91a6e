"""Segments the images of a project one after the other while the user reviews the first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.project.model_run import edit_of_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.inference.config import SegmentConfig
    from napari_sartorius.ui.engine_bridge import EngineClient
    from napari_sartorius.ui.project.session import ProjectSession


class SegmentAll(QObject):
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
    _heard = Signal(int, object)  # from the engine's thread into this one

    def __init__(
        self, session: ProjectSession, client: EngineClient, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._client = client
        self._waiting: list[str] = []
        self._total = 0
        self._done = 0
        self._found = 0
        self._is_again = False
        self._failures: list[str] = []
        self._handle: Any = None
        self._ticket = 0
        self._current: str | None = None
        self._config: SegmentConfig | None = None
        self._heard.connect(self._on_message)

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
        self._next()

    def cancel(self) -> None:
        """Stop; what is finished stays in the project."""
        if not self.is_running:
            return
        self._waiting = []
        self._ticket += 1
        if self._handle is not None:
            self._handle.cancel()
        self._end("Cancelled; ")

    def _next(self) -> None:
        project = self._session.project
        if not self._waiting or project is None or self._config is None:
            self._end("")
            return
        self._current = self._waiting.pop(0)
        self._ticket += 1
        ticket = self._ticket
        from napari_sartorius.engine.jobs import SegmentJob

        path = project.image_path(project.planes_of(self._current)[0])
        self._tell(0.0)
        try:
            self._handle = self._client.submit(
                SegmentJob(path, self._config),
                lambda message: self._heard.emit(ticket, message),
            )
        except UserError as error:
            self._fail(str(error))

    def _tell(self, fraction: float) -> None:
        past = self._done + len(self._failures)
        self.progressed.emit(self._current or "", past, self._total, fraction)

    def _on_message(self, ticket: int, message: Any) -> None:
        from napari_sartorius.engine import messages

        if ticket != self._ticket or self._current is None:
            return
        if isinstance(message, messages.ProgressMessage):
            self._tell(message.fraction)
        elif isinstance(message, messages.FinishedMessage):
            self._take(message.result)
            self._next()
        elif isinstance(message, messages.FailedMessage | messages.CrashedMessage):
            self._fail(message.sentence)
        elif isinstance(message, messages.CancelledMessage):
            self._end("Cancelled; ")

    def _take(self, planes: list[Any]) -> None:
        """Bring what was found into the project, and into the viewer when the image is shown."""
        project, name = self._session.project, self._current
        if project is None or name is None:
            return
        shown = name == self._session.current
        if shown and self._session.recorder is not None and not self._session.recorder.flush():
            self._failures.append(f"the edits of {name} cannot be saved")
            return
        count = 0
        try:
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
        except UserError as error:
            self._failures.append(str(error))
            return
        self._found += count
        self._done += 1
        if shown:
            self._session.refresh_labels()
        else:
            for image in project.planes_of(name):
                project.release(image.id)

    def _fail(self, sentence: str) -> None:
        self._failures.append(sentence)
        self._next()

    def _end(self, prefix: str) -> None:
        if self._current is None and not self._total:
            self.ended.emit("Every image has been segmented already.")
            return
        self._current, self._handle = None, None
        self._ticket += 1
        self._session.save()
        images = "image" if self._done == 1 else "images"
        said = f"{prefix}{self._found:,} cells found in {self._done} {images}."
        if self._failures:
            said += f" {len(self._failures)} could not be segmented: {self._failures[0]}"
        self.ended.emit(said[:1].upper() + said[1:])
