"""Model bundles and their cards: what ships with the package and what the user added.

What is named here is imported when it is first asked for: the dock shows a list of models
(`napari_sartorius.zoo.summary`) without all that a card can say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sartorius.zoo.bundle import AnyBundle, ModelBundle, open_bundle, save_bundle
    from napari_sartorius.zoo.card import CategoryCard, InputSize, ModelCard, Thresholds
    from napari_sartorius.zoo.catalogue import (
        DamagedBundle,
        find_bundle,
        find_single,
        is_shipped,
        list_bundles,
        scan_bundles,
    )
    from napari_sartorius.zoo.folders import user_models_folder

__all__ = [
    "AnyBundle",
    "CategoryCard",
    "DamagedBundle",
    "InputSize",
    "ModelBundle",
    "ModelCard",
    "Thresholds",
    "find_bundle",
    "find_single",
    "is_shipped",
    "list_bundles",
    "open_bundle",
    "save_bundle",
    "scan_bundles",
    "user_models_folder",
]

_FROM = {
    "bundle": ("AnyBundle", "ModelBundle", "open_bundle", "save_bundle"),
    "card": ("CategoryCard", "InputSize", "ModelCard", "Thresholds"),
    "catalogue": (
        "DamagedBundle",
        "find_bundle",
        "find_single",
        "is_shipped",
        "list_bundles",
        "scan_bundles",
    ),
    "folders": ("user_models_folder",),
}
_HOME = {name: module for module, names in _FROM.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import what is first asked for."""
    if name in _HOME:
        import importlib

        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
