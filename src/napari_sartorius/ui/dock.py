"""The dock "Sartorius", which napari makes when the user opens it from the menu.

It is filled when it is shown for the first time, when it lies in its window already, so that Qt
styles and draws everything once; its worker process starts after that.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QTimer
from qtpy.QtWidgets import QApplication, QTabWidget, QVBoxLayout, QWidget

from napari_sartorius.ui.close_guard import SEGMENTING, TRAINING, TRAINING_UNSAVED, CloseGuard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import napari
    from qtpy.QtCore import QSize
    from qtpy.QtGui import QShowEvent

    from napari_sartorius.ui.close_guard import Question
    from napari_sartorius.ui.engine_bridge import EngineBridge
    from napari_sartorius.ui.engine_client import EngineClient
    from napari_sartorius.ui.other_tabs import OtherTabs
    from napari_sartorius.ui.segment_tab import SegmentTab
    from napari_sartorius.ui.settings import Preferences
    from napari_sartorius.zoo.card import ModelCard

_WIDTH = 350
_NARROWEST = 300
_PROBE_DELAY_MS = 400


class SartoriusDock(QWidget):
    """One dock with a tab per task; only tabs that work are shown.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer that the dock belongs to.
    client : EngineClient, optional
        Who runs jobs. By default a worker process of this dock's own, started after the dock is
        on screen.
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
        # The plugin menu hands out a stand-in whose layers are new stand-ins at every look, so that
        # none is the same as another; what is drawn in part needs the viewer itself, too.
        self._viewer = getattr(viewer, "__wrapped__", viewer)
        self._given = (client, cards, preferences)
        self._bridge: EngineBridge | None = None
        self._segment: SegmentTab | None = None
        self._others: OtherTabs | None = None
        self.make_job_client: Callable[[], EngineClient] | None = None
        """Makes who runs a download or a training; a worker of its own each time when None."""
        self._was_docked = False
        self._stopped = False
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.tabs)
        self.setMinimumWidth(_NARROWEST)
        self._probe = QTimer(self)
        self._probe.setSingleShot(True)
        self._guard = CloseGuard(self._would_lose_a_run, self)

    @property
    def segment(self) -> SegmentTab:
        """The Segment tab."""
        self._fill()
        if self._segment is None:
            raise RuntimeError("the dock was closed before it was filled")
        return self._segment

    @property
    def others(self) -> OtherTabs:
        """The tabs beside Segment, each built by being asked for."""
        self._fill()
        if self._others is None:
            raise RuntimeError("the dock was closed before it was filled")
        return self._others

    @property
    def bridge(self) -> EngineBridge:
        """The way to the worker."""
        self._fill()
        if self._bridge is None:
            raise RuntimeError("the dock was closed before it was filled")
        return self._bridge

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
        self._guard.stop()
        if self._segment is None or self._bridge is None:
            return
        self._probe.stop()
        self._viewer.events.theme.disconnect(self._restyle)
        self._segment.stop()
        if self._others is not None:
            self._others.stop()
        self._bridge.close()

    def showEvent(self, event: QShowEvent | None) -> None:
        """Fill the tabs before the dock is first drawn."""
        super().showEvent(event)
        self._guard.watch(self)
        self._fill()

    def changeEvent(self, event: QEvent | None) -> None:
        """Notice that napari took the widget out of its window: the dock was closed."""
        super().changeEvent(event)
        if event is None or event.type() != QEvent.Type.ParentChange:
            return
        if self.parent() is not None:
            self._was_docked = True
            self._guard.watch(self)
        elif self._was_docked:
            self.shut_down()

    def _would_lose_a_run(self) -> Question | None:
        if self._segment is not None and self._segment.would_lose_a_run():
            return SEGMENTING
        if self._others is None or not self._others.is_training:
            return None
        return TRAINING if self._others.train.has_checkpoint else TRAINING_UNSAVED

    def _fill(self) -> None:
        """Build the tabs, once."""
        if self._segment is not None or self._stopped:
            return
        from napari_sartorius.ui.engine_bridge import EngineBridge
        from napari_sartorius.ui.late_client import LateClient
        from napari_sartorius.ui.other_tabs import OtherTabs
        from napari_sartorius.ui.segment_tab import SegmentTab
        from napari_sartorius.ui.settings import read_preferences

        client, cards, preferences = self._given
        preferences = preferences or read_preferences()
        if preferences.cache_folder:
            # the worker inherits this, so both sides of the engine look in the same place
            os.environ["SARTORIUS_MODELS"] = os.path.expanduser(preferences.cache_folder)
        if preferences.proxy:
            os.environ["SARTORIUS_PROXY"] = preferences.proxy
        client = client or LateClient()
        if cards is None:
            from napari_sartorius.zoo.summary import list_summaries

            cards = list_summaries()
        self._bridge = EngineBridge(client, self)
        self._segment = SegmentTab(self._viewer, self._bridge, cards, preferences)
        self._restyle()
        self.tabs.addTab(self._segment, "Segment")
        self._others = OtherTabs(
            self._viewer,
            self._segment,
            client,
            lambda: (self.make_job_client or LateClient)(),
            self,
        )
        self._others.add_to(self.tabs)
        self._others.use_asked.connect(lambda _: self.tabs.setCurrentWidget(self._segment))
        self._viewer.events.theme.connect(self._restyle)
        # napari deletes a closed window and all in it; this holds the client only, because the
        # widget itself is gone when `destroyed` comes
        self.destroyed.connect(lambda *_: client.close())
        application = QApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.shut_down)
        self._probe.timeout.connect(self._segment.ask_device)
        self._probe.start(_PROBE_DELAY_MS)

    def _restyle(self, event: object = None) -> None:
        from napari_sartorius.ui.style import style_sheet

        self.setStyleSheet(style_sheet(self._viewer.theme))
