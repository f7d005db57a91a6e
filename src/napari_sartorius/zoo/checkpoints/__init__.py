"""Models trained with other programs, made into bundles; nothing in their files is executed."""

from napari_sartorius.zoo.checkpoints.importing import ImportedModel, import_checkpoint
from napari_sartorius.zoo.checkpoints.report import ImportReport, TensorNote

__all__ = ["ImportReport", "ImportedModel", "TensorNote", "import_checkpoint"]
