"""What a training would do, before it begins: who learns, who measures, what speaks against it.

No network is touched and no pixel is normalised, so the answer comes at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor
from napari_sartorius.core.sampling import spread_over
from napari_sartorius.core.wording import capital, plural
from napari_sartorius.training.data import sides_sparing_few
from napari_sartorius.training.doctor.check import check_dataset
from napari_sartorius.training.images import AnnotatedImage
from napari_sartorius.training.keep_apart import keep_apart
from napari_sartorius.training.splitting import FEWEST_IMAGES
from napari_sartorius.training.untaught import tell_untaught

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.io.coco_dataset import CocoDataset, CocoImage
    from napari_sartorius.training.config import TrainConfig
    from napari_sartorius.training.doctor.finding import Finding

_DECODED_PIXELS = 150_000_000
"""Up to so many pixels in all, images are read to see whether they fit their records: seconds."""

_BACKWARD = 3.0
"""A step costs so much more than looking at as many pixels: forward, and backward twice."""

# Where the window knows a better way out than the command line.
_REMEDIES = {
    "missing image": "put the file where the annotations say",
    "same category name": "give each kind of cell a name of its own",
    "giant": "use labels with a number per cell, delete a labelled background, or split the object",
    "one validation image": "one image measures little: mark more images as 'val'",
    "other size": "the annotations belong to another image: choose the right image",
    "other image": "the annotation belongs to another image: remove it",
    "doubled": "one cell drawn twice: delete one of them",
    "hollow": "a fault of the outlines: fill the holes",
    "striped": "a fault of the outlines: draw these cells again",
    "empty": "they have no pixels: delete them",
}
_TOLD_NOTES = {"mixed sizes", "mixed colours", "no cells"}
_OWN_SPLIT = {"one validation image", "group on both sides", "leak"}
_SAID_BY_SPLIT = {"no training image", "no validation image", "few marked", "untaught category"}


@dataclass(frozen=True)
class CategoryCount:
    """Images and cells of one category on both sides."""

    name: str
    train_images: int
    train_cells: int
    validation_images: int
    validation_cells: int


@dataclass(frozen=True)
class TrainingPlan:
    """What a training would do.

    Attributes
    ----------
    rows
        A row per category of which there is a cell.
    train_images, validation_images
        All, also those without cells.
    strips
        Whether too few images are there to spare one, so that a quarter of each measures.
    steps, batch_size
        Longest course; it ends earlier when nothing improves.
    few_images
        With so many images none is cut.
    work
        How many steps the validations are worth, by the pixels that both look at.
    problem
        One sentence on why it cannot begin; None when it can.
    warnings
        What will make the result worse, a sentence each.
    notes
        What is good to know.
    """

    rows: tuple[CategoryCount, ...]
    train_images: int
    validation_images: int
    strips: bool
    steps: int
    batch_size: int
    work: float
    few_images: int = FEWEST_IMAGES
    problem: str | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def seconds(self, per_step: float) -> float:
        """How long it takes at most when a step takes so many seconds."""
        return (self.steps + self.work) * per_step


class _Listening(Monitor):
    """Keeps what is noticed, and hands on the rest."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self.heard: list[str] = []

    def progress(self, stage: str, fraction: float) -> None:
        self._monitor.progress(stage, fraction)

    def notice(self, message: str) -> None:
        self.heard.append(message)

    def check(self) -> None:
        self._monitor.check()


def make_plan(
    dataset: CocoDataset,
    config: TrainConfig,
    *,
    model_diameter: float | None = None,
    few_images: int = FEWEST_IMAGES,
    monitor: Monitor | None = None,
) -> TrainingPlan:
    """Plan a training.

    Parameters
    ----------
    dataset
        All annotated images, in the terms of the network that learns.
    config
        Of the run.
    model_diameter
        Cell diameter in pixels of the model that is trained further.
    few_images
        With fewer images than that a strip of each is kept apart.
    monitor
        Progress and cancel.

    Returns
    -------
    TrainingPlan
        With `TrainingPlan.problem` where nothing should begin.
    """
    listening = _Listening(monitor or Monitor())
    if not dataset.object_count:
        return _refused(config, "There is no annotated cell to learn from: outline some cells.")
    own_split = config.train_split is None or len(dataset) < few_images  # marks do not count
    findings = _findings(dataset, config, model_diameter, own_split, listening)
    try:
        sides = sides_sparing_few(dataset, config, listening, few_images)
    except UserError as error:
        return _refused(config, _sentence(str(error)), findings)
    train = [_without_pixels(dataset, one) for one in sides.training.images]
    if sides.strips:
        train, validation = keep_apart(train)
    else:
        chosen = spread_over(sides.validation.images, config.validate_images)
        validation = [_without_pixels(dataset, one) for one in chosen]
    tell_untaught(dataset, train, listening)
    rows = _rows(dataset.category_names, train, validation)
    return TrainingPlan(
        rows=rows,
        train_images=len(train),
        validation_images=len(validation),
        strips=sides.strips,
        steps=config.steps,
        batch_size=config.batch_size * config.accumulate,
        work=_work(validation, config),
        few_images=few_images,
        problem=_problem(findings, rows, validation, sides.strips),
        warnings=(*_sentences(findings, "warning"), *map(_sentence, listening.heard)),
        notes=_sentences([f for f in findings if f.kind in _TOLD_NOTES], "note"),
    )


