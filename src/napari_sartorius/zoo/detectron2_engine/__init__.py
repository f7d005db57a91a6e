"""Models that an installed detectron2 builds and runs, as bundles like any other."""

from napari_sartorius.zoo.detectron2_engine.available import why_unavailable, why_unusable
from napari_sartorius.zoo.detectron2_engine.importing import import_with_detectron2

__all__ = ["import_with_detectron2", "why_unavailable", "why_unusable"]
