"""Keeps plan and preview up to date with what is chosen before a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_sartorius.ui.run_panel import Tone
from napari_sartorius.ui.train.wish import Draft, Wish

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sartorius.engine.plan_jobs import PlannedTraining
    from napari_sartorius.ui.train.looking import Looking
    from napari_sartorius.ui.train.setup_page import SetupPage


class Planning(QObject):
    """Asks for a plan of whatever is chosen, and shows the answers on the page.

    Parameters
    ----------
    setup : SetupPage
        Where it is chosen and shown.
    looking : Looking
        Who plans, times and previews.
    is_running : callable
        Whether a run goes on; nothing is planned meanwhile.
    """

    def __init__(
        self,
        setup: SetupPage,
        looking: Looking,
        is_running: Callable[[], bool],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._setup, self._looking, self._is_running = setup, looking, is_running
        self._draft: Draft | None = None
        self.steps = 0
        """Of the plan that came last."""
        setup.changed.connect(self._on_choice)
        setup.preview.others_asked.connect(looking.other_pictures)
        looking.planned.connect(self._on_plan)
        looking.timed.connect(setup.plan.show_seconds)
        looking.pictured.connect(setup.preview.show_crops)
        looking.failed.connect(self._on_no_answer)

    def stop(self) -> None:
        """Plan nothing more, and give back the memory and the files that it took."""
        self._looking.close()
        self._drop_draft()

    def _on_choice(self) -> None:
        if self._is_running():
            return
        setup = self._setup
        self._looking.forget()
        obstacle = setup.obstacle()
        setup.plan.say(obstacle or "Counting cells …")
        setup.say("")
        setup.run_button.setEnabled(False)
        if obstacle is None:
            self._drop_draft()
            self._draft = Draft(Wish.of(setup))
            self._looking.ask(self._draft.make_job)

    def _on_plan(self, planned: PlannedTraining) -> None:
        self.steps = planned.plan.steps
        self._setup.plan.show_plan(planned)
        self._setup.show_obstacle()

    def _on_no_answer(self, what: str, reason: str) -> None:
        if what == "plan":
            self._setup.plan.say(reason, Tone.ERROR)
            self._setup.show_obstacle()
        elif what == "preview":  # a run can do without
            self._setup.preview.hide()
            self._setup.say(reason, Tone.WARNING)

    def _drop_draft(self) -> None:
        if self._draft is not None:
            self._draft.drop()
            self._draft = None
