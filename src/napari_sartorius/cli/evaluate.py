"""``napari-sartorius evaluate``: how well a segmentation agrees with the truth."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import Annotated

import typer


def evaluate(
    truth: Annotated[Path, typer.Argument(metavar="TRUTH.json", help="COCO dataset.")],
    prediction: Annotated[
        Path, typer.Argument(metavar="PREDICTION.json", help="COCO dataset or results list.")
    ],
    json: Annotated[
        bool, typer.Option("--json", help="Print the figures as JSON on stdout.")
    ] = False,
) -> None:
    """Compare two COCO files: competition mAP per image and category, COCO AP and AP50.

    Images are matched by file name.
    """
    from napari_sartorius.evaluation.dataset import evaluate_dataset
    from napari_sartorius.io.coco import read_coco

    result = evaluate_dataset(read_coco(truth), read_coco(prediction))
    typer.echo(jsonlib.dumps(result.to_dict(), indent=1) if json else result.to_text())
