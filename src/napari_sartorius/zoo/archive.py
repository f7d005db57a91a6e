"""Models as one zip file to share; a zip from others is trusted with nothing."""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor
from napari_sartorius.core.wording import agree
from napari_sartorius.io.atomic import atomic_folder, atomic_write, remove_leftovers
from napari_sartorius.zoo.bundle import (
    LARGEST,
    RESCORER_FILE,
    WEIGHTS_FILE,
    AnyBundle,
    open_bundle,
)
from napari_sartorius.zoo.checkpoints.importing import REPORT_FILE
from napari_sartorius.zoo.download.space import require_space
from napari_sartorius.zoo.folders import CARD_FILE, user_models_folder
from napari_sartorius.zoo.manage import check_free_name, renamed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEMBERS = {**LARGEST, REPORT_FILE: 64 << 20}
"""What a bundle may hold, with the most bytes of each."""

_CHUNK = 1 << 20
# Weights of a member of an ensemble, by its name.
_OF_MEMBER = re.compile(rf"members/[A-Za-z0-9][A-Za-z0-9._-]*/{re.escape(WEIGHTS_FILE)}")
# Weights hardly shrink: what unpacks to much more than its own size is not a model.
_SUSPICIOUS_SIZE, _SUSPICIOUS_RATIO = 100 << 20, 20


def export_bundle(
    bundle: AnyBundle, target: Path, *, overwrite: bool = False, monitor: Monitor | None = None
) -> Path:
    """Write a model as one zip, after checking its weights; returns `target`.

    Raises
    ------
    UserError
        When the weights are damaged, `target` exists or has another suffix, or cannot be written.
    """
    monitor = monitor or Monitor()
    if target.suffix.lower() != ".zip":
        raise UserError(f"{target} must end in .zip to be a model that others can import")
    if target.exists() and not overwrite:
        raise UserError(f"{target} exists already; choose another name or delete it first")
    monitor.progress("checking the weights", 0.0)
    require_space(target, bundle.verify())
    monitor.check()
    monitor.progress(f"writing {target.name}", 0.3)
    members = {CARD_FILE: (bundle.card.model_dump_json(indent=1) + "\n").encode()}
    if (bundle.path / REPORT_FILE).is_file():
        members[REPORT_FILE] = (bundle.path / REPORT_FILE).read_bytes()
    rescorer = bundle.read_rescorer()
    if rescorer is not None:
        members[RESCORER_FILE] = rescorer
    with atomic_write(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data, zipfile.ZIP_DEFLATED)
        files = bundle.weights_files()
        for number, (place, owner) in enumerate(files.items()):
            # Stored as they are: packing weights takes long and saves next to nothing.
            with archive.open(zipfile.ZipInfo(place), "w", force_zip64=True) as file:
                for done, part in _parts(owner.read_weights()):
                    monitor.check()
                    file.write(part)
                    whole = (number + done) / len(files)
                    monitor.progress(f"writing {target.name}", 0.3 + 0.7 * whole)
    return target


def is_bundle_zip(path: Path) -> bool:
    """Whether a file is a zip with a card in it; checkpoints of torch are zips without one."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.rsplit("/", 1)[-1] == CARD_FILE for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def import_bundle_zip(
    path: Path, *, name: str | None = None, monitor: Monitor | None = None
) -> AnyBundle:
    """Add a zip that `export_bundle` wrote, wholly or not at all. Imports torch.

    Parameters
    ----------
    path
        The zip.
    name
        Name to give it; its own when None.
    monitor
        Hears of progress and may cancel.

    Raises
    ------
    UserError
        When the zip holds anything but a model, is damaged or too large, its weights do not fit
        its card, the name is taken, or the disk is full.
    """
    monitor = monitor or Monitor()
    remove_leftovers(user_models_folder(), older_than=24 * 3600.0)
    try:
        with zipfile.ZipFile(path) as archive:
            members = _checked_members(path, archive)
            given = open_bundle(path)
            _check_complete(path, given, members)
            name = given.card.name if name is None else name
            check_free_name(name)
            place = user_models_folder() / name
            require_space(place, sum(member.file_size for member in members))
            with atomic_folder(place) as folder:
                for number, member in enumerate(members):
                    monitor.progress(f"unpacking {member.filename}", 0.8 * number / len(members))
                    _unpack(archive, member, folder, monitor)
                bundle = renamed(given, name, folder)
                monitor.progress("trying the model", 0.8)
                bundle.try_out()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise UserError(
            f"{path} is damaged or was not copied completely; copy or download it again"
        ) from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): check the path") from error
    monitor.progress("done", 1.0)
    return replace(bundle, path=place)


def _checked_members(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Members in the order of the zip, after refusing all that a bundle never holds."""
    members = archive.infolist()
    seen: set[str] = set()
    for member in members:
        name = "".join(c if c.isprintable() else "?" for c in member.filename[:80])
        if stat.S_ISLNK(member.external_attr >> 16):
            raise UserError(f"{path} is not imported: it holds a link ({name})")
        if ".." in name.replace("\\", "/").split("/") or name[:1] in "/\\" or name[1:2] == ":":
            raise UserError(f"{path} is not imported: it wants to write outside ({name})")
        if _most_bytes(member.filename) is None:
            raise UserError(
                f"{path} is not imported: it holds {name}, which is no part of a model; expected "
                f"{', '.join(MEMBERS)} at the top of a zip written by 'models export'"
            )
        if member.filename in seen:
            raise UserError(f"{path} is not imported: it holds {name} twice")
        if member.flag_bits & 1:
            raise UserError(f"{path} is encrypted; ask for it without a password")
        ratio = member.file_size / max(member.compress_size, 1)
        bomb = member.file_size > _SUSPICIOUS_SIZE and ratio > _SUSPICIOUS_RATIO
        if member.file_size > (_most_bytes(member.filename) or 0) or bomb:
            raise UserError(
                f"{path} is not imported: {name} would unpack to {member.file_size / 1e6:.0f} MB, "
                "more than any model's"
            )
        seen.add(member.filename)
    if CARD_FILE not in seen:
        raise UserError(f"{path} is not a whole model: {CARD_FILE} is missing")
    return members


def _most_bytes(name: str) -> int | None:
    """Most bytes of a file of a bundle; None when there is no such file."""
    return MEMBERS[WEIGHTS_FILE] if _OF_MEMBER.fullmatch(name) else MEMBERS.get(name)


def _check_complete(path: Path, bundle: AnyBundle, members: list[zipfile.ZipInfo]) -> None:
    """Compare what the card speaks of with what is in the zip."""
    there = {member.filename for member in members}
    weights = set(bundle.weights_files())
    if missing := weights - there:
        are = agree(len(missing), "is", "are")
        raise UserError(
            f"{path} is not a whole model: {' and '.join(sorted(missing))} {are} missing"
        )
    extra = {name for name in there if name.endswith(WEIGHTS_FILE)} - weights
    if extra:
        raise UserError(
            f"{path} is not imported: it holds {min(extra)}, of which its card says nothing"
        )


def _unpack(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path, monitor: Monitor
) -> None:
    written = 0
    place = folder / member.filename
    place.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, place.open("wb") as target:
        while part := source.read(_CHUNK):
            monitor.check()
            written += len(part)
            if written > (_most_bytes(member.filename) or 0):
                raise UserError(f"{archive.filename} is not imported: it unpacks without end")
            target.write(part)


def _parts(data: bytes) -> Iterator[tuple[float, memoryview]]:
    view = memoryview(data)
    for start in range(0, len(data), _CHUNK):
        part = view[start : start + _CHUNK]
        yield (start + len(part)) / len(data), part
