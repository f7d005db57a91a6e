"""The dock "Sartorius", which napari makes when the user opens it from the menu."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QTimer
from qtpy.QtWidgets import QTabWidget, QVBoxLayout, QWidget

from napari_sartorius.ui.engine_bridge import EngineBridge
from napari_sartorius.ui.segment_tab import SegmentTab
from napari_sartorius.ui.settings import read_preferences
from napari_sartorius.ui.style import style_sheet

if TYPE_CHECKING:
    from collections.abc import Sequence

    import napari
    from qtpy.QtCore import QSize

    from napari_sartorius.ui.engine_bridge import EngineClient
    from napari_sartorius.ui.settings import Preferences
    from napari_sartorius.zoo.card import ModelCard

_WIDTH = 350
_PROBE_DELAY_MS = 400


class SartoriusDock(QWidget):
    """One dock with a tab per task; only tabs that work are shown.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer that the dock belongs to.
    client : EngineClient, optional
        Who runs jobs. By default a worker process of this dock's own, started after the dock is
        on screen, so that opening never waits for it.
    cards : sequence of ModelCard, optional
        Models to offer; by default all that are installed.
    preferences : Preferences, optional
        What to start with; by default what the user set in napari's preferences.
    """

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        client: EngineClient | None = None,
        cards: Sequence[ModelCard] | None = None,
        preferences: Preferences | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        preferences = preferences or read_preferences()
        if preferences.cache_folder:
            # the worker inherits this, so both sides of the engine look in the same place
            os.environ["SARTORIUS_MODELS"] = os.path.expanduser(preferences.cache_folder)
        if client is None:
            from napari_sartorius.engine.client import WorkerClient

            client = WorkerClient()
        if cards is None:
            from napari_sartorius.zoo.catalogue import list_bundles

            cards = [bundle.card for bundle in list_bundles()]
        self._viewer = viewer
        self._was_docked = False
        self._stopped = False
        self.bridge = EngineBridge(client, self)
        self.segment = SegmentTab(viewer, self.bridge, cards, preferences)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.addTab(self.segment, "Segment")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.tabs)
        self.setMinimumWidth(300)
        self._restyle()
        viewer.events.theme.connect(self._restyle)
        # holds the client only: the widget itself is gone when `destroyed` comes
        self.destroyed.connect(lambda *_: client.close())
        self._probe = QTimer(self)
        self._probe.setSingleShot(True)
        self._probe.timeout.connect(self.segment.ask_device)
        self._probe.start(_PROBE_DELAY_MS)

    def sizeHint(self) -> QSize:
        """Return the width that the dock is made for."""
        hint = super().sizeHint()
        hint.setWidth(_WIDTH)
        return hint

    def shut_down(self) -> None:
        """End the worker and stop following the viewer; safe to call twice."""
        if self._stopped:
            return
        self._stopped = True
        self._probe.stop()
        self._viewer.events.theme.disconnect(self._restyle)
        self.segment.stop()
        self.bridge.close()

    def changeEvent(self, event: QEvent | None) -> None:
        """Notice that napari took the widget out of its window: the dock was closed."""
        super().changeEvent(event)
        if event is None or event.type() != QEvent.Type.ParentChange:
            return
        if self.parent() is not None:
            self._was_docked = True
        elif self._was_docked:
            self.shut_down()

    def _restyle(self, event: object = None) -> None:
        self.setStyleSheet(style_sheet(self._viewer.theme))
