"""``napari-sartorius evaluate``: how well a segmentation agrees with the truth."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sartorius.cli.console import ConsoleMonitor

if TYPE_CHECKING:
    from napari_sartorius.io.coco import CocoDataset


def evaluate(
    truth: Annotated[Path, typer.Argument(metavar="TRUTH.json", help="COCO dataset.")],
    prediction: Annotated[
        Path, typer.Argument(metavar="PREDICTION.json", help="COCO dataset or results list.")
    ],
    split: Annotated[
        str | None, typer.Option(help="Only images of the truth with this split, such as val.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the figures as JSON on stdout.")
    ] = False,
) -> None:
    """Compare two COCO files: competition mAP per image and category, COCO AP and AP50.

    Images are matched by file name.
    """
    from napari_sartorius.evaluation.dataset import evaluate_dataset
    from napari_sartorius.io.coco import read_coco

    with ConsoleMonitor() as monitor:
        annotated = read_coco(truth)
        found = _read_prediction(prediction, annotated)
        result = evaluate_dataset(annotated, found, split=split, monitor=monitor)
    typer.echo(jsonlib.dumps(result.to_dict(), indent=1) if json else result.to_text())


def _read_prediction(path: Path, truth: CocoDataset) -> CocoDataset:
    """Read either kind of file; a results list takes its images and categories from the truth."""
    from napari_sartorius.io.coco import read_coco, read_coco_results

    try:
        with path.open("rb") as file:
            is_list = file.read(64).lstrip().startswith(b"[")
    except OSError:
        is_list = False  # the reader says what is wrong
    return read_coco_results(path, truth) if is_list else read_coco(path)
