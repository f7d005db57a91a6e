"""Model bundles and their cards: what ships with the package and what the user added."""

from napari_sartorius.zoo.bundle import AnyBundle, ModelBundle, open_bundle, save_bundle
from napari_sartorius.zoo.card import CategoryCard, InputSize, ModelCard, Thresholds
from napari_sartorius.zoo.catalogue import (
    DamagedBundle,
    find_bundle,
    find_single,
    is_shipped,
    list_bundles,
    scan_bundles,
    user_models_folder,
)

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
