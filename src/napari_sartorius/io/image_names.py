"""Which images of two datasets are the same: by file name, in stacks by plane, too."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote

from napari_sartorius.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from napari_sartorius.io.coco_dataset import CocoImage, ImageId

_LONGEST_STEM = 200  # bytes, of 255 that a name may have
_LOADED_UP = re.compile("^[0-9a-f]{8}-")


def addressed_name(name: str) -> str:
    """The file name in an address (``/data/local-files/?d=plates/a%20b.png``), without folders."""
    return unquote(PurePosixPath(name.rpartition("?d=")[2]).name)


def without_number(name: str) -> str:
    """A file name without the number that Label Studio puts in front, as in ``1f2e3d4c-a.png``."""
    return _LOADED_UP.sub("", name)


_FORMS: tuple[Callable[[str], str], ...] = (
    lambda name: name,
    lambda name: PurePosixPath(name).name,
    lambda name: PurePosixPath(name).stem,
    addressed_name,
    lambda name: without_number(addressed_name(name)),
    lambda name: PurePosixPath(without_number(addressed_name(name))).stem,
)
"""Parts of file names that are compared, the surest first."""


def plane_of(image: CocoImage) -> tuple[int, ...]:
    """Position of an image's record along the axes of its stack; () where it names none."""
    plane = image.extra.get("plane", ())
    if isinstance(plane, list | tuple) and all(isinstance(n, int) for n in plane):
        return tuple(plane)
    return ()


def title_of(image: CocoImage) -> str:
    """How to call an image, for example ``stack.tif, plane 3``."""
    return titled(image.file_name, plane_of(image))


def titled(file_name: str, plane: tuple[int, ...]) -> str:
    """How to call a plane of a file; the file alone where it is no stack."""
    return f"{file_name}, plane {', '.join(map(str, plane))}" if plane else file_name


def short_stem(stem: str) -> str:
    """So much of a stem that file systems, which count bytes, take it with what is added."""
    name = stem.encode(errors="surrogateescape")
    return stem if len(name) <= _LONGEST_STEM else name[:_LONGEST_STEM].decode(errors="ignore")


def unique_names(images: Iterable[CocoImage], stems: Mapping[str, str] | None = None) -> list[str]:
    """A name for each image, no two alike: its stem, its plane in a stack, a number if need be.

    Files may be called so: very long ones are cut, and capitals alone make no difference.

    Parameters
    ----------
    images
        In the order in which numbers are given.
    stems
        What the names begin with, by file name; the stems of the file names when None.
    """
    names: list[str] = []
    taken: set[str] = set()
    for image in images:
        stem = short_stem(image.stem if stems is None else stems[image.file_name])
        name = free = stem + "".join(f"_{n}" for n in plane_of(image))
        number = 2
        while free.casefold() in taken:  # a file may also be called like the plane of another
            free, number = f"{name}_{number}", number + 1
        taken.add(free.casefold())
        names.append(free)
    return names


def match_images(
    images: Sequence[CocoImage], others: Sequence[CocoImage], *, ours: str, theirs: str
) -> dict[ImageId, CocoImage]:
    """Find the one of `others` that each image is.

    File names are compared whole first; what is left then without folder, without folder and
    suffix, and at last without what programs that images were loaded up to make of them (Label
    Studio). Of a stack the planes must agree, unless one of both sides names none.

    Parameters
    ----------
    images, others
        Two lists of records; ids are unique in each.
    ours, theirs
        How to call the two in messages, such as ``"the truth"``.

    Returns
    -------
    dict
        By the id of an image the other record; images that no other one is are not in it.

    Raises
    ------
    UserError
        If an image could be several others, or several images the same one.
    """
    found: dict[ImageId, CocoImage] = {}
    left, free = list(images), list(others)
    for form in _FORMS:
        table: dict[str, list[CocoImage]] = {}
        for other in free:
            table.setdefault(form(posix_name(other)), []).append(other)
        owners: dict[ImageId, CocoImage] = {}
        for image in left:
            fitting = _of_plane(image, table.get(form(posix_name(image)), ()))
            if len(fitting) > 1:
                names = " and ".join(title_of(other) for other in fitting[:2])
                raise UserError(
                    f"{title_of(image)} could be {names} of {theirs}: give the images names that "
                    "differ."
                )
            if fitting:
                (other,) = fitting
                if (first := owners.setdefault(other.id, image)) is not image:
                    raise UserError(
                        f"{title_of(first)} and {title_of(image)} of {ours} could both be "
                        f"{title_of(other)} of {theirs}: give the images names that differ."
                    )
                found[image.id] = other
        left = [image for image in left if image.id not in found]
        free = [other for other in free if other.id not in owners]
    return found


def _of_plane(image: CocoImage, named: Iterable[CocoImage]) -> list[CocoImage]:
    """Those of the records with an image's name that may be the same plane."""
    plane = plane_of(image)
    planes = [(plane_of(other), other) for other in named]
    same = [other for theirs, other in planes if theirs == plane]
    return same or [other for theirs, other in planes if not (plane and theirs)]


def posix_name(image: CocoImage) -> str:
    """The file name of a record with slashes, as other systems' programs write it, too."""
    return image.file_name.replace("\\", "/")
