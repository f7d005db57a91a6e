"""A hand on the canvas: what napari does with the mouse and with keys, without a window."""

from __future__ import annotations

from types import SimpleNamespace


def drag(viewer, *points, modifiers=(), button=1):
    """Press at the first point, move along the others, release, as napari's canvas does."""
    event = SimpleNamespace(
        type="mouse_press", position=points[0], modifiers=modifiers, button=button
    )
    started = [callback(viewer, event) for callback in viewer.mouse_drag_callbacks]
    going = [one for one in started if hasattr(one, "__next__")]
    for kind, at in [("mouse_press", points[0]), *(("mouse_move", p) for p in points[1:])]:
        event.type, event.position = kind, at
        for one in going:
            next(one, None)
    event.type = "mouse_release"
    for one in going:
        next(one, None)


def press(layer, key):
    """What napari's canvas does with a key while the layer is active."""
    for known, action in layer.keymap.items():
        if str(known) == key:
            action(layer)
            return
    raise AssertionError(f"{key} is not bound")
