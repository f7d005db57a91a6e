"""What the user chooses before a run, the plan that follows from it, and the button that starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QLineEdit, QSizePolicy, QVBoxLayout, QWidget

from napari_sartorius.ui.choice import Choice
from napari_sartorius.ui.forms import (
    add_row,
    button,
    heading,
    new_form,
    quiet,
    rule,
    scrolled,
    under_field,
)
from napari_sartorius.ui.run_panel import Tone
from napari_sartorius.ui.style import set_role
from napari_sartorius.ui.train.data_choice import DataChoice
from napari_sartorius.ui.train.plan_view import PlanView
from napari_sartorius.ui.train.preview import Preview
from napari_sartorius.ui.train.recipe_choice import RecipeChoice
from napari_sartorius.ui.train.unfinished import UnfinishedRuns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.components import ViewerModel

    from napari_sartorius.io.project import Project
    from napari_sartorius.zoo.ensemble_card import AnyCard


class SetupPage(QWidget):
    """Everything before a run.

    Parameters
    ----------
    viewer : ViewerModel
        Whose layers can be learnt from.
    project : callable
        Gives the open project or None.
    cards : callable
        Gives the models that can be started from.
    """

    changed = Signal()
    """Another training is meant now, or the same one of other data."""
    run_clicked = Signal()

    def __init__(
        self,
        viewer: ViewerModel,
        project: Callable[[], Project | None],
        cards: Callable[[], Sequence[AnyCard]],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._cards = cards
        self._named = ""  # the name that we made up last
        self.unfinished = UnfinishedRuns()
        self.start = Choice()
        self.data = DataChoice(viewer, project)
        self.recipe = RecipeChoice()
        self.name = QLineEdit()
        self.plan = PlanView()
        self.preview = Preview()
        self.message = quiet()
        self.run_button = button("Train", "primary", "train_run")
        self.run_button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._build()
        self.message.hide()
        self.start.currentIndexChanged.connect(self._on_choice)
        self.data.changed.connect(self._on_choice)
        self.recipe.changed.connect(self._on_choice)
        self.name.textEdited.connect(lambda _: self.show_obstacle())
        self.run_button.clicked.connect(self.run_clicked)

    def _build(self) -> None:
        form = new_form()
        add_row(form, "Start from", self.start, "train_start")
        add_row(form, "Learn from", self.data.kind, "train_data")
        below = new_form()
        add_row(below, "Recipe", self.recipe, "train_recipe")
        add_row(below, "Name", self.name, "train_name")
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(6)
        column.addWidget(self.unfinished)
        column.addWidget(heading("Teach a model your cells"))
        column.addLayout(form)
        column.addLayout(under_field(self.data))
        column.addLayout(below)
        column.addWidget(rule())
        column.addWidget(self.plan)
        column.addWidget(self.preview)
        column.addStretch(1)
        self.scroll = scrolled(content)
        foot = QWidget()
        bottom = QVBoxLayout(foot)
        bottom.setContentsMargins(6, 0, 6, 6)
        bottom.setSpacing(5)
        for widget in (rule(), self.message, self.run_button):
            bottom.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.scroll, 1)
        layout.addWidget(foot)

    def refresh(self) -> None:
        """Look again at the models and the data."""
        chosen = self.start.currentData()
        with QSignalBlocker(self.start):
            self.start.clear()
            for card in filter(_can_learn, self._cards()):
                self.start.addItem(card.title or card.name, card.name)
            if chosen is not None:
                self.start.select_data(chosen)
        name = self.name.text().strip()
        if name and name != self._named and name in {card.name for card in self._cards()}:
            self.name.setText(_free_name(name, self._cards()))  # the one before was trained
        self.data.refresh()
        self._on_choice()

    def obstacle(self) -> str | None:
        """One sentence saying why training cannot begin, or None."""
        if self.start.currentData() is None:
            return "There is no model to start from."
        return self.data.obstacle() or self._misnamed()

    def show_obstacle(self) -> None:
        """Say what stands in the way, and let nothing start until it is gone."""
        obstacle = self.obstacle()
        if obstacle is not None and not self.plan.is_ready:
            self.plan.say(obstacle)
        elif obstacle is not None:
            self.say(obstacle, Tone.WARNING)
        elif self.message.property("role") == Tone.WARNING.value:
            self.say("")
        self.run_button.setEnabled(obstacle is None and self.plan.is_ready)

    def say(self, text: str, tone: Tone = Tone.QUIET) -> None:
        """Show a line above the button."""
        set_role(self.message, tone.value)
        self.message.setText(text)
        self.message.setVisible(bool(text))

    def stop(self) -> None:
        """Stop following the viewer."""
        self.data.stop()

    def _on_choice(self) -> None:
        card, title = self.start.currentData(), self.data.title
        if card is not None and self.name.text() in {"", self._named}:
            self._named = _free_name(f"{card}-{title}" if title else f"{card}-2", self._cards())
            self.name.setText(self._named)
            self.name.setCursorPosition(0)  # so that a long one is seen from its start
        self.preview.hide()
        self.changed.emit()

    def _misnamed(self) -> str | None:
        from napari_sartorius.zoo.naming import model_name

        name = self.name.text().strip()
        if not name or model_name(name) != name:
            return "Give the model a name of letters from a to z, digits, dots and dashes."
        if name in {card.name for card in self._cards()}:
            return f"There is a model called {name} already: choose another name."
        return None


def _can_learn(card: AnyCard) -> bool:
    """Whether a model can be trained; of an ensemble each member can, on its own."""
    from napari_sartorius.zoo.card import ModelCard

    return isinstance(card, ModelCard)


def _free_name(wish: str, cards: Sequence[AnyCard]) -> str:
    from napari_sartorius.zoo.naming import model_name

    plain = model_name(wish)
    taken, name, number = {card.name for card in cards}, plain, 2
    while name in taken:
        name, number = f"{plain}-{number}", number + 1
    return name
