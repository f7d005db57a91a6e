"""One call from paths to results, behind ``napari-sartorius segment`` and any run over a folder."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING, Any

from napari_sartorius import __version__
from napari_sartorius.core.categories import Category
from napari_sartorius.core.progress import Monitor
from napari_sartorius.engine.batch.inputs import find_images
from napari_sartorius.engine.batch.journal import Journal
from napari_sartorius.engine.batch.outputs import Format, OutputError, image_names, run_names
from napari_sartorius.engine.batch.run import BatchRun, BatchSummary
from napari_sartorius.engine.jobs import open_segmenter
from napari_sartorius.io.atomic import remove_leftovers
from napari_sartorius.zoo import find_bundle

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from napari_sartorius.engine.batch.inputs import InputImage
    from napari_sartorius.inference.config import SegmentConfig
    from napari_sartorius.zoo import AnyBundle

# Seconds after which a temporary file belongs to a run that was killed, not to one beside this.
_ABANDONED = 600.0


def segment_files(
    inputs: Sequence[Path],
    output: Path,
    config: SegmentConfig,
    formats: Iterable[Format],
    *,
    recursive: bool = False,
    resume: bool = False,
    monitor: Monitor | None = None,
) -> BatchSummary:
    """Segment files and folders and write the results.

    Parameters
    ----------
    inputs
        Image files, and folders that hold them.
    output
        Folder for the results, made when needed.
    config
        How to segment.
    formats
        Which results to write.
    recursive
        Whether folders inside folders are searched.
    resume
        Whether images that an earlier run with the same settings finished are skipped.
    monitor
        Hears of progress and may cancel; what was finished before can be resumed.

    Raises
    ------
    UserError
        When the model, the inputs or the output folder are not usable at all. Trouble with one of
        several images is in the summary instead.
    """
    monitor = monitor or Monitor()
    chosen = frozenset(formats)
    bundle = find_bundle(config.model)
    settings = _settings(config, bundle, chosen)
    journal = Journal(output, settings)
    if resume:
        journal.resume()
    images = find_images(
        inputs, output, recursive=recursive, known_stems=journal.stems(), monitor=monitor
    )
    categories = [
        Category(number, category.name, category.colour)
        for number, category in enumerate(bundle.card.categories, start=1)
    ]
    if not journal.is_there:
        _check_nothing_is_lost(output, images, chosen)
    with _usable_folders(output, *journal.folders), journal.alone():
        todo = [image for image in images if journal.find(image) is None]
        if todo:
            monitor.progress(f"loading {bundle.card.name}", 0.0)
        run = BatchRun(
            output=output,
            formats=chosen,
            segmenter=open_segmenter(bundle, config) if todo else _Nothing(),
            categories=categories,
            channel=config.channel,
            info=_provenance(config, bundle),
            pixel_size=config.pixel_size,
        )
        if not resume:
            journal.start_afresh()
        for place in (output, *journal.folders):
            remove_leftovers(place, _ABANDONED)
        return run.run(images, journal, monitor)


class _Nothing:
    """Stands in for a segmenter when everything is done already."""

    def segment(self, image: Any, **options: Any) -> Any:
        raise AssertionError("nothing was left to segment")


def _check_nothing_is_lost(
    output: Path, images: Sequence[InputImage], formats: frozenset[Format]
) -> None:
    """Refuse to write over files of a folder that no run has written to, such as labels by hand."""
    for name in (
        *run_names(formats),
        *(n for one in images for n in image_names(one.stem, formats)),
    ):
        if (output / name).exists():
            raise OutputError(
                f"{output / name} is there already, and no run has written to this folder: choose "
                "another output folder, or move the file."
            )


@contextlib.contextmanager
def _usable_folders(output: Path, *journal: Path) -> Iterator[None]:
    """Fail early on a folder that cannot be written to; leave none behind that stayed empty.

    The journal's folders are there from the start: what a kill leaves behind is known as ours.
    """
    folder = output
    made: list[Path] = []
    try:
        for path in (*reversed(output.parents), output, *journal):
            if not path.exists():
                path.mkdir()
                made.append(path)
        for folder in (output, *journal):
            probe = folder / f".probe-{secrets.token_hex(4)}"
            probe.touch()
            probe.unlink()
    except OSError as error:
        _remove_empty(made)
        raise OutputError(
            f"{folder} cannot be written to ({error.strerror}): choose another output folder or "
            "change its permissions."
        ) from error
    try:
        yield
    finally:
        _remove_empty(made)


def _remove_empty(folders: list[Path]) -> None:
    for path in reversed(folders):
        with contextlib.suppress(OSError):
            path.rmdir()


def _settings(
    config: SegmentConfig, bundle: AnyBundle, formats: frozenset[Format]
) -> dict[str, Any]:
    """Whatever decides what the outputs look like; the device does not."""
    settings = config.model_dump(mode="json", exclude={"device"})
    return {**settings, "weights": bundle.card.sha256, "formats": sorted(formats)}


def _provenance(config: SegmentConfig, bundle: AnyBundle) -> dict[str, Any]:
    return {
        "software": f"napari-sartorius {__version__}",
        "model": bundle.card.name,
        "model_sha256": bundle.card.sha256,
        "model_licence": bundle.card.licence,
        "config": config.model_dump(mode="json"),
    }
