"""What a run has finished, on disk, so that it can be stopped at any moment and gone on with.

A hidden folder inside the output folder holds ``run.json`` (the settings) and one small COCO file
per finished image, written after all other outputs of the image and replaced atomically. An image
without such a file is done again; the final dataset is put together from them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from napari_sartorius.core.errors import UserError
from napari_sartorius.engine.batch.inputs import JOURNAL
from napari_sartorius.io.atomic import is_leftover, write_text
from napari_sartorius.io.coco import CocoDataset, CocoImage, read_coco, write_coco

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from napari_sartorius.core.categories import Category
    from napari_sartorius.engine.batch.inputs import InputImage

_RECORDS = "images"
_SETTINGS = "run.json"


@dataclass(frozen=True)
class Finished:
    """What the journal keeps about one image besides its objects.

    Attributes
    ----------
    file_name, stem
        Of the input.
    size, modified_ns
        Bytes and time of the input file, by which a changed file is noticed.
    outputs
        Names of the files written for it, relative to the output folder.
    counts
        Objects per category name.
    planes
        Number of planes, 1 for a single picture.
    seconds
        Time it took.
    notices
        What the user was told.
    """

    file_name: str
    stem: str
    size: int
    modified_ns: int
    outputs: tuple[str, ...]
    counts: dict[str, int]
    planes: int
    seconds: float
    notices: tuple[str, ...] = ()


class Journal:
    """The record of one output folder.

    Parameters
    ----------
    output
        The output folder; nothing is written before the first image is finished.
    settings
        Everything that decides what the outputs look like, as plain JSON values.
    """

    def __init__(self, output: Path, settings: Mapping[str, Any]) -> None:
        self._output = output
        self._folder = output / JOURNAL
        self._settings = dict(settings)
        self._finished: dict[str, Finished] = {}

    def resume(self) -> None:
        """Read what an earlier run finished; a folder without one is simply a fresh start.

        Raises
        ------
        UserError
            When the earlier run had other settings.
        """
        try:
            earlier = json.loads((self._folder / _SETTINGS).read_text("utf-8"))["settings"]
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{self._folder / _SETTINGS} cannot be read: leave out --resume to start afresh."
            ) from error
        if fingerprint(earlier) != fingerprint(self._settings):
            raise UserError(
                f"{self._output} holds a run with other settings "
                f"({_difference(earlier, self._settings)}): choose another output folder, use "
                "the same settings, or leave out --resume to start afresh."
            )
        for path in sorted((self._folder / _RECORDS).glob("*.json")):
            # A record that a killed run did not get to rename is no record, however whole it is.
            record = None if is_leftover(path) else _read_record(path)
            if record is not None:
                self._finished[record.file_name] = record

    def start_afresh(self) -> None:
        """Forget an earlier run of this folder; its outputs stay until they are replaced."""
        self._finished.clear()
        shutil.rmtree(self._folder / _RECORDS, ignore_errors=True)
        with contextlib.suppress(OSError):  # else the first record says what is wrong
            (self._folder / _SETTINGS).unlink(missing_ok=True)
            (self._folder / _RECORDS).mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other runs from this output folder; they would forget what this one records.

        Raises
        ------
        UserError
            When another run is writing to it.
        """
        lock = FileLock(self._folder / ".lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise UserError(
                f"{self._output} is being written to by another run: wait for its end, or choose "
                "another output folder."
            ) from None
        except (OSError, NotImplementedError):  # a disk on the network that knows no locks
            yield
            return
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                Path(lock.lock_file).unlink()
            lock.release()

    @property
    def is_there(self) -> bool:
        """Whether a run has written to the output folder."""
        return self._folder.is_dir()

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where the journal writes."""
        return self._folder, self._folder / _RECORDS

    def stems(self) -> dict[str, str]:
        """Stems that the earlier run gave out, by file name."""
        return {record.file_name: record.stem for record in self._finished.values()}

    def find(self, image: InputImage) -> Finished | None:
        """Record of an image that is done, unchanged since, and whose outputs are still there."""
        record = self._finished.get(image.file_name)
        if record is None:
            return None
        if not image.path.exists():  # moved since, or a link to what is gone
            return None
        status = image.path.stat()
        if (record.size, record.modified_ns) != (status.st_size, status.st_mtime_ns):
            return None
        return record if all((self._output / o).is_file() for o in record.outputs) else None

    def forget(self, image: InputImage) -> None:
        """Drop the record of an image that is about to be done again."""
        self._finished.pop(image.file_name, None)
        self._record_path(image.stem).unlink(missing_ok=True)

    def is_recorded(self, image: InputImage) -> bool:
        """Whether a record of the image is on disk."""
        return self._record_path(image.stem).is_file()

    def add(self, record: Finished, objects: CocoDataset) -> None:
        """Note that an image is done. `objects` has one image per plane, named by the input.

        Raises
        ------
        UserError
            When it cannot be written.
        """
        if not self._finished or not (self._folder / _SETTINGS).is_file():
            write_text(
                self._folder / _SETTINGS,
                json.dumps({"settings": self._settings, "hash": fingerprint(self._settings)}),
            )
        info = {**objects.info, "record": vars(record)}
        write_coco(self._record_path(record.stem), replace(objects, info=info))
        self._finished[record.file_name] = record

    def collect(
        self, images: Iterable[InputImage], categories: list[Category], info: dict[str, Any]
    ) -> CocoDataset:
        """One dataset of all finished images among `images`, in their order."""
        result = CocoDataset([], categories, {}, info)
        for image in images:
            record = self._finished.get(image.file_name)
            if record is None:
                continue
            part = read_coco(self._record_path(record.stem))
            for entry in part.images:
                number = len(result.images) + 1
                instances = part.instances[entry.id]
                instances.columns.pop("annotation_id", None)
                result.images.append(
                    CocoImage(number, entry.file_name, entry.width, entry.height, entry.extra)
                )
                result.instances[number] = instances
        return result

    def _record_path(self, stem: str) -> Path:
        return self._folder / _RECORDS / f"{stem}.json"


def fingerprint(settings: Mapping[str, Any]) -> str:
    """SHA-256 of settings, the same for the same settings in any order."""
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _difference(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    before = json.loads(json.dumps(earlier, default=str))
    after = json.loads(json.dumps(now, default=str))
    changed = [
        f"{key}: {before.get(key)} there, {after.get(key)} now"
        for key in {**before, **after}
        if before.get(key) != after.get(key)
    ]
    return "; ".join(changed[:3])


def _read_record(path: Path) -> Finished | None:
    """Record of a finished image; None for a damaged file, so that the image is done again."""
    try:
        values = json.loads(path.read_text("utf-8"))["info"]["record"]
        values["outputs"] = tuple(values["outputs"])
        values["notices"] = tuple(values["notices"])
        return Finished(**values)
    except (OSError, ValueError, KeyError, TypeError):
        return None
