"""The doctor's visit: everything looked at, findings in the order in which they matter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor
from napari_sartorius.core.sampling import spread_over
from napari_sartorius.io.coco import dataset_of, read_json
from napari_sartorius.io.coco_ids import with_plain_ids
from napari_sartorius.io.coco_mending import mend, without_damaged
from napari_sartorius.io.project.records import NAMESPACE
from napari_sartorius.io.sources import (
    annotations_file,
    find_images,
    read_dataset,
    with_names_read,
)
from napari_sartorius.training.doctor.config import DoctorConfig
from napari_sartorius.training.doctor.finding import DataReport, Finding
from napari_sartorius.training.doctor.giants import giant_findings
from napari_sartorius.training.doctor.objects import mask_facts, object_findings
from napari_sartorius.training.doctor.pictures import picture_findings, quick_findings
from napari_sartorius.training.doctor.whole import (
    category_findings,
    scale_findings,
    split_findings,
)

if TYPE_CHECKING:
    from napari_sartorius.io.coco_dataset import CocoDataset, ImageId
    from napari_sartorius.io.faults import Fault
    from napari_sartorius.training.doctor.objects import MaskFacts


def read_for_check(
    source: str | Path, images: str | Path | None = None
) -> tuple[CocoDataset, list[Finding]]:
    """Read a source that may be faulty, with what had to be left out for that.

    Parameters
    ----------
    source, images
        As for `read_dataset`.

    Raises
    ------
    UserError
        When nothing of it can be read.
    """
    source = Path(source)
    file = annotations_file(source)
    if file is None or file.suffix.lower() != ".json":
        faults: list[Fault] = []
        dataset = read_dataset(source, images, faults)
        faults += dataset.left_out
        return replace(dataset, left_out=()), [_of_fault(fault) for fault in faults]
    content = read_json(file)
    info = content.get("info") if isinstance(content, dict) else None
    if source.is_dir() and isinstance(info, dict) and NAMESPACE in info:
        return read_dataset(source, images), []  # a project, whose journal belongs to it
    content, faults = mend(with_plain_ids(content))
    try:
        dataset = dataset_of(content, file)
    except UserError:
        content, more = without_damaged(content)
        if not more:
            raise
        faults += more
        dataset = dataset_of(content, file)
    dataset = with_names_read(dataset)
    if images is not None:
        dataset = find_images(dataset, images)
    return dataset, [_of_fault(fault) for fault in faults]


def check_dataset(
    dataset: CocoDataset,
    config: DoctorConfig | None = None,
    monitor: Monitor | None = None,
    *,
    quick: bool = False,
    model_diameter: float | None = None,
    faults: list[Finding] | None = None,
    sides: tuple[str, str] = ("train", "val"),
) -> DataReport:
    """Look at annotated images.

    Parameters
    ----------
    dataset
        Annotated images.
    config
        Limits.
    monitor
        Hears of progress, may cancel.
    quick
        Before a training: images are not decoded, which the training does anyway, and the masks
        of at most `DoctorConfig.quick_images` images are measured.
    model_diameter
        Cell diameter in pixels of the model that is trained further.
    faults
        Findings of `read_for_check`; those of `CocoDataset.left_out` are added.
    sides
        Names of the training and validation split.
    """
    config, monitor = config or DoctorConfig(), monitor or Monitor()
    found = [*(faults or []), *(_of_fault(fault) for fault in dataset.left_out)]
    found += category_findings(dataset)
    found += split_findings(dataset, config, *sides)
    found += (quick_findings if quick else picture_findings)(dataset, monitor)
    facts: dict[ImageId, MaskFacts] = {}
    chosen = spread_over(dataset.images, config.quick_images) if quick else dataset.images
    for number, image in enumerate(chosen):
        monitor.check()
        monitor.progress("measuring masks", number / len(chosen))
        objects = dataset.instances[image.id]
        if len(objects):
            facts[image.id] = mask_facts(objects, config)
            found += object_findings(image, objects, facts[image.id], config)
    found += giant_findings(dataset, facts, config, model_diameter)
    found += scale_findings(dataset, facts, config, model_diameter)
    return DataReport(found, len(dataset), dataset.object_count)


def _of_fault(fault: Fault) -> Finding:
    # What is left out must be known before anybody trains without it; what is cut is harmless, and
    # an image that nobody has labelled may wait for that.
    harmless = not fault.dropped or fault.kind == "image without labels"
    numbered = fault.annotation is not None
    text = f"{fault.what} {fault.annotation} {fault.text}" if numbered else fault.text
    return Finding(
        fault.kind,
        "warning" if harmless else "error",
        text,
        fault.image or None,
        fault.image_id,
        () if fault.annotation is None else (fault.annotation,),
        record=fault.record,
    )
