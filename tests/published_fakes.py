"""A catalogue of one entry with a file anywhere, and an importer that needs no real checkpoint."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sartorius.zoo import ModelBundle
from napari_sartorius.zoo.checkpoints import ImportedModel, ImportReport
from napari_sartorius.zoo.published import Licence, PublishedModel

if TYPE_CHECKING:
    import pytest

CLOSED = Licence(
    name="CC BY-NC 4.0",
    spdx="CC-BY-NC-4.0",
    open=False,
    url="https://creativecommons.org/licenses/by-nc/4.0/",
    summary="name the authors, and no commercial use",
)
OPEN = Licence(name="CC0", spdx="CC0-1.0", open=True, url="https://example.org", summary="none")


def zip_bytes(size: int = 300_000) -> bytes:
    """Something that looks like a checkpoint from outside."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", bytes(range(250)) * (size // 250))
    return buffer.getvalue()


def fake_entry(url: str, **changes: Any) -> PublishedModel:
    """An entry for the file at this address."""
    facts: dict[str, Any] = {
        "name": "far-away",
        "title": "Far away",
        "description": "Finds cells that are far away.",
        "publisher": "Somebody",
        "page": "https://example.org/models",
        "urls": (url,),
        "program": "detectron2",
        "licence": OPEN,
        "citation": "Somebody 2021",
        "training_data": "cells",
        "metrics": {"mask AP": 47.5, "box AP": 48.25},
        "measured_on": "cells",
    }
    return PublishedModel.model_validate(facts | changes)


def use_catalogue(monkeypatch: pytest.MonkeyPatch, *entries: PublishedModel) -> None:
    """Let the program see these entries only, and import their files with a stand-in."""
    place = "napari_sartorius.zoo.published.loading.published_models"
    monkeypatch.setattr(place, lambda: entries)
    monkeypatch.setattr("napari_sartorius.zoo.published.published_models", lambda: entries)
    monkeypatch.setattr("napari_sartorius.zoo.install.import_checkpoint", _import_tiny)


def _import_tiny(path: Path, *, name: str, folder: Path, **_: Any) -> ImportedModel:
    from tiny_models import save_tiny_bundle

    bundle = save_tiny_bundle(folder / name, name=name)
    report = ImportReport(
        source=Path(path).name,
        source_sha256=hashlib.sha256(Path(path).read_bytes()).hexdigest(),
        tensors=(),
    )
    return ImportedModel(ModelBundle(bundle.card, bundle.path), report)
