"""The Project tab: choose a project, walk through its images, let the model go ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.notifications import show_error

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import plural, sentence
from napari_sartorius.io.project.deleting import trash_project
from napari_sartorius.ui.project import questions
from napari_sartorius.ui.project.adding import AddMenu
from napari_sartorius.ui.project.doubt_counts import DoubtCounts
from napari_sartorius.ui.project.export_dialog import ExportDialog
from napari_sartorius.ui.project.image_list import ImageList
from napari_sartorius.ui.project.import_menu import ImportMenu
from napari_sartorius.ui.project.look_again import LookAgain
from napari_sartorius.ui.project.loss_watch import LossWatch
from napari_sartorius.ui.project.project_widgets import ProjectWidgets
from napari_sartorius.ui.project.segment_all import SegmentAll
from napari_sartorius.ui.project.session import ProjectSession
from napari_sartorius.ui.project.walk_panel import WalkPanel
from napari_sartorius.ui.run_panel import Tone

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari.components import ViewerModel
    from qtpy.QtWidgets import QWidget

    from napari_sartorius.inference.config import SegmentConfig
    from napari_sartorius.ui.engine_client import EngineClient
    from napari_sartorius.ui.project.adding import Added

_WELCOME = (
    "A project keeps images, their cells and every correction in one folder. Nothing is lost "
    "when the program ends, however it ends."
)


class ProjectTab(ProjectWidgets):
    """Everything about the open project.

    Parameters
    ----------
    viewer : ViewerModel
        Shows the images.
    client : EngineClient
        Segments in the background.
    config : callable
        Gives the configuration to segment with; may raise `UserError`.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        client: EngineClient,
        config: Callable[[], SegmentConfig],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._config = config
        self.session = ProjectSession(viewer, self)
        self.walk = SegmentAll(self.session, client, self)
        self.look = LookAgain(self.session, client, self)
        self._walked = ""
        self._shown: str | None = None
        self.recent_button.setMenu(
            questions.RecentMenu(self.open, self.delete, self._is_writable, self.recent_button)
        )
        self.doubt = DoubtCounts(lambda: self.session.project, lambda: self.session.current, self)
        self._loss = LossWatch()
        self.images = ImageList(self.session, self.doubt.of)
        self.adding = AddMenu(self, viewer)
        self.add_button.setMenu(self.adding)
        self.import_button.setMenu(ImportMenu(self.import_cells, self))
        self.exporting: ExportDialog | None = None
        self.walking = WalkPanel(self.walk)
        self.lay_out(self.images, self.walking)
        self._connect()
        self._show_all()

    def _connect(self) -> None:
        self.new_button.clicked.connect(lambda: self.create(questions.new_project(self)))
        self.open_button.clicked.connect(lambda: self.open(questions.old_project(self)))
        self.remove_button.clicked.connect(self.remove)
        self.export_button.clicked.connect(self.show_export)
        self.back_button.clicked.connect(lambda: self._step(-1))
        self.next_button.clicked.connect(lambda: self._step(1))
        self.done_button.clicked.connect(self.done)
        self.walking.segment_button.clicked.connect(self.segment_new)
        self.walking.again_button.clicked.connect(self.segment_again)
        self.images.chosen.connect(self.show_image)
        self.session.listed.connect(self._show_all)
        self.session.listed.connect(lambda: self.doubt.restart(self.session.files))
        self.session.shown.connect(self._show_current)
        self.session.shown.connect(self._count_doubt)
        self.doubt.counted.connect(self.images.refresh)
        self.session.progressed.connect(self._show_progress)
        self.session.failed.connect(self._complain)
        self.look.said.connect(self._say)
        self.look.looked.connect(lambda name: self.doubt.count([name]))
        self.walk.progressed.connect(lambda name, *_: self._on_walk(name))
        self.walk.ended.connect(self._on_walk_ended)

    # -- what the user asks for ------------------------------------------------------------------

    def create(self, folder: str | Path) -> None:
        """Make a project; a sentence says why when it cannot be made."""
        if folder:
            self._try(lambda: self.session.create(folder))

    def open(self, folder: str | Path) -> None:
        """Open a project; a sentence says what was restored, or why it cannot be opened."""
        if folder:
            self._try(lambda: self.session.open(folder))

    def add(self, paths: list[str]) -> None:
        """Add image files; a sentence says which one cannot be read."""
        if paths:
            self._try(lambda: self.adding.add_files(paths))

    def bring(self, action: Callable[[], Added]) -> None:
        """Add images from elsewhere; a sentence says what came and what was left out."""

        def tell() -> None:
            came = action()
            self._say(came.sentence(), Tone.WARNING if came.left_out else Tone.QUIET)

        self._try(tell)

    def import_cells(self, sources: list[str]) -> None:
        """Add cells that other programs wrote; a sentence says how many, or what went wrong."""
        if not sources:
            return

        def bring() -> None:
            came = self.session.import_annotations(sources)
            look = came.known or came.cut or came.notes
            self._say(came.sentence(), Tone.WARNING if look else Tone.QUIET)

        self._try(bring)
        self.images.fill()
        self.doubt.count(self.session.files)

    def show_export(self) -> None:
        """Show the dialog that exports; what is on the screen is recorded first."""
        if self.session.project is None or not self.session.save():
            return
        if self.exporting is not None:
            self.exporting.wait()
            self.exporting.deleteLater()
        self.exporting = ExportDialog(self.session.project.folder, self)
        self.exporting.show()

    def show_image(self, name: str) -> None:
        """Show an image of the project; one that is missing is asked for."""
        project = self.session.project
        if project is None:
            return
        missing = not project.image_path(project.planes_of(name)[0]).is_file()
        if missing and project.read_only is None:
            found = questions.missing_image(self, name)
            if found:
                self._try(lambda: project.find_again(name, found))
                self.session.listed.emit()
        self._try(lambda: self.session.show(name))
        self.images.show_current()

    def done(self) -> None:
        """Mark the shown image as done and go on to the next."""
        name = self.session.current
        if name is not None:
            self._try(lambda: self.session.set_status(name, "done"))
            self.images.refresh(name)
            self._step(1)

    def next_doubtful(self) -> str | None:
        """The next image, from the one shown on, with doubtful cells that nobody has looked at."""
        files, current = self.session.files, self.session.current
        place = files.index(current) + 1 if current in files else 0
        others = files[place:] + files[: max(place - 1, 0)]
        asked = (one for one in others if self.doubt.of(one) and self.session.status(one) != "done")
        return next(asked, None)

    def remove(self) -> None:
        """Move the shown image to the trash, when the user says yes."""
        name = self.session.current
        if name is not None and questions.may_remove(self, name):
            self._try(lambda: self.session.remove(name))

    def delete(self) -> None:
        """Close the project and move its folder to the trash, when the user says yes."""
        project = self.session.project
        if project is None or not questions.may_delete(self, project.folder):
            return
        self.walk.cancel()
        self.session.close()
        self.doubt.stop()
        self._try(lambda: self._say(f"The project is in {trash_project(project.folder)} now."))

    def segment_new(self) -> None:
        """Segment all images that are new, in the background."""
        self._try(lambda: self.walk.start(self._config()))

    def segment_again(self) -> None:
        """Segment the shown image again: what a person did stays, the rest is replaced."""
        name = self.session.current
        if name is not None:
            self._try(lambda: self.walk.start(self._config(), again=[name]))

    def stop(self) -> None:
        """Save and close; the dock is going away."""
        self.walk.cancel()
        self.look.stop()
        if self.exporting is not None:
            self.exporting.wait()
        self.doubt.stop()
        self.session.close()
        self.doubt.stop()  # closing has listed no images

    # -- what is shown ---------------------------------------------------------------------------

    def _try(self, action: Callable[[], object]) -> None:
        self._say("")
        try:
            action()
        except UserError as error:
            self._complain(str(error))

    def _is_writable(self) -> bool:
        project = self.session.project
        return project is not None and project.read_only is None

    def _step(self, by: int) -> None:
        self._try(lambda: self.session.step(by))

    def _show_all(self) -> None:
        project = self.session.project
        self.content.setVisible(project is not None)
        self.title.setText(project.folder.name if project is not None else "Project")
        self.where.setText(str(project.folder) if project is not None else _WELCOME)
        self.images.fill()
        self._show_current()
        if project is not None and project.read_only is not None:
            self._say(f"To be looked at only: {project.read_only}.", Tone.WARNING)
        elif project is not None and project.restored is not None:
            self._say(sentence(project.restored), Tone.WARNING)

    def _show_current(self) -> None:
        files, current = self.session.files, self.session.current
        place = files.index(current) if current in files else -1
        self.back_button.setEnabled(place > 0)
        self.next_button.setEnabled(0 <= place < len(files) - 1)
        writable = self._is_writable()
        for one in (self.done_button, self.remove_button):
            one.setEnabled(writable and place >= 0)
        self.add_button.setEnabled(writable)
        self.import_button.setEnabled(writable and bool(files))
        self.export_button.setEnabled(bool(files))
        free = writable and not self.walk.is_running
        self.walking.set_ready(free and bool(files), free and place >= 0)
        self.images.show_current()
        self._show_progress()

    def _show_progress(self) -> None:
        project, current = self.session.project, self.session.current
        if project is None:
            return
        if current is not None:
            lost = self._loss.told(current, self.images.refresh(current))
            if lost:
                self._say(lost, Tone.WARNING)
        done, of = self.session.count_done(), plural(len(self.session.files), "image")
        self.saved.setText(f"{done:,} of {of} done · {project.saved_text()}")

    def _count_doubt(self) -> None:
        """Count the image that was shown before, which edits may have changed, and this one."""
        self.doubt.forget_live()
        before, self._shown = self._shown, self.session.current
        self.doubt.count([name for name in (before, self._shown) if name in self.session.files])

    def _on_walk(self, name: str) -> None:
        if name != self._walked:  # the one before has its cells now
            self.images.refresh(self._walked)
            self.doubt.count([file for file in self.session.files if file == self._walked])
            self._walked = name

    def _on_walk_ended(self, sentence: str) -> None:
        self._say(sentence)
        for file in self.session.files:
            self.images.refresh(file)
        self.doubt.count(self.session.files)
        self._show_current()

    def _complain(self, sentence: str) -> None:
        self._say(sentence, Tone.ERROR)
        show_error(sentence)