def _findings(
    dataset: CocoDataset,
    config: TrainConfig,
    diameter: float | None,
    own_split: bool,
    monitor: Monitor,
) -> list[Finding]:
    pixels = sum(image.width * image.height for image in dataset.images)
    report = check_dataset(
        dataset,
        monitor=monitor,
        quick=pixels > _DECODED_PIXELS,
        model_diameter=diameter,
        sides=(config.train_split or "train", config.validation_split or "val"),
    )
    ignored = _SAID_BY_SPLIT | (_OWN_SPLIT if own_split else set())
    return [finding for finding in report.findings if finding.kind not in ignored]


def _refused(config: TrainConfig, problem: str, findings: Sequence[Finding] = ()) -> TrainingPlan:
    batch = config.batch_size * config.accumulate
    warnings = _sentences(findings, "warning")
    return TrainingPlan(
        (), 0, 0, False, config.steps, batch, 0.0, problem=problem, warnings=warnings
    )


def _problem(
    findings: Sequence[Finding],
    rows: Sequence[CategoryCount],
    validation: Sequence[AnnotatedImage],
    strips: bool,
) -> str | None:
    errors = _sentences(findings, "error")
    if errors:
        return errors[0] if len(errors) == 1 else f"{errors[0]} ({len(errors) - 1} more like it.)"
    if not sum(row.train_cells for row in rows):
        return "No cell is left to train on: annotate more images, or mark fewer as 'val'."
    if not validation:
        return (
            "There are no validation images, as the recipe names no validation_split, so nothing "
            "would measure the result: let it name one, or choose Quick or Thorough."
        )
    if not sum(row.validation_cells for row in rows):
        where = "the quarter of each image that is" if strips else "the images that are"
        return (
            f"There is no cell in {where} kept apart to measure the result: annotate more images."
        )
    return None


def _sentences(findings: Sequence[Finding], severity: str) -> tuple[str, ...]:
    """A sentence per kind of finding, the worst one's, with how many there are."""
    by_kind: dict[str, list[Finding]] = {}
    for one in findings:
        if one.severity == severity:
            by_kind.setdefault(one.kind, []).append(one)
    told = []
    for kind, found in by_kind.items():
        first = found[0]
        text = first.sentence
        if kind in _REMEDIES:
            where = f"{first.image}: " if first.image is not None else ""
            text = f"{where}{first.text}; {_REMEDIES[kind]}."
        images = {one.image for one in found}
        if len(images) > 1:
            text = f"{text.rstrip('.')} (and {plural(len(images) - 1, 'more image')})."
        told.append(_sentence(text))
    return tuple(told)


def _sentence(text: str) -> str:
    """With a full stop; a file name at its head stays as it is."""
    first = text.split(" ", 1)[0]
    start = text if first.endswith(":") else capital(text)
    return start.rstrip(".") + "."


def _without_pixels(dataset: CocoDataset, record: CocoImage) -> AnnotatedImage:
    objects = dataset.instances[record.id]
    pixels = np.broadcast_to(np.float16(0), (*record.size, 1))  # takes no memory
    return AnnotatedImage(record.file_name, pixels, objects.masks, objects.categories)


def _rows(
    names: Sequence[str], train: Sequence[AnnotatedImage], validation: Sequence[AnnotatedImage]
) -> tuple[CategoryCount, ...]:
    counts = []
    for images in (train, validation):
        table = np.zeros((len(images), len(names)), np.int64)
        for number, image in enumerate(images):
            table[number] = np.bincount(image.categories, minlength=len(names))
        counts.append(((table > 0).sum(axis=0).tolist(), table.sum(axis=0).tolist()))
    rows = [
        CategoryCount(name, *one) for name, *one in zip(names, *counts[0], *counts[1], strict=True)
    ]
    return tuple(row for row in rows if row.train_cells or row.validation_cells)


def _work(validation: Sequence[AnnotatedImage], config: TrainConfig) -> float:
    pixels = sum(image.pixels.shape[0] * image.pixels.shape[1] for image in validation)
    crops = config.batch_size * config.accumulate * config.crop**2
    times = config.steps // config.validate_every + int(config.validate_first)
    return float(times * pixels / crops / _BACKWARD)
