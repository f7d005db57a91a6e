"""The files that a run writes: per image, and one of each kind for all images together."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.inference.result import PassRun
from napari_sartorius.io.coco import write_coco, write_coco_results
from napari_sartorius.io.image_names import unique_names
from napari_sartorius.io.images import plane_axes, plane_shape
from napari_sartorius.io.labels_tiff import write_label_planes
from napari_sartorius.io.overlay import write_overlay
from napari_sartorius.io.submission import write_submission
from napari_sartorius.io.table_csv import write_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

    from napari_sartorius.core.categories import Category
    from napari_sartorius.io.coco import CocoDataset
    from napari_sartorius.io.images import ImageData


class Format(enum.StrEnum):
    """A kind of output."""

    COCO = "coco"
    RESULTS = "results"
    LABELS = "labels"
    CSV = "csv"
    OVERLAY = "overlay"
    SUBMISSION = "submission"


DEFAULT_FORMATS = frozenset({Format.COCO, Format.LABELS, Format.CSV, Format.OVERLAY})


class OutputError(UserError):
    """Results cannot be written, so that going on with other images would be in vain."""


@dataclass(frozen=True, eq=False)
class SegmentedPlane:
    """What was found in one plane of an image.

    Attributes
    ----------
    index
        Position along the image's stack axes, () for a single picture.
    instances
        The objects.
    cell_type
        What the plane was taken for.
    notices
        What the user was told about it.
    passes
        The walks of models over it, in their order.
    """

    index: tuple[int, ...]
    instances: Instances
    cell_type: str
    notices: tuple[str, ...] = ()
    passes: tuple[PassRun, ...] = ()


def parse_formats(text: str) -> frozenset[Format]:
    """Formats from a comma-separated list.

    Raises
    ------
    UserError
        When one is unknown or there is none.
    """
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    known = ", ".join(Format)
    for name in names:
        if name not in Format.__members__.values():
            raise UserError(f"There is no output format {name!r}: choose among {known}.")
    if not names:
        raise UserError(f"No output format was given: choose among {known}.")
    return frozenset(Format(name) for name in names)


_OF_RUN = {
    Format.COCO: "instances.json",
    Format.RESULTS: "results.json",
    Format.SUBMISSION: "submission.csv",
}
_OF_IMAGE = {
    Format.OVERLAY: "_overlay.png",
    Format.LABELS: "_labels.tif",
    Format.CSV: "_objects.csv",
}


def run_names(formats: Iterable[Format]) -> list[str]:
    """Names of the files that hold all images."""
    return [_OF_RUN[one] for one in sorted(formats) if one in _OF_RUN]


def image_names(stem: str, formats: Iterable[Format]) -> list[str]:
    """Names of the files of a single picture."""
    return [stem + _OF_IMAGE[one] for one in sorted(formats) if one in _OF_IMAGE]


class ImageOutputs:
    """Writes what one image's results become, and takes it back when the image fails half-way.

    Use it as a context manager. Each file is written atomically.

    Parameters
    ----------
    folder
        Where to write.
    stem
        What the file names begin with.
    formats
        Which outputs to write; those that hold all images are not written here.
    picture
        The image, for its axes and pixel size.
    categories
        Names and colours.
    is_done
        Says whether the image was recorded as done: from then on nothing is taken back, at
        whatever moment an interrupt comes.
    """

    def __init__(
        self,
        folder: Path,
        stem: str,
        formats: Iterable[Format],
        picture: ImageData,
        categories: Sequence[Category],
        is_done: Callable[[], bool],
    ) -> None:
        self._folder = folder
        self._stem = stem
        self._formats = frozenset(formats)
        self._picture = picture
        self._categories = categories
        self._is_done = is_done
        self._before: dict[str, int | None] = {}

    @property
    def written(self) -> tuple[str, ...]:
        """Names of the files, in the order of writing."""
        return tuple(self._before)

    def __enter__(self) -> ImageOutputs:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None or self._is_done():
            return
        for name, before in self._before.items():
            if _file_number(self._folder / name) != before:
                (self._folder / name).unlink(missing_ok=True)

    def add_plane(self, plane: SegmentedPlane, pixels: NDArray[Any]) -> None:
        """Draw the overlay of a plane while its pixels are at hand."""
        if Format.OVERLAY in self._formats:
            self._write(
                _suffix(self._picture, plane) + _OF_IMAGE[Format.OVERLAY],
                lambda path: write_overlay(
                    path,
                    pixels,
                    plane.instances,
                    categories=self._categories,
                    pixel_size=self._picture.pixel_size,
                ),
            )

    def finish(self, found: Sequence[SegmentedPlane]) -> None:
        """Write what needs all planes: label TIFF and object table."""
        picture = self._picture
        if Format.LABELS in self._formats:
            self._write(
                _OF_IMAGE[Format.LABELS], lambda path: _write_label_stack(path, picture, found)
            )
        if Format.CSV in self._formats:
            table = _table(picture, found, self._categories)
            self._write(_OF_IMAGE[Format.CSV], lambda path: write_table(path, table))

    def _write(self, end: str, write: Callable[[Path], None]) -> None:
        name = self._stem + end
        # Noted first: an interrupt may come right after the file got its name.
        self._before[name] = _file_number(self._folder / name)
        try:
            write(self._folder / name)
        except UserError as error:
            raise OutputError(str(error)) from error


def _file_number(path: Path) -> int | None:
    """Tells a file from the one that replaced it; None where there is none."""
    try:
        return path.stat().st_ino
    except OSError:
        return None


def write_run_outputs(
    folder: Path, formats: Iterable[Format], dataset: CocoDataset, stems: Mapping[str, str]
) -> list[str]:
    """Write the files that hold all images: COCO dataset, COCO results, submission.

    Parameters
    ----------
    folder
        Where to write.
    formats
        Which outputs to write; those of single images are not written here.
    dataset
        All images and their objects.
    stems
        What the names of an image's other outputs begin with, by file name.

    Raises
    ------
    OutputError
        When a file cannot be written.
    """
    chosen = set(formats)
    try:
        if Format.COCO in chosen:
            write_coco(folder / _OF_RUN[Format.COCO], dataset)
        if Format.RESULTS in chosen:
            write_coco_results(folder / _OF_RUN[Format.RESULTS], dataset)
        if Format.SUBMISSION in chosen:
            names = unique_names(dataset.images, stems)
            found = [dataset.instances[image.id] for image in dataset.images]
            rows = dict(zip(names, found, strict=True))
            write_submission(folder / _OF_RUN[Format.SUBMISSION], rows)
    except UserError as error:
        raise OutputError(str(error)) from error
    return run_names(chosen)


def _write_label_stack(path: Path, picture: ImageData, found: Sequence[SegmentedPlane]) -> None:
    """Paint and write plane by plane; labels count from 1 in each plane."""
    axes, shape = plane_axes(picture), plane_shape(picture)
    if set(axes) - set("TZ") or axes == "ZT" or len(axes) > 2:
        axes, shape = "T", (len(found),)  # OME readers expect no other order or letters
    write_label_planes(
        path,
        (plane.instances.masks.to_labels() for plane in found),
        (*shape, *picture.size),
        np.min_scalar_type(max(len(plane.instances) for plane in found)),
        axes=f"{axes}YX",
        pixel_size=picture.pixel_size_yx,
        steps=picture.steps,
    )


def _table(
    picture: ImageData, found: Sequence[SegmentedPlane], categories: Sequence[Category]
) -> dict[str, NDArray[Any]]:
    """Rows of all planes; a stack gets one column per stack axis, named by its letter."""
    names = [category.name for category in categories]
    tables = []
    for plane in found:
        table = plane.instances.table(picture.pixel_size_yx, names)
        place = {
            axis.lower(): np.full(len(plane.instances), position)
            for axis, position in zip(plane_axes(picture), plane.index, strict=True)
        }
        tables.append({**place, **table})
    columns = dict.fromkeys(name for table in tables for name in table)
    return {
        name: np.concatenate([table[name] for table in tables if name in table]) for name in columns
    }


def _suffix(picture: ImageData, plane: SegmentedPlane) -> str:
    return "".join(
        f"_{axis.lower()}{position:0{len(str(length - 1))}d}"
        for axis, position, length in zip(
            plane_axes(picture), plane.index, plane_shape(picture), strict=True
        )
    )
