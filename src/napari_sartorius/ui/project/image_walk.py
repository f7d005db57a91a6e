"""Lets a model run over images of a project in the background, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_sartorius.core.errors import UserError

if TYPE_CHECKING:
    from napari_sartorius.inference.config import SegmentConfig
    from napari_sartorius.io.project import Project
    from napari_sartorius.ui.engine_client import EngineClient
    from napari_sartorius.ui.project.session import ProjectSession


class ImageWalk(QObject):
    """One image at a time; subclasses say which is the next, and what is made of what was found.

    Parameters
    ----------
    session : ProjectSession
        Where images come from and objects go to.
    client : EngineClient
        Who runs the model.
    """

    _heard = Signal(int, object)  # from the engine's thread into this one

    def __init__(
        self, session: ProjectSession, client: EngineClient, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._client = client
        self._current: str | None = None
        self._handle: Any = None
        self._ticket = 0
        self._heard.connect(self._on_message)

    def _next(self) -> None:
        """Go on to another image, or end."""
        raise NotImplementedError

    def _bring(self, project: Project, name: str, planes: list[Any]) -> None:
        """Record what was found in the planes of an image file; may raise `UserError`."""
        raise NotImplementedError

    def _brought(self, name: str) -> None:
        """Tell of it, now that the viewer shows it as well."""

    def _report(self, sentence: str) -> None:
        """Say why nothing came of the present image."""
        raise NotImplementedError

    def _on_progress(self, fraction: float) -> None:
        """Tell how much of the present image is done, 0..1."""

    def _on_notice(self, text: str) -> None:
        """Tell what the user must know of the present image, such as a limit that was reached."""

    def _on_cancelled(self) -> None:
        """Go on after somebody else has cancelled the present image."""
        self._next()

    def _enter(self, project: Project, name: str, config: SegmentConfig) -> None:
        """Let the model look at an image file from now on."""
        from napari_sartorius.engine.jobs import SegmentJob

        self._current = name
        self._ticket += 1
        ticket = self._ticket
        self._on_progress(0.0)
        path = project.image_path(project.planes_of(name)[0])
        try:
            self._handle = self._client.submit(
                SegmentJob(path, config), lambda message: self._heard.emit(ticket, message)
            )
        except UserError as error:
            self._report(str(error))
            self._leave()
            self._next()

    def _leave(self, cancel: bool = False) -> None:
        """Forget the present image; what the engine still says of it is passed over."""
        self._ticket += 1
        if cancel and self._handle is not None:
            self._handle.cancel()
        self._current, self._handle = None, None

    def _on_message(self, ticket: int, message: Any) -> None:
        from napari_sartorius.engine import messages

        if ticket != self._ticket or self._current is None:
            return
        if isinstance(message, messages.ProgressMessage):
            self._on_progress(message.fraction)
        elif isinstance(message, messages.NoticeMessage):
            self._on_notice(message.text)
        elif isinstance(message, messages.FinishedMessage):
            for text in [text for plane in message.result for text in plane.result.notices]:
                self._on_notice(text)
            try:
                self._take(self._current, message.result)
            except UserError as error:
                self._report(str(error))
            self._leave()
            self._next()
        elif isinstance(message, messages.FailedMessage | messages.CrashedMessage):
            self._report(message.sentence)
            self._leave()
            self._next()
        elif isinstance(message, messages.CancelledMessage):
            self._leave()
            self._on_cancelled()

    def _take(self, name: str, planes: list[Any]) -> None:
        """Bring what was found into the project, and into the viewer when the image is shown."""
        session, project = self._session, self._session.project
        if project is None:
            return
        shown = name == session.current
        if shown and session.recorder is not None and not session.recorder.flush():
            raise UserError(f"the edits of {name} cannot be saved")
        self._bring(project, name, planes)
        if shown:
            session.refresh_labels()
        else:
            for image in project.planes_of(name):
                project.release(image.id)
        self._brought(name)
