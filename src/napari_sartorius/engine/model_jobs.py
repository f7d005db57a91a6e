"""The jobs of the Models tab: download, import and export, which take long and may need torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sartorius.zoo import find_bundle
from napari_sartorius.zoo.archive import export_bundle, import_bundle_zip, is_bundle_zip
from napari_sartorius.zoo.checkpoints import import_checkpoint
from napari_sartorius.zoo.install import DownloadOptions, install_published

if TYPE_CHECKING:
    from napari_sartorius.engine.context import WorkerContext
    from napari_sartorius.zoo.checkpoints import ImportedModel


@dataclass(frozen=True)
class AddedModel:
    """A model that is in the list now.

    Attributes
    ----------
    name
        Its name.
    assumptions
        What had to be guessed of it, in sentences.
    """

    name: str
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True)
class DownloadModelJob:
    """Download a model of the catalogue and add it; returns an `AddedModel`."""

    name: str
    options: DownloadOptions = field(default_factory=DownloadOptions)

    def run(self, context: WorkerContext) -> AddedModel:
        """Download, check and import; what has arrived is kept when it is cancelled."""
        return _added(install_published(self.name, self.options, monitor=context.monitor))


@dataclass(frozen=True)
class ImportModelJob:
    """Add a zip that somebody exported, or a checkpoint; returns an `AddedModel`.

    Attributes
    ----------
    path
        The file.
    name
        Name to give it; its own when None.
    config, categories, cell_diameter
        As for `zoo.checkpoints.import_checkpoint`; a zip brings its own.
    """

    path: Path
    name: str | None = None
    config: Path | None = None
    categories: tuple[str, ...] | None = None
    cell_diameter: float | None = None

    def run(self, context: WorkerContext) -> AddedModel:
        """Import, wholly or not at all."""
        if is_bundle_zip(self.path):
            bundle = import_bundle_zip(self.path, name=self.name, monitor=context.monitor)
            return AddedModel(bundle.card.name)
        return _added(
            import_checkpoint(
                self.path,
                config=self.config,
                name=self.name,
                categories=self.categories,
                cell_diameter=self.cell_diameter,
                monitor=context.monitor,
            )
        )


@dataclass(frozen=True)
class CombineModelsJob:
    """Make an ensemble of installed models; returns an `AddedModel`.

    Attributes
    ----------
    members, name
        Names of the models, and of the ensemble.
    strategy
        How what they find becomes one.
    views
        How each looks in the preset Best; as the first model's card says when empty.
    """

    members: tuple[str, ...]
    name: str
    strategy: str = "mean_of_looks"
    views: tuple[str, ...] = ()

    def run(self, context: WorkerContext) -> AddedModel:
        """Measure the members and copy them, wholly or not at all."""
        from napari_sartorius.zoo.combine import combine
        from napari_sartorius.zoo.ensemble_options import EnsembleOptions, fusion_of

        options = EnsembleOptions(fusion=fusion_of(self.strategy), views=self.views)
        combine(self.members, self.name, options, monitor=context.monitor)
        return AddedModel(self.name)


@dataclass(frozen=True)
class ExportModelJob:
    """Write a model as one zip; returns its path."""

    name: str
    target: Path

    def run(self, context: WorkerContext) -> Path:
        """Check the weights and write; whoever chose the file was asked about replacing it."""
        return export_bundle(
            find_bundle(self.name), self.target, overwrite=True, monitor=context.monitor
        )


def _added(imported: ImportedModel) -> AddedModel:
    return AddedModel(imported.bundle.card.name, imported.report.assumptions)
