"""Asks which models to combine, how, and what the result is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_sartorius.ui.choice import Choice
from napari_sartorius.ui.forms import add_row, new_form, quiet, under_field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.engine.model_jobs import CombineModelsJob
    from napari_sartorius.ui.model_rows import ModelRow

_WIDTH, _LIST_HEIGHT = 520, 150
_FEWEST = 2

STRATEGIES = (
    (
        "mean_of_looks",
        "Mean of all",
        "Boxes, outlines and scores of the same cell are averaged. A cell that few models see "
        "gets a low score. The safest choice.",
    ),
    (
        "weighted_boxes",
        "Joined by boxes",
        "Weighted boxes fusion: cells whose boxes overlap are the same cell; outlines are "
        "averaged.",
    ),
    (
        "weighted_segments",
        "Vote on pixels",
        "Weighted segments fusion: boxes are joined, and a pixel belongs to the cell where at "
        "least half of the models say so.",
    ),
    (
        "weighted_masks",
        "Joined by outlines",
        "Weighted masks fusion: cells whose outlines overlap are the same cell; for long and "
        "curved cells, whose boxes say little.",
    ),
    (
        "mask_clusters",
        "Groups of outlines",
        "Outlines that overlap form groups; a pixel belongs to the cell where enough of the group "
        "say so. Meant for annotations that a model shall learn from.",
    ),
    (
        "stage_means",
        "Deciding together",
        "The networks agree at every step: where cells may be, what they are, which pixels they "
        "have. As the 11th place of the challenge did; the networks must be of a kind.",
    ),
    (
        "boxes_then_masks",
        "All boxes, mean outline",
        "The boxes of all models are kept side by side, and every model draws each of them. As "
        "the 7th place of the challenge did; the networks must be of a kind.",
    ),
)
"""Name, title and explanation of each strategy."""

_VIEWS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Once", ("identity",)),
    ("Twice, mirrored too", ("identity", "horizontal")),
    ("Four times, mirrored in all ways", ("identity", "horizontal", "vertical", "both")),
)


class CombineDialog(QDialog):
    """A list of models to tick, a strategy, the number of looks and a name.

    Parameters
    ----------
    rows : sequence of ModelRow
        The models that can take part.
    """

    def __init__(self, rows: Sequence[ModelRow], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Combine models")
        self._rows = list(rows)
        self._named = False
        self.members = QListWidget()
        self.members.setFixedHeight(_LIST_HEIGHT)
        for row in self._rows:
            item = QListWidgetItem(f"{row.title}  ({row.name})")
            item.setToolTip(", ".join(row.categories))
            item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Unchecked)
            self.members.addItem(item)
        self.strategy = Choice()
        for position, (name, title, hint) in enumerate(STRATEGIES):
            self.strategy.addItem(title, name)
            self.strategy.setItemData(position, hint, Qt.ItemDataRole.ToolTipRole)
        self.strategy_text = quiet()
        self.views = Choice()
        for title, views in _VIEWS:
            self.views.addItem(title, views)
        self.name = QLineEdit()
        self.name.setPlaceholderText("for example: my-ensemble")
        self.problem = quiet()
        self._build()
        self.members.itemChanged.connect(self._on_change)
        self.strategy.currentIndexChanged.connect(self._on_change)
        self.views.currentIndexChanged.connect(self._on_change)
        self.name.textEdited.connect(self._on_name)
        self._on_change()

    def _build(self) -> None:
        form, below = new_form(), new_form()
        add_row(form, "Models", self.members, "combine_members")
        add_row(form, "Together by", self.strategy, "combine_strategy")
        add_row(below, "Each looks", self.views, "combine_views")
        add_row(below, "Name", self.name, "combine_name")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.ok = buttons.addButton("Combine", QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setSpacing(8)
        introduction = (
            "The models look at each image one after the other, and what they find becomes one "
            "set of cells. The result is a model like any other; it holds copies of its members."
        )
        layout.addWidget(quiet(introduction))
        layout.addLayout(form)
        layout.addLayout(under_field(self.strategy_text))
        layout.addLayout(below)
        layout.addStretch(1)
        layout.addWidget(self.problem)
        layout.addWidget(buttons)
        self.setMinimumWidth(_WIDTH)

    def tick(self, name: str) -> None:
        """Choose a model; an unknown name changes nothing."""
        for position, row in enumerate(self._rows):
            if row.name == name:
                self.members.item(position).setCheckState(Qt.CheckState.Checked)

    @property
    def chosen(self) -> list[ModelRow]:
        """The models that are ticked, in the order of the list."""
        checked = Qt.CheckState.Checked
        return [
            row
            for position, row in enumerate(self._rows)
            if self.members.item(position).checkState() == checked
        ]

    def obstacle(self) -> str | None:
        """Return one sentence saying what is missing, or None when an ensemble can be made."""
        chosen = self.chosen
        if len(self._rows) < _FEWEST:
            return "Get a second model first: there is only one to combine."
        if len(chosen) < _FEWEST:
            return "Tick two or more models."
        for row in chosen[1:]:
            if set(row.categories) != set(chosen[0].categories):
                return (
                    f"{row.title} finds {', '.join(row.categories)}, but {chosen[0].title} finds "
                    f"{', '.join(chosen[0].categories)}: choose models that find the same."
                )
        if not self.name.text().strip():
            return "Give it a name."
        return None

    def job(self) -> CombineModelsJob:
        """Return the job that the fields describe."""
        from napari_sartorius.engine.model_jobs import CombineModelsJob

        return CombineModelsJob(
            tuple(row.name for row in self.chosen),
            self.name.text().strip(),
            str(self.strategy.currentData()),
            tuple(self.views.currentData()),
        )

    def _on_name(self) -> None:
        self._named = True
        self._on_change()

    def _on_change(self) -> None:
        chosen = self.chosen
        if not self._named:
            several = len(chosen) >= _FEWEST
            self.name.setText("-".join(row.name for row in chosen) if several else "")
        self.strategy_text.setText(STRATEGIES[self.strategy.currentIndex()][2])
        obstacle = self.obstacle()
        looks = len(chosen) * len(self.views.currentData())
        self.problem.setText(obstacle or f"Best will join {looks} looks at each image.")
        self.ok.setEnabled(obstacle is None)
