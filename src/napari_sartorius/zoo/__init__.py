"""Model bundles and their cards: what ships with the package and what the user added."""

from napari_sartorius.zoo.bundle import ModelBundle, save_bundle
from napari_sartorius.zoo.card import CategoryCard, InputSize, ModelCard, Thresholds
from napari_sartorius.zoo.catalogue import find_bundle, list_bundles, user_models_folder

__all__ = [
    "CategoryCard",
    "InputSize",
    "ModelBundle",
    "ModelCard",
    "Thresholds",
    "find_bundle",
    "list_bundles",
    "save_bundle",
    "user_models_folder",
]
