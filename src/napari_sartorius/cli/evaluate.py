"""``napari-sartorius evaluate``: how well a segmentation agrees with the truth."""

from __future__ import annotations

import json as jsonlib
from dataclasses import replace
from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from napari_sartorius.cli.console import ConsoleMonitor
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import SubMonitor
from napari_sartorius.core.wording import agree, plural

if TYPE_CHECKING:
    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.evaluation.cases import Cases
    from napari_sartorius.evaluation.competition import Variant
    from napari_sartorius.io.coco import CocoDataset


def evaluate(
    truth: Annotated[
        Path, typer.Argument(metavar="TRUTH", help="COCO dataset, or as for `data convert`.")
    ],
    prediction: Annotated[
        Path,
        typer.Argument(
            metavar="PREDICTION", help="COCO dataset, results list, or what `segment` wrote to."
        ),
    ],
    split: Annotated[
        str | None, typer.Option(help="Only images of the truth with this split, such as val.")
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Leave out images of the truth without a prediction.")
    ] = False,
    variant: Annotated[
        str,
        typer.Option(
            help="How the competition metric counts: corrected, theoviel, t4e, a2, label_image, "
            "label_image_theoviel, label_image_published."
        ),
    ] = "corrected",
    max_detections: Annotated[
        int, typer.Option(min=1, help="Best objects per image and category that COCO AP looks at.")
    ] = 2000,
    report: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for a page with curves and pictures, and tables."),
    ] = None,
    worst: Annotated[int, typer.Option(min=0, help="Worst images that the report shows.")] = 6,
    json: Annotated[
        bool, typer.Option("--json", help="Print the figures as JSON on stdout.")
    ] = False,
) -> None:
    """Compare two sets of annotations: competition mAP, COCO AP, counts, scores, single objects.

    Images are matched by file name, in stacks by plane, too; in a results list without file names
    by image id.
    """
    from napari_sartorius.evaluation.cases import collect_cases
    from napari_sartorius.evaluation.dataset import evaluate_cases
    from napari_sartorius.evaluation.result_text import as_text
    from napari_sartorius.io.sources import annotations_file, read_dataset

    counted = known_variant(variant)
    if report is not None:
        from napari_sartorius.evaluation.report import require_matplotlib

        require_matplotlib()
    with ConsoleMonitor() as monitor:
        if _is_list(truth):
            raise UserError(_no_truth(truth, prediction))
        annotated = read_dataset(truth)
        if (prediction / "instances.json").is_file():  # the folder of a run
            prediction = prediction / "instances.json"
        is_list = _is_list(prediction)
        if is_list:
            found = _read_list(prediction, annotated, partial, monitor)
        else:
            found = read_dataset(prediction)
        if annotations_file(truth) is None and len(annotated.categories) == 1:
            found = _of_one_kind(found, annotated, monitor)
        cases = collect_cases(annotated, found, split=split, partial=partial)
        if cases.left_out:
            monitor.notice(
                f"{plural(cases.left_out, 'image')} of the truth "
                f"{agree(cases.left_out, 'has', 'have')} no prediction, left out."
            )
        if is_list:
            _tell_silence(cases, prediction, monitor)
        first = monitor if report is None else SubMonitor(monitor, 0.0, 0.5)
        result = evaluate_cases(
            cases, variant=counted, max_detections=max_detections, monitor=first
        )
        if report is not None:
            from napari_sartorius.evaluation.report import write_report

            title = f"{prediction.name} against {truth.name}" + (f" ({split})" if split else "")
            second = SubMonitor(monitor, 0.5, 1.0)
            page, *_ = write_report(report, cases, result, title=title, worst=worst, monitor=second)
    typer.echo(jsonlib.dumps(result.to_dict(), indent=1) if json else as_text(result))
    if report is not None:
        typer.echo(f"Report: {page}", err=json)


def known_variant(name: str) -> Variant:
    """A variant of the competition score by its name; anything else is a UserError."""
    from napari_sartorius.evaluation.competition import Variant

    for variant in get_args(Variant):
        if name == variant:
            found: Variant = variant
            return found
    raise UserError(f"There is no variant {name!r}: choose from {', '.join(get_args(Variant))}.")


def _of_one_kind(found: CocoDataset, truth: CocoDataset, monitor: Monitor) -> CocoDataset:
    """The prediction with all cells of the kind of a truth in pictures, which name no kinds."""
    import numpy as np

    if found.category_names != truth.category_names:
        (kind,) = truth.category_names
        monitor.notice(
            f"The truth does not tell kinds apart: all cells that were found are {kind}."
        )
    instances = {}
    for image in found.images:
        objects = found.instances[image.id]
        instances[image.id] = replace(objects, categories=np.zeros(len(objects), np.int64))
    return replace(found, categories=truth.categories, instances=instances)


def _is_list(path: Path) -> bool:
    """Whether a file is a results list rather than a dataset; looks at its beginning."""
    try:
        with path.open("rb") as file:
            return file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
    except OSError:
        return False  # the reader says what is wrong


def _read_list(path: Path, truth: CocoDataset, partial: bool, monitor: Monitor) -> CocoDataset:
    """Read a results list; what it is about is taken from the truth.

    Such a list is silent about images in which nothing was found. Partial, they are taken for
    images that nobody looked at.
    """
    from napari_sartorius.io.coco import read_coco_results

    found = read_coco_results(path, truth, monitor)
    return found.select(lambda image: len(found.instances[image.id]) > 0) if partial else found


def _tell_silence(cases: Cases, path: Path, monitor: Monitor) -> None:
    silent = sum(not len(case.predicted) for case in cases)
    if silent:
        monitor.notice(
            f"{silent:,} of {plural(len(cases), 'image')} of the truth "
            f"{agree(silent, 'does', 'do')} not occur in {path.name} and "
            f"{agree(silent, 'counts as an image', 'count as images')} in which nothing was found; "
            f"leave {agree(silent, 'it', 'them')} out with --partial."
        )


def _no_truth(truth: Path, prediction: Path) -> str:
    swapped = prediction.is_file() and not _is_list(prediction)
    also = ", or change the order of the two files" if swapped else ""
    return (
        f"{truth} cannot be the truth, it is a COCO results list, which holds found objects but "
        "does not describe their images: give first the COCO dataset with the true cells (a file "
        f"with 'images', 'categories' and 'annotations'){also}."
    )
