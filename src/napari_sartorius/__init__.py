"""Find every cell in a microscopy image, correct it, and learn from the corrections.

Importing this package is cheap on purpose: neither torch nor Qt is loaded before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sartorius.api import load_model, segment, segment_stack
    from napari_sartorius.core.instances import Instances

__version__ = "0.1.0"
__all__ = ["Instances", "__version__", "load_model", "segment", "segment_stack"]

_LAZY = {
    "load_model": "napari_sartorius.api",
    "segment": "napari_sartorius.api",
    "segment_stack": "napari_sartorius.api",
    "Instances": "napari_sartorius.core.instances",
}


def __getattr__(name: str) -> Any:
    """Import the public verbs when they are first asked for."""
    if name in _LAZY:
        import importlib

        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
