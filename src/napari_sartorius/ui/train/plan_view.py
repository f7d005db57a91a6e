"""The plan before a start: a small table, one line on steps and time, what speaks against it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_sartorius.core.wording import agree, plural
from napari_sartorius.ui.forms import quiet
from napari_sartorius.ui.run_panel import Tone, duration
from napari_sartorius.ui.style import set_role
from napari_sartorius.ui.train.figure_grid import FigureGrid

if TYPE_CHECKING:
    from qtpy.QtWidgets import QLabel

    from napari_sartorius.engine.plan_jobs import PlannedTraining
    from napari_sartorius.training.plan import TrainingPlan

_TITLES = ("", "images", "cells", "images", "cells")
_MOST_ROWS = 8
_FEW_CELLS = 20
"""An image has more, as a rule: whoever has drawn fewer has not drawn all."""


class PlanView(QWidget):
    """Shows a plan; says why there is none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._planned: PlannedTraining | None = None
        self._seconds: float | None = None
        self.state = quiet()
        self.table = FigureGrid(8)
        self.apart = quiet()
        self.course = quiet(role="body")
        self.warnings = quiet(role=Tone.WARNING.value)
        self.notes = quiet()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        self._parts = (self.table, self.apart, self.course, self.warnings, self.notes)
        for widget in (self.state, *self._parts):
            layout.addWidget(widget)
        self.say("")

    @property
    def is_ready(self) -> bool:
        """Whether a plan without an obstacle is shown."""
        return self._planned is not None and self._planned.plan.problem is None

    def text(self) -> str:
        """All that it says, a line each."""
        labels = (self.state, self.apart, self.course, self.warnings, self.notes)
        return "\n".join(label.text() for label in labels if not label.isHidden() and label.text())

    def say(self, text: str, tone: Tone = Tone.QUIET) -> None:
        """Show a sentence instead of a plan."""
        self._planned = None
        for widget in self._parts:
            widget.hide()
        set_role(self.state, tone.value)
        self.state.setText(text)
        self.state.setVisible(bool(text))

    def show_plan(self, planned: PlannedTraining) -> None:
        """Show a plan, or its obstacle."""
        plan = planned.plan
        if plan.problem is not None:
            self.say(plan.problem, Tone.ERROR)
            _show(self.warnings, " ".join(plan.warnings))
            return
        self.say("")
        self._planned, self._seconds = planned, planned.seconds_per_step
        self._fill(plan)
        self.table.show()
        _show(self.apart, _apart(plan))
        self._show_course()
        _show(self.warnings, " ".join((*_few_cells(plan), *plan.warnings)))
        _show(self.notes, " ".join(plan.notes))

    def show_seconds(self, per_step: float) -> None:
        """Say how long it will take, now that a step was timed."""
        self._seconds = per_step
        self._show_course()

    def _show_course(self) -> None:
        if self._planned is None:
            return
        plan = self._planned.plan
        text = f"At most {plural(plan.steps, 'step')} of {plural(plan.batch_size, 'crop')}"
        where, budget = _where(self._planned.device), self._planned.budget
        if self._seconds is None:
            text += f" {where}; how long that takes is being measured …"
        elif budget is not None and plan.seconds(self._seconds) > budget:
            text = (
                f"About {duration(budget)} {where}: as many steps of "
                f"{plural(plan.batch_size, 'crop')} as fit into that time."
            )
        else:
            time = duration(plan.seconds(self._seconds))
            text += f": about {time} {where}, once it is ready."
        _show(self.course, text)

    def _fill(self, plan: TrainingPlan) -> None:
        table = self.table
        table.clear()
        table.put(0, 1, "Training", span=2)
        table.put(0, 3, "Validation", span=2)
        for column, title in enumerate(_TITLES):
            table.put(1, column, title, muted=True)
        shown = plan.rows[:_MOST_ROWS]
        for row, one in enumerate(shown, start=2):
            figures = (
                one.train_images,
                one.train_cells,
                one.validation_images,
                one.validation_cells,
            )
            table.put(row, 0, one.name)
            for column, figure in enumerate(figures, start=1):
                table.put(row, column, f"{figure:,}")
        more = len(plan.rows) - len(shown)
        if more:
            table.put(len(shown) + 2, 0, f"and {more} more", muted=True)


def _apart(plan: TrainingPlan) -> str:
    if plan.strips:
        return (
            "A quarter of each image is kept apart to measure the result; with "
            f"{plan.few_images} images or more whole images are, which measures better."
        )
    return (
        f"{plan.validation_images:,} of "
        f"{plural(plan.train_images + plan.validation_images, 'image')} "
        f"{agree(plan.validation_images, 'is', 'are')} kept apart to measure the result."
    )


def _where(device: str) -> str:
    if device == "cpu":
        return "on this computer's processor"
    return "on its graphics card" if device.startswith(("cuda", "mps")) else f"on {device}"


def _few_cells(plan: TrainingPlan) -> tuple[str, ...]:
    cells = sum(row.train_cells for row in plan.rows)
    if cells >= _FEW_CELLS:
        return ()
    return (
        f"There is little to learn from ({plural(cells, 'cell')}): outline every cell of an image, "
        "for what is not outlined is learnt as background.",
    )


def _show(label: QLabel, text: str) -> None:
    label.setText(text)
    label.setVisible(bool(text))
