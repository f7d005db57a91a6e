"""A hand in a real window: key presses and mouse events on napari's canvas, as Qt sends them."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication


def camera_of(viewer):
    """The camera, which older versions of napari have at the viewer itself."""
    return getattr(viewer, "scene", viewer).camera


class Canvas:
    """The canvas of a window, addressed by pixels of the image."""

    def __init__(self, viewer):
        self._viewer = viewer
        self.native = viewer.window._qt_viewer.canvas._scene_canvas.native

    def at(self, y, x):
        camera = camera_of(self._viewer)
        place = (np.array([y, x]) - camera.center[-2:]) * camera.zoom
        return QPoint(
            round(place[1] + self.native.width() / 2), round(place[0] + self.native.height() / 2)
        )

    def click(self, y, x, modifier=Qt.KeyboardModifier.NoModifier):
        QTest.mouseClick(self.native, Qt.MouseButton.LeftButton, modifier, self.at(y, x))
        QApplication.processEvents()

    def double_click(self, y, x):
        none = Qt.KeyboardModifier.NoModifier
        QTest.mouseDClick(self.native, Qt.MouseButton.LeftButton, none, self.at(y, x))
        QApplication.processEvents()

    def key(self, key, modifier=Qt.KeyboardModifier.NoModifier):
        QTest.keyClick(self.native, key, modifier)
        QApplication.processEvents()

    def drag(self, *points):
        left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        QTest.mousePress(self.native, left, none, self.at(*points[0]))
        for point in points[1:]:
            where = QPointF(self.at(*point))
            QApplication.sendEvent(
                self.native,
                QMouseEvent(
                    QEvent.Type.MouseMove,
                    where,
                    self.native.mapToGlobal(where),
                    Qt.MouseButton.NoButton,
                    left,
                    none,
                ),
            )
            QTest.qWait(15)  # napari drops moves that follow each other within 5 ms
        QTest.mouseRelease(self.native, left, none, self.at(*points[-1]))
        QApplication.processEvents()


def count_made(monkeypatch, *classes):
    """Names of the objects of these classes that are made from now on."""
    made = []
    for one in classes:
        inner = one.__init__

        def counted(self, *arguments, _inner=inner, **named):
            made.append(type(self).__name__)
            _inner(self, *arguments, **named)

        monkeypatch.setattr(one, "__init__", counted)
    return made
