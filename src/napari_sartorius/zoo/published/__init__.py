"""What others have published: names, sources, licences and figures, without downloading any."""

from napari_sartorius.zoo.published.entries import Licence, PublishedModel
from napari_sartorius.zoo.published.loading import (
    find_published,
    published_model,
    published_models,
)
from napari_sartorius.zoo.published.usable import why_not

__all__ = [
    "Licence",
    "PublishedModel",
    "find_published",
    "published_model",
    "published_models",
    "why_not",
]
