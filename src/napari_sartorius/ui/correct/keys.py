"""The keys of the tools, on the canvas while the layer is active and in the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence, QShortcut

from napari_sartorius.ui.correct.tools import TOOLS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari.layers import Labels
    from qtpy.QtWidgets import QWidget

_MOST_CATEGORIES = 9
_STANDARD = {
    "Control-Z": QKeySequence.StandardKey.Undo,
    "Control-Shift-Z": QKeySequence.StandardKey.Redo,
}


def bindings(
    keys: Mapping[str, str],
    run: Callable[[str], None],
    categorise: Callable[[int], None],
    others: Mapping[str, Callable[[], None]],
) -> dict[str, Callable[[], None]]:
    """Return what each key does, by its name in napari's spelling.

    Parameters
    ----------
    keys : mapping of str to str
        Key by the name of a tool, where it is not the usual one; empty for none.
    run : callable
        Called with the name of a tool.
    categorise : callable
        Called with the position of a category, from 0.
    others : mapping of str to callable
        Further keys; the tools go first where they are the same.
    """
    found = dict(others)
    keys = {name: key for name, key in keys.items() if not key or is_key(key)}
    for position in range(_MOST_CATEGORIES):
        found[str(position + 1)] = lambda at=position: categorise(at)
    for tool in TOOLS:
        key = keys.get(tool.name, tool.key)
        if key:
            found[key] = lambda name=tool.name: run(name)
    return found


def is_key(text: str) -> bool:
    """Whether napari knows a key by this name."""
    from app_model.types import KeyBinding, KeyCode

    try:
        parts = KeyBinding.from_str(text).parts
    except (ValueError, KeyError):
        return False
    return len(parts) == 1 and parts[0].key not in (None, KeyCode.UNKNOWN)


class LayerKeys:
    """Keys on a layer's own key map, which go before napari's for labels; taken off again.

    Parameters
    ----------
    layer : Labels
        On which to bind.
    actions : mapping of str to callable
        What each key does.
    """

    def __init__(self, layer: Labels, actions: Mapping[str, Callable[[], None]]) -> None:
        self._layer = layer
        self._before = dict(layer.keymap)
        for key, action in actions.items():
            layer.bind_key(key, lambda _layer, act=action: act(), overwrite=True)

    def remove(self) -> None:
        """Take the keys off."""
        self._layer.keymap.clear()
        self._layer.keymap.update(self._before)


def table_shortcuts(widget: QWidget, actions: Mapping[str, Callable[[], None]]) -> list[QShortcut]:
    """Give the same keys to a widget while it has the focus."""
    made = []
    for key, action in actions.items():
        standard = _STANDARD.get(key)
        sequence = QKeySequence(standard) if standard is not None else QKeySequence(_qt_name(key))
        shortcut = QShortcut(sequence, widget)
        shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(action)
        made.append(shortcut)
    return made


def sheet_shortcuts(widget: QWidget, show: Callable[[], None]) -> None:
    """Let ``?`` show the list of keys, wherever the focus is in a widget's window."""
    for key in ("?", "Shift+?"):  # napari's canvas does not know this key, keyboards differ
        sheet = QShortcut(QKeySequence(key), widget)
        sheet.setContext(Qt.ShortcutContext.WindowShortcut)
        sheet.activated.connect(show)
        sheet.activatedAmbiguously.connect(show)


def _qt_name(key: str) -> str:
    names = {"Control": "Ctrl", "Delete": "Del", "Escape": "Esc"}
    return "+".join(names.get(part, part) for part in key.split("-"))
