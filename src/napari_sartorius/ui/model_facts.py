"""The card of the chosen model: what it finds, its licence and figures, and what may stop it."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QLabel, QScrollArea, QVBoxLayout, QWidget

from napari_sartorius.ui.forms import WrappedLabel, quiet
from napari_sartorius.ui.style import set_role

if TYPE_CHECKING:
    from qtpy.QtGui import QEnterEvent

    from napari_sartorius.ui.model_rows import ModelRow


_LOWEST = 120


class LinkedText(WrappedLabel):
    """Wrapped rich text whose links open in the web browser."""

    def __init__(self) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setOpenExternalLinks(True)
        set_role(self, "body")

    def enterEvent(self, event: QEnterEvent | None) -> None:
        """Let links be clicked as well as text be selected."""
        super().enterEvent(event)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextBrowserInteraction)


class ModelFacts(QScrollArea):
    """Scrolls when the card is longer than its place."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = QLabel()
        self.title.setWordWrap(True)
        set_role(self.title, "heading")
        self.why_not = quiet(role="warning")
        self.description = quiet(role="body")
        self.facts = LinkedText()
        self._card = QFrame()
        set_role(self._card, "card")
        inside = QVBoxLayout(self._card)
        inside.setContentsMargins(8, 6, 8, 6)
        inside.setSpacing(5)
        for widget in (self.title, self.why_not, self.description, self.facts):
            inside.addWidget(widget)
        inside.addStretch(1)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(self._card)
        self.setMinimumHeight(_LOWEST)

    def show_row(self, row: ModelRow | None) -> None:
        """Fill in a model, or say that none is chosen."""
        self.title.setText(row.title if row is not None else "No model matches the search.")
        self.why_not.setText((row.why_not or "") if row is not None else "")
        self.why_not.setVisible(bool(self.why_not.text()))
        self.description.setText(row.description if row is not None else "")
        self.description.setVisible(bool(self.description.text()))
        facts = row.facts if row is not None else {}
        self.facts.setText(
            "".join(
                f"<p style='margin:2px 0'><b>{html.escape(name)}</b>&nbsp; {text}</p>"
                for name, text in facts.items()
                if text
            )
        )
        self.facts.setVisible(bool(facts))
        self.verticalScrollBar().setValue(0)
