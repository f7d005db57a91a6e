"""The loop over images: segment, write, remember; a broken image does not stop the others."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from napari_sartorius.core.categories import Category
from napari_sartorius.core.channels import ChannelChoice
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.progress import Cancelled, Monitor, SubMonitor
from napari_sartorius.engine.batch.journal import Finished
from napari_sartorius.engine.batch.outputs import (
    Format,
    ImageOutputs,
    OutputError,
    SegmentedPlane,
    write_run_outputs,
)
from napari_sartorius.engine.walk import PlaneVisit, PlaneWalk
from napari_sartorius.inference.result import ALL_TYPES
from napari_sartorius.io.coco import CocoDataset, CocoImage, ImageId
from napari_sartorius.io.images import plane_axes, read_image, read_plane
from napari_sartorius.io.placement import steps_to_extra

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sartorius.engine.batch.inputs import InputImage
    from napari_sartorius.engine.batch.journal import Journal
    from napari_sartorius.inference.result import SegmentResult
    from napari_sartorius.io.images import ImageData

_log = logging.getLogger(__name__)


class PlaneSegmenter(Protocol):
    """What the loop needs of a `Segmenter`."""

    def segment(
        self, image: NDArray[Any], *, pixel_size: float | None = None, monitor: Monitor = ...
    ) -> SegmentResult:
        """Find the objects of one plane."""


@dataclass(frozen=True)
class Failed:
    """An image that could not be done, and why in one sentence."""

    file_name: str
    sentence: str


@dataclass
class BatchSummary:
    """How a run went.

    Attributes
    ----------
    done
        Images done in this run, then or earlier; `skipped` names those done earlier.
    failed
        Images that could not be done.
    outputs
        Files written for the whole run, relative to the output folder.
    """

    done: list[Finished] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """Objects per category over all images."""
        total: Counter[str] = Counter()
        for record in self.done:
            total.update(record.counts)
        return dict(total)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "images": [_without_file_times(record) for record in self.done],
            "skipped": self.skipped,
            "failed": [asdict(failure) for failure in self.failed],
            "counts": self.counts,
            "outputs": self.outputs,
        }


@dataclass(frozen=True)
class BatchRun:
    """Everything that a run needs to know.

    Attributes
    ----------
    output
        Folder for the outputs.
    formats
        Which outputs to write.
    segmenter
        Finds the objects of one plane.
    categories
        What it finds, in its order.
    channel
        Which channel of a multi-channel image it is shown.
    info
        Provenance, written into every dataset.
    pixel_size
        Micrometres per pixel that the user says, in place of what the files say.
    """

    output: Path
    formats: frozenset[Format]
    segmenter: PlaneSegmenter
    categories: list[Category]
    channel: ChannelChoice
    info: dict[str, Any]
    pixel_size: float | None = None

    def run(self, images: Sequence[InputImage], journal: Journal, monitor: Monitor) -> BatchSummary:
        """Segment all images that the journal does not know as done.

        Raises
        ------
        OutputError
            When outputs cannot be written; going on would be in vain.
        Cancelled
            When the monitor says so; the images finished before stay in the journal.
        """
        summary = BatchSummary()
        known = [journal.find(image) for image in images]
        todo, begun = known.count(None), 0
        for image, record in zip(images, known, strict=True):
            monitor.check()
            if record is not None:
                summary.done.append(record)
                summary.skipped.append(image.file_name)
                continue
            share = begun / todo, (begun + 1) / todo
            begun += 1
            place = f" ({begun} of {todo})" if todo > 1 else ""
            part = SubMonitor(monitor, *share, prefix=f"{image.file_name}{place}: ")
            try:
                summary.done.append(self._one(image, journal, part))
            except (OutputError, Cancelled):
                raise
            except UserError as error:
                # Who looks at pixels does not know of files.
                where = "" if image.path.name in str(error) else f"{image.path}: "
                summary.failed.append(Failed(image.file_name, where + str(error)))
            except MemoryError:
                sentence = f"{image.path} needs more memory than there is: choose a smaller tile."
                summary.failed.append(Failed(image.file_name, sentence))
            except Exception as error:
                _log.exception("%s failed", image.path)
                sentence = (
                    f"{image.path} failed because of an unexpected {type(error).__name__} "
                    f"({error}): run it alone with --debug and report what it prints."
                )
                summary.failed.append(Failed(image.file_name, sentence))
        monitor.progress("writing", 1.0)
        if summary.done:
            dataset = journal.collect(images, self.categories, self.info)
            stems = {image.file_name: image.stem for image in images}
            summary.outputs = write_run_outputs(self.output, self.formats, dataset, stems)
        return summary

    def _one(self, image: InputImage, journal: Journal, monitor: Monitor) -> Finished:
        began = time.perf_counter()
        try:
            status = image.path.stat()
        except FileNotFoundError as error:
            raise UserError(
                f"{image.path} does not exist: it was moved, or is a link to a file that is gone."
            ) from error
        picture = read_image(image.path)
        if self.pixel_size is not None:
            picture = replace(picture, pixel_size_yx=(self.pixel_size, self.pixel_size))
        journal.forget(image)
        with ImageOutputs(
            self.output,
            image.stem,
            self.formats,
            picture,
            self.categories,
            is_done=lambda: journal.is_recorded(image),
        ) as outputs:
            found, notices = self._segment(picture, outputs, monitor)
            outputs.finish(found)
            counts = Counter({category.name: 0 for category in self.categories})
            for plane in found:
                counts.update(self.categories[c].name for c in plane.instances.categories.tolist())
            record = Finished(
                image.file_name,
                image.stem,
                status.st_size,
                status.st_mtime_ns,
                outputs.written,
                dict(counts),
                len(found),
                round(time.perf_counter() - began, 3),
                tuple(dict.fromkeys([*notices, *(n for plane in found for n in plane.notices)])),
            )
            journal.add(record, self._dataset(image, picture, found))
        return record

    def _segment(
        self, picture: ImageData, outputs: ImageOutputs, monitor: Monitor
    ) -> tuple[list[SegmentedPlane], list[str]]:
        """What was found in each plane, and what was told about the image as a whole."""
        found = []
        walk = PlaneWalk(picture, self.channel, monitor)
        for visit in walk:
            if visit.is_blank:
                plane = SegmentedPlane(visit.index, Instances.empty(picture.size), ALL_TYPES)
            else:
                plane = self._look(visit, picture)
            outputs.add_plane(plane, self._picture_of(picture, visit.index, visit.pixels))
            found.append(plane)
        return found, walk.notices

    def _look(self, visit: PlaneVisit, picture: ImageData) -> SegmentedPlane:
        result = self.segmenter.segment(
            visit.pixels, pixel_size=picture.pixel_size, monitor=visit.monitor
        )
        return SegmentedPlane(
            visit.index, result.instances, result.cell_type, tuple(result.notices), result.passes
        )

    def _picture_of(
        self, picture: ImageData, index: tuple[int, ...], pixels: NDArray[Any]
    ) -> NDArray[Any]:
        """What people know the plane as: in its colours, although the network saw a stain."""
        if self.channel in ("luminance", "hematoxylin") and "S" in picture.axes:
            return read_plane(picture, index)
        return pixels

    def _dataset(
        self, image: InputImage, picture: ImageData, found: Sequence[SegmentedPlane]
    ) -> CocoDataset:
        height, width = picture.size
        axes = plane_axes(picture)
        images: list[CocoImage] = []
        instances: dict[ImageId, Instances] = {}
        for number, plane in enumerate(found, start=1):
            extra: dict[str, Any] = {
                "cell_type": plane.cell_type,
                "source": _path_from(self.output, image.path),
                "passes": [one.to_dict() for one in plane.passes],
            }
            if picture.pixel_size_yx is not None:
                extra["pixel_size_um"] = list(picture.pixel_size_yx)
            extra |= steps_to_extra(picture.steps)
            if axes:
                extra |= {"plane": list(plane.index), "plane_axes": axes}
            images.append(CocoImage(number, image.file_name, width, height, extra))
            instances[number] = plane.instances
        return CocoDataset(images, self.categories, instances, self.info)


def _path_from(folder: Path, path: Path) -> str:
    """Where a file is, seen from a folder, so that results open with their images."""
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:  # another drive of Windows
        return path.resolve().as_posix()


def _without_file_times(record: Finished) -> dict[str, Any]:
    values = asdict(record)
    del values["size"], values["modified_ns"]
    return values
