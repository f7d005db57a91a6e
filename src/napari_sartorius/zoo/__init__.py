"""Model bundles and their cards: what ships with the package and what the user added."""

from napari_sartorius.zoo.bundle import ModelBundle, save_bundle
from napari_sartorius.zoo.card import CategoryCard, InputSize, ModelCard, Thresholds
from napari_sartorius.zoo.catalogue import (
    DamagedBundle,
    find_bundle,
    is_shipped,
    list_bundles,
    scan_bundles,
    user_models_folder,
)

__all__ = [
    "CategoryCard",
    "DamagedBundle",
    "InputSize",
    "ModelBundle",
    "ModelCard",
    "Thresholds",
    "find_bundle",
    "is_shipped",
    "list_bundles",
    "save_bundle",
    "scan_bundles",
    "user_models_folder",
]
