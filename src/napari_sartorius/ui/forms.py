"""Small pieces that every panel is built of: headings, aligned rows, quiet text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QSize, Qt
from qtpy.QtWidgets import (
    QApplication,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_sartorius.ui.style import LABEL_WIDTH, set_role
from napari_sartorius.ui.tooltips import tooltip

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtGui import QEnterEvent, QResizeEvent

_GUESS_WIDTH = 240  # before the first layout
_NARROWEST = 60


def scrolled(content: QWidget) -> QScrollArea:
    """Return what shows a panel without a frame and scrolls it up and down where it is too high."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(content)
    return area


def reveal(area: QScrollArea, panel: QWidget) -> None:
    """Scroll as far as needed for the whole of a panel, also of one that was just filled."""
    # The scroll bar that a longer panel brings makes the texts narrower and so the panel longer
    # still: that comes in a second round.
    for _ in range(2):
        QApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest)
    area.ensureWidgetVisible(panel, 0, 0)


def new_form() -> QFormLayout:
    """Return a form with the dock's spacing; fields take all the width there is."""
    form = QFormLayout()
    form.setContentsMargins(0, 0, 0, 0)
    form.setHorizontalSpacing(8)
    form.setVerticalSpacing(5)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.DontWrapRows)
    form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    return form


def add_row(
    form: QFormLayout, text: str, field: QWidget, hint: str = "", position: int = -1
) -> QLabel:
    """Add a labelled row (the last one by default) and return its label.

    `hint` names the tooltip of both.
    """
    label = QLabel(text)
    label.setFixedWidth(LABEL_WIDTH)
    label.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    label.setBuddy(field)
    if hint:
        label.setToolTip(tooltip(hint))
        field.setToolTip(tooltip(hint))
    form.insertRow(position, label, field)
    return label


def set_shown(widget: QWidget, shown: bool) -> None:
    """Show or hide a widget that has its place in a layout.

    Qt styles a widget whenever it is told to show it, also one that was never hidden in a panel
    that nobody sees yet, and once more when it comes to be seen.
    """
    if widget.isHidden() == shown:
        widget.setVisible(shown)


def set_row_visible(form: QFormLayout, field: QWidget, visible: bool) -> None:
    """Show or hide a row of a form together with its label."""
    label = form.labelForField(field)
    if label is not None:
        set_shown(label, visible)
    set_shown(field, visible)


def under_field(widget: QWidget) -> QHBoxLayout:
    """Return a row that puts a note below the field column of the form above it.

    A wrapped label inside a form would reserve too much height.
    """
    row = QHBoxLayout()
    row.setContentsMargins(LABEL_WIDTH + 8, 0, 0, 0)
    row.addWidget(widget)
    return row


def heading(text: str) -> QLabel:
    """Return the title of a section."""
    label = QLabel(text)
    set_role(label, "heading")
    return label


class WrappedLabel(QLabel):
    """Text that wraps to the width it is given, and asks for just the height that this needs.

    Qt's own label asks for the height of a narrow column, which leaves gaps and scroll bars. The
    text can be selected; since Qt needs a whole text document for that, only once the pointer is
    over it.
    """

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setWordWrap(True)
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def sizeHint(self) -> QSize:
        """Return the height for the present width."""
        width = self.width() if self.testAttribute(Qt.WidgetAttribute.WA_Resized) else _GUESS_WIDTH
        return QSize(0, self.heightForWidth(max(width, _NARROWEST)))

    def minimumSizeHint(self) -> QSize:
        """Return the same: the text is never cut."""
        return self.sizeHint()

    def enterEvent(self, event: QEnterEvent | None) -> None:
        """Let the text be selected from now on."""
        super().enterEvent(event)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Ask for another height when the width has changed."""
        super().resizeEvent(event)
        if event is not None and event.oldSize().width() != event.size().width():
            self.updateGeometry()


def quiet(text: str = "", role: str = "muted") -> WrappedLabel:
    """Return a wrapped line of secondary text that never widens the dock."""
    label = WrappedLabel(text)
    set_role(label, role)
    return label


def rule() -> QFrame:
    """Return a thin line between two sections."""
    line = QFrame()
    set_role(line, "rule")
    return line


def button(text: str, role: str, hint: str) -> QPushButton:
    """Return a push button in one of the dock's looks."""
    push = QPushButton(text)
    set_role(push, role)
    push.setToolTip(tooltip(hint))
    return push


class Fold(QWidget):
    """A section that opens and closes.

    What is inside is made when the section is first opened: Qt takes noticeable time to style even
    what nobody sees, and most sections are never opened.

    Parameters
    ----------
    title : str
        What the switch says.
    role : str
        Look of the switch.
    make : callable
        Makes what is inside; called once.
    """

    def __init__(
        self, title: str, role: str, make: Callable[[], QWidget], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._title = title
        self._make = make
        self._content: QWidget | None = None
        self.switch = QPushButton()
        self.switch.setCheckable(True)
        set_role(self.switch, role)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.switch)
        self.switch.toggled.connect(self._on_switch)
        self._on_switch(False)

    @property
    def is_made(self) -> bool:
        """Whether what is inside was made already."""
        return self._content is not None

    @property
    def content(self) -> QWidget:
        """What is inside."""
        if self._content is None:
            self._content = self._make()
            self.layout().addWidget(self._content)
            self._content.setVisible(self.switch.isChecked())
        return self._content

    def set_open(self, is_open: bool) -> None:
        """Open or close the section."""
        self.switch.setChecked(is_open)

    def _on_switch(self, is_open: bool) -> None:
        self.switch.setText(f"{'▾' if is_open else '▸'}  {self._title}")
        if is_open or self._content is not None:
            self.content.setVisible(is_open)
