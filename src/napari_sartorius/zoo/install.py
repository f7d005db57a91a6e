"""From an entry of the catalogue to a model in the list: licence, download, import, card."""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor, SubMonitor
from napari_sartorius.io.atomic import atomic_folder, remove_leftovers, write_text
from napari_sartorius.zoo.bundle import ModelBundle
from napari_sartorius.zoo.checkpoints import ImportedModel, import_checkpoint
from napari_sartorius.zoo.download.checksums import ChecksumLedger, mismatch
from napari_sartorius.zoo.download.fetch import fetch
from napari_sartorius.zoo.folders import user_models_folder
from napari_sartorius.zoo.licences import accept_licence, require_accepted
from napari_sartorius.zoo.manage import check_free_name, write_card
from napari_sartorius.zoo.published import PublishedModel, find_published, why_not

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_sartorius.zoo.card import ModelCard
    from napari_sartorius.zoo.download.resume import Patience

# Share of the whole that the download takes, as the user sees it.
_DOWNLOADED = 0.9
# The bundle that is made of a file is about as large as the file.
_ROOM_FOR_BUNDLE = 1.0
_SETTINGS_FILE = "settings.yaml"
_OLD = 24 * 3600.0


@dataclass(frozen=True)
class DownloadOptions:
    """How to get a published model.

    Parameters
    ----------
    name
        Name to give it; its own of the catalogue when None.
    from_file
        The publisher's file, when it is on this computer already.
    config
        The publisher's configuration, to be used instead of what the catalogue says of it.
    accept_licence
        Whether the person accepts the licence; remembered.
    keep_file
        Whether to keep the downloaded file; the model does not need it.
    trust_new_file
        Whether to forget the checksum of an earlier download, because the publisher has exchanged
        the file.
    """

    name: str | None = None
    from_file: Path | None = None
    config: Path | None = None
    accept_licence: bool = False
    keep_file: bool = False
    trust_new_file: bool = False


def downloads_folder() -> Path:
    """Where files arrive: with the models, because they are as large."""
    return user_models_folder() / ".downloads"


def install_published(
    name: str,
    options: DownloadOptions | None = None,
    *,
    monitor: Monitor | None = None,
    patience: Patience | None = None,
) -> ImportedModel:
    """Download a model of the catalogue and add it to the models. Imports torch.

    What has arrived of a download that was interrupted or cancelled is kept and used the next
    time; the model itself appears when it is whole.

    Raises
    ------
    UserError
        When there is no such entry, it cannot be used here, its licence is not accepted, the name
        is taken, no address gives the right file, the disk is full, or the file cannot be imported.
    Cancelled
        When the monitor says so.
    """
    options, monitor = options or DownloadOptions(), monitor or Monitor()
    entry = find_published(name)
    reason = why_not(entry)
    if reason is not None:
        raise UserError(reason)
    model_name = options.name or entry.name
    check_free_name(model_name)
    if options.accept_licence:
        accept_licence(entry)
    require_accepted(entry)
    ledger = ChecksumLedger(downloads_folder() / "checksums.json")
    if options.trust_new_file:
        ledger.forget(entry.name)
    with _alone(entry.name):
        checksums = ledger.expected(entry.name, entry.checksum)
        path = options.from_file or _download(entry, checksums, monitor, patience)
        if options.from_file is not None:
            _check_given(entry, path, checksums)
        try:
            imported = _import(
                entry, path, model_name, options.config, SubMonitor(monitor, _DOWNLOADED, 1.0)
            )
        except UserError as error:
            # Nobody vouches for this file, so it may be wrong; a full disk is not its fault.
            if not (options.from_file or checksums or isinstance(error.__cause__, OSError)):
                path.unlink(missing_ok=True)
            raise
        if options.from_file is None:
            ledger.record(entry.name, imported.report.source_sha256)
            if not options.keep_file:
                path.unlink(missing_ok=True)
                with contextlib.suppress(OSError):
                    path.parent.rmdir()
    return imported


def _download(
    entry: PublishedModel,
    checksums: tuple[str, ...],
    monitor: Monitor,
    patience: Patience | None,
) -> Path:
    try:
        return fetch(
            entry.urls,
            downloads_folder() / entry.name / entry.file_name,
            checksums=checksums,
            why_wrong=_why_no_checkpoint,
            expected_bytes=round(entry.megabytes * 1e6) if entry.megabytes else None,
            room_after=_ROOM_FOR_BUNDLE,
            monitor=SubMonitor(monitor, 0.0, _DOWNLOADED),
            patience=patience,
        )
    except UserError as error:
        if entry.checksum is None and checksums and "is not the right one" in str(error):
            raise UserError(
                f"{error}; if the publisher has exchanged the file on purpose, use --trust-new-file"
            ) from error
        raise


def _why_no_checkpoint(path: Path) -> str | None:
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith(b"PK") and not zipfile.is_zipfile(path):
        return "it is not complete"
    return None if start.startswith((b"PK", b"\x80")) else "it is no checkpoint"


def _check_given(entry: PublishedModel, path: Path, checksums: tuple[str, ...]) -> None:
    if not path.is_file():
        raise UserError(f"{path} is not a file; give the file from {entry.urls[0]}")
    wrong = mismatch(path, checksums)
    if wrong is not None:
        raise UserError(
            f"{path} is not the file of {entry.name}: {wrong}; download it again, or import it as "
            "a model of its own with: napari-sartorius models import"
        )


def _import(
    entry: PublishedModel, path: Path, name: str, config: Path | None, monitor: Monitor
) -> ImportedModel:
    """Import in a hidden folder, write what is known on the card, then show the model."""
    place = user_models_folder()
    remove_leftovers(place, older_than=_OLD)
    monitor.progress("importing", 0.0)
    with atomic_folder(place / name) as folder:
        if config is None and entry.settings:
            config = folder / _SETTINGS_FILE
            write_text(config, json.dumps(entry.settings))  # JSON is YAML too
        imported = import_checkpoint(
            path, config=config, name=name, categories=entry.categories, folder=folder,
            monitor=monitor,
        )  # fmt: skip
        (folder / _SETTINGS_FILE).unlink(missing_ok=True)
        for file in imported.bundle.path.iterdir():
            os.replace(file, folder / file.name)
        imported.bundle.path.rmdir()
        card = write_card(folder, _published_card(imported.bundle.card, entry)).card
    return ImportedModel(ModelBundle(card, place / name), imported.report)


def _published_card(card: ModelCard, entry: PublishedModel) -> ModelCard:
    licence = entry.licence
    return card.with_changes(
        title=entry.title,
        description=entry.description,
        licence=f"{licence.name}: {licence.summary}; {licence.url}",
        citation=entry.citation,
        training_data=entry.training_data,
        metrics={
            f"{metric} on {entry.measured_on} (published)": value / 100
            for metric, value in entry.metrics.items()
        },
        parent=entry.page,
    )


@contextlib.contextmanager
def _alone(name: str) -> Iterator[None]:
    """Keep a second program from writing to the same unfinished file."""
    import filelock

    downloads_folder().mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(downloads_folder() / f"{name}.lock", timeout=0):
            yield
    except filelock.Timeout as error:
        raise UserError(
            f"{name} is being downloaded by another program already; wait for it to end"
        ) from error
