"""Which images a run is about, and the name under which each one's outputs are written."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor
from napari_sartorius.core.wording import agree, plural
from napari_sartorius.io.image_names import short_stem
from napari_sartorius.io.images import IMAGE_SUFFIXES
from napari_sartorius.io.label_pairs import stem_of_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

JOURNAL = ".sartorius-run"
"""Hidden folder in the output folder of a run; what it holds is `journal`'s matter."""

OWN_SUFFIXES = ("_labels.tif", "_overlay.png")
"""Ends of the images that a run writes; they are not taken as inputs from the output folder."""


_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:[/\\]", re.IGNORECASE)  # one letter is a drive

_PLANE = re.compile(r"_[a-z][0-9]+$")  # what `outputs` adds to the stem for a plane of a stack


@dataclass(frozen=True)
class InputImage:
    """One image of a run.

    Attributes
    ----------
    path
        The file.
    file_name
        Its path relative to the input that it was found in, with forward slashes; unique.
    stem
        What the names of its outputs begin with; unique whatever the file system thinks of case.
    """

    path: Path
    file_name: str
    stem: str


def find_images(
    inputs: Sequence[Path],
    output: Path,
    *,
    recursive: bool = False,
    known_stems: Mapping[str, str] | None = None,
    monitor: Monitor | None = None,
) -> list[InputImage]:
    """List the images of files and folders in a stable order.

    Parameters
    ----------
    inputs
        Files, taken whatever their suffix, and folders, searched for images by suffix; labels and
        overlays of an image beside them, or in the output folder of another run, are left out,
        which is told.
    output
        The output folder: what an earlier run wrote there is left out.
    recursive
        Whether folders inside folders are searched.
    known_stems
        Stems of an earlier run by file name, which are kept.
    monitor
        Hears of what is left out.

    Raises
    ------
    UserError
        When an input does not exist or nothing is found.
    """
    monitor = monitor or Monitor()
    found: list[tuple[Path, str, Path]] = []
    left: list[Path] = []
    seen: set[Path] = set()
    for source in inputs:
        _check_exists(source)
        root = source if source.is_dir() else source.parent
        paths = [source]
        if source.is_dir():
            paths, others = _in_folder(source, output, recursive, monitor)
            left += others
        for path in paths:
            if path.resolve() not in seen:
                seen.add(path.resolve())
                found.append((path, path.relative_to(root).as_posix(), root))
    if not found:
        raise UserError(_nothing_found(inputs, output, recursive))
    if left:
        are = agree(len(left), "is", "are")
        monitor.notice(
            f"left out {plural(len(left), 'picture')} that {are} labels or overlays of an image, "
            f"such as {left[0].name}"
        )
    return _with_unique_names(found, known_stems or {})


def _check_exists(source: Path) -> None:
    try:
        if source.exists():
            return
    except OSError as error:  # a folder that may not be looked into, a name without end
        raise UserError(
            f"{source} cannot be opened ({error.strerror}): check the path and its permissions."
        ) from error
    if _ADDRESS.match(str(source)):
        raise UserError(f"{source} is an address, expected a file: download the image first.")
    raise UserError(f"{source} does not exist: check the path.")


def _in_folder(
    folder: Path, output: Path, recursive: bool, monitor: Monitor
) -> tuple[list[Path], list[Path]]:
    """Images, and labels and overlays of an image beside them that no run has written."""
    output = output.resolve()
    pictures = sorted(
        path for path in _entries(folder, recursive, monitor) if _is_input(path, folder, output)
    )
    there = {(path.parent, path.stem) for path in pictures}
    others = {
        path
        for path in pictures
        if (path.parent, stem_of_image(path)) in there or _is_of_another_run(path)
    }
    return (
        [path for path in pictures if path not in others],
        [path for path in sorted(others) if not path.resolve().is_relative_to(output)],
    )


def _entries(folder: Path, recursive: bool, monitor: Monitor) -> Iterator[Path]:
    """Files of a folder; of those below it that may not be looked into the monitor hears."""

    def tell(error: OSError) -> None:
        sentence = f"{error.filename} cannot be listed ({error.strerror})"
        if Path(error.filename) == folder:
            raise UserError(f"{sentence}: check its permissions.") from error
        monitor.notice(f"{sentence} and was left out")

    for place, folders, files in os.walk(folder, onerror=tell):
        folders[:] = [name for name in folders if recursive and not name.startswith(".")]
        yield from (Path(place, name) for name in files)


def _is_input(path: Path, folder: Path, output: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    # A link to a file that is gone is an image that cannot be read, not none at all.
    is_file = path.is_file() or (path.is_symlink() and not path.exists())
    if hidden or path.suffix.lower() not in IMAGE_SUFFIXES or not is_file:
        return False
    if not path.resolve().is_relative_to(output):
        return True
    # Inside the output folder: all of it is ours, unless images and outputs share one folder.
    return folder.resolve().is_relative_to(output) and not path.name.endswith(OWN_SUFFIXES)


def _is_of_another_run(path: Path) -> bool:
    return path.name.endswith(OWN_SUFFIXES) and (path.parent / JOURNAL).is_dir()


def _nothing_found(inputs: Iterable[Path], output: Path, recursive: bool) -> str:
    where = ", ".join(str(path) for path in inputs)
    kinds = ", ".join(IMAGE_SUFFIXES)
    deeper = not recursive and any(
        _in_folder(path, output, True, Monitor())[0] for path in inputs if path.is_dir()
    )
    remedy = "add --recursive to search its subfolders" if deeper else "choose another folder"
    return f"{where} holds no image (a file ending in {kinds}): {remedy}."


def _with_unique_names(
    found: list[tuple[Path, str, Path]], known: Mapping[str, str]
) -> list[InputImage]:
    # Two roots may hold the same relative path; then the root's own name tells them apart.
    times = Counter(name for _, name, _ in found)
    names = [
        name if times[name] == 1 else f"{root.resolve().name}/{name}" for _, name, root in found
    ]
    names = _numbered(names)
    images = [
        InputImage(path, name, _stem(path)) for (path, _, _), name in zip(found, names, strict=True)
    ]
    taken = {stem.casefold() for stem in known.values()}
    clashes = Counter(image.stem.casefold() for image in images)
    named = []
    for image in images:
        stem = known.get(image.file_name)
        if stem is None:
            stem = image.stem.casefold()
            # One like a plane of a stack that is there, too, would share the name of its overlay.
            alone = clashes[stem] == 1 and not any(clashes[stack] for stack in _stacks(stem))
            stem = image.stem if alone else image.file_name.replace("/", "_").replace(".", "_")
            stem = _free(short_stem(stem), taken)
            taken.add(stem.casefold())
        named.append(replace(image, stem=stem))
    return named


def _stem(path: Path) -> str:
    """File name without its suffix; of ``a.ome.tif`` without both."""
    stem = path.stem
    return stem[:-4] if stem.lower().endswith(".ome") and len(stem) > 4 else stem


def _stacks(stem: str) -> Iterator[str]:
    """Stems of which this one could be a plane: of ``a_t0_z1`` ``a_t0`` and ``a``."""
    while plane := _PLANE.search(stem):
        stem = stem[: plane.start()]
        yield stem


def _numbered(names: list[str]) -> list[str]:
    taken: set[str] = set()
    unique = []
    for name in names:
        unique.append(_free(name, taken))
        taken.add(unique[-1].casefold())
    return unique


def _free(name: str, taken: set[str]) -> str:
    candidate, number = name, 2
    while candidate.casefold() in taken:
        candidate, number = f"{name}_{number}", number + 1
    return candidate
