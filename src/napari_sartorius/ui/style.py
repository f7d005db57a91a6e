"""The few colours and sizes that make the dock look of one piece, taken from napari's theme."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.theme import get_theme
from qtpy.QtCore import Qt

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

LABEL_WIDTH = 84
"""Width in pixels of the label column of every form, so that fields line up across sections."""

_TEMPLATE = """
QLabel[role="heading"] {{ font-weight: bold; padding-top: 4px; }}
QLabel[role="muted"] {{ color: {muted}; }}
QLabel[role="warning"] {{ color: {warning}; }}
QLabel[role="error"] {{ color: {error}; }}
QLabel[role="chip"] {{ background: {primary}; border-radius: 8px; padding: 1px 8px; }}
QFrame[role="rule"] {{ background: {foreground}; max-height: 1px; min-height: 1px; }}
QFrame[role="card"] {{ background: {foreground}; border-radius: 4px; }}
QFrame[role="card"] QLabel, QFrame[role="card"] QWidget {{ background: none; }}
QFrame[role="card"] QLabel[role="chip"] {{ background: {primary}; }}
QFrame[role="card"] QPushButton[role="plain"] {{ background: {primary}; }}
QScrollBar:vertical {{ max-width: 8px; margin: 0px; background: {background}; }}
QScrollBar::add-page:vertical, QScrollBar::sub-page:vertical {{ background: {background}; }}
QScrollBar::handle:vertical {{ background: {primary}; border-radius: 4px; }}
QScrollBar::add-line:vertical, QScrollBar::sub-line:vertical {{ height: 0px; }}
QScrollArea, QScrollArea > QWidget > QWidget {{ border: none; }}
QPushButton[role="primary"] {{
    background: {current}; color: {text}; font-weight: bold; padding: 6px 14px; border: 0px;
}}
QPushButton[role="primary"]:hover {{ background: {highlight}; }}
QPushButton[role="primary"]:disabled {{ background: {primary}; color: {muted}; border: 0px; }}
QPushButton[role="plain"] {{ padding: 6px 14px; }}
QPushButton[role="link"] {{
    background: none; border: 0px; text-align: left; text-decoration: underline;
    padding: 1px 3px; color: {muted};
}}
QPushButton[role="fold"], QPushButton[role="section"] {{
    background: none; border: 0px; text-align: left; padding: 3px 3px;
}}
QPushButton[role="fold"] {{ color: {muted}; }}
QPushButton[role="section"] {{ font-weight: bold; }}
QPushButton[role="fold"]:hover, QPushButton[role="section"]:hover {{ color: {text}; }}
QPushButton[role="fold"]:checked, QPushButton[role="section"]:checked {{ background: none; }}
QTreeWidget[role="images"]::item {{ padding: 3px 0px; }}
QListWidget[role="models"] {{ background: {background}; border: 1px solid {foreground}; }}
QListWidget[role="models"]::item:selected {{ background: {primary}; }}
QTabBar {{ background: none; border: 0px; padding: 0px; }}
QTabWidget::pane {{ border: 0px; }}
QTabBar::tab {{
    background: {foreground}; border: 0px; padding: 4px 4px; margin-right: 1px; min-height: 20px;
    border-top-left-radius: 4px; border-top-right-radius: 4px;
}}
QTabBar::tab:selected {{ background: {current}; color: {text}; }}
QPushButton[role="link"]:hover {{ color: {text}; background: none; }}
QPushButton[role="link"]:disabled {{ background: none; border: 0px; text-decoration: none; }}
QPushButton[role="tool"] {{ padding: 2px 2px; }}
QPushButton[role="tool"]:checked {{ background: {current}; color: {text}; }}
QTableView {{ background: {background}; alternate-background-color: {foreground}; border: 0px; }}
QTableView::item {{ padding: 0px 3px; border: 0px; }}
QTableView::item:selected {{ background: {current}; color: {text}; }}
QHeaderView::section {{ background: {foreground}; border: 0px; padding: 3px 3px; }}
QPushButton[role="filter"] {{ padding: 3px 4px; text-align: left; background: {background}; }}
QPushButton[role="filter"]:checked {{ background: {foreground}; color: {text}; }}
QToolButton[role="picture"] {{ border: 0px; padding: 0px; background: {foreground}; }}
QToolButton[role="picture"]:hover, QToolButton[role="picture"]:focus {{
    border: 1px solid {text};
}}
QPushButton[role="segment"] {{ border-radius: 0px; padding: 5px 2px; }}
QPushButton[role="segment"]:checked {{ background: {current}; color: {text}; }}
QProgressBar {{ border: 0px; background: {primary}; border-radius: 3px; }}
QProgressBar::chunk {{ background: {current}; border-radius: 3px; width: 1px; }}
"""


def _mixed(first: str, second: str, share: float) -> str:
    """Return ``rgb(...)`` of `first` mixed with the `share` (0..1) of `second`."""
    pairs = zip(_numbers(first), _numbers(second), strict=True)
    mixed = [round(a * (1.0 - share) + b * share) for a, b in pairs]
    return f"rgb({mixed[0]}, {mixed[1]}, {mixed[2]})"


def _numbers(colour: str) -> list[float]:
    inside = colour[colour.index("(") + 1 : colour.index(")")]
    return [float(number) for number in inside.split(",")[:3]]


def style_sheet(theme: str) -> str:
    """Return the dock's style sheet for napari's theme of that name."""
    colours = {
        name: value for name, value in get_theme(theme).to_rgb_dict().items() if "rgb" in str(value)
    }
    muted = _mixed(colours["text"], colours["background"], 0.32)
    if sum(_numbers(colours["background"])) > 3 * 128:  # napari's yellow and red are too pale there
        colours["warning"] = _mixed(colours["warning"], colours["text"], 0.55)
        colours["error"] = _mixed(colours["error"], colours["text"], 0.3)
    else:  # its red is a frame's, too dark for letters
        colours["error"] = _mixed(colours["error"], colours["text"], 0.45)
    return _TEMPLATE.format(**colours, muted=muted)


def set_role(widget: QWidget, role: str) -> None:
    """Give a widget the look of `role` (a key of the style sheet), even while it is shown."""
    if widget.property("role") == role:
        return
    widget.setProperty("role", role)
    style = widget.style()
    # one that was never shown will be polished then
    if style is not None and widget.testAttribute(Qt.WidgetAttribute.WA_WState_Polished):
        style.unpolish(widget)
        style.polish(widget)
