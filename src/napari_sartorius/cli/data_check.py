"""``napari-sartorius data check``: what is wrong with annotated images, and repairs."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sartorius.cli.config_file import read_config
from napari_sartorius.cli.console import ConsoleMonitor
from napari_sartorius.cli.errors import FAILED
from napari_sartorius.cli.source import refuse_own_source, told_counts
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import agree, plural

if TYPE_CHECKING:
    from napari_sartorius.io.coco import CocoDataset
    from napari_sartorius.training.doctor.config import DoctorConfig
    from napari_sartorius.training.doctor.finding import Finding


def check(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="Annotated images, as for `data convert`.")
    ],
    images: Annotated[
        Path | None,
        typer.Option(help="Where to look for images that are not where the annotations say."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    report: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for a page with pictures of the worst cases."),
    ] = None,
    fix: Annotated[
        Path | None,
        typer.Option(metavar="OUT.json", help="File for the annotations with safe repairs."),
    ] = None,
    fill_holes: Annotated[
        bool, typer.Option("--fill-holes", help="With --fix: close hollow masks, too.")
    ] = False,
    keep_masks: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="With --fix: pictures named as the images are; where they are zero, masks lose "
            "their pixels.",
        ),
    ] = None,
    settings: Annotated[
        Path | None, typer.Option("--config", help="JSON file with other limits.")
    ] = None,
    shown: Annotated[int, typer.Option(help="Cases shown of each kind.")] = 3,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 for warnings, too.")
    ] = False,
) -> None:
    """Find what is wrong with annotated images; exit code 1 when no training should use them."""
    from napari_sartorius.training.doctor.check import check_dataset, read_for_check
    from napari_sartorius.training.doctor.gallery import write_gallery

    if fix is None and (fill_holes or keep_masks is not None):
        raise UserError("--fill-holes and --keep-masks repair: name a file with --fix.")
    if fix is not None:
        refuse_own_source(source, [fix])
    config = _config(settings)
    with ConsoleMonitor() as monitor:
        dataset, faults = read_for_check(source, images)
        found = check_dataset(dataset, config, monitor, faults=faults)
        page = write_gallery(report, dataset, found) if report is not None else None
        lines = []
        if fix is not None:
            lines = _fix(fix, dataset, config, faults, fill_holes, keep_masks)
    if as_json:
        typer.echo(json.dumps(found.as_json() | {"repairs": lines}, indent=1))
    else:
        for line in [*found.lines(shown), *lines]:
            typer.echo(line)
        if page is not None:
            typer.echo(f"Pictures: {page}")
    if found.has_errors or (strict and found.of("warning")):
        raise typer.Exit(FAILED)


def _fix(
    output: Path,
    dataset: CocoDataset,
    config: DoctorConfig,
    faults: list[Finding],
    holes: bool,
    keep_masks: Path | None,
) -> list[str]:
    from napari_sartorius.io.coco import write_coco
    from napari_sartorius.io.rebasing import rebased
    from napari_sartorius.training.doctor.fix import fix_dataset

    fixed, done = fix_dataset(dataset, config, holes=holes, keep_masks=keep_masks)
    cut = sum(one.kind == "outside" for one in faults)
    bare = sum(one.kind == "image without labels" for one in faults)
    dropped = len(faults) - cut - bare
    read = [f"dropped {plural(dropped, 'record')} that cannot be used"] if dropped else []
    read += (
        [f"cut {plural(cut, 'object')} at the border of {agree(cut, 'its', 'their')} image"]
        if cut
        else []
    )
    read += [f"left out {plural(bare, 'image')} without labels"] if bare else []
    write_coco(output, rebased(fixed, output.parent))
    return [f"fixed: {line}" for line in [*read, *done] or ["nothing to repair"]] + [
        f"{told_counts(fixed)} written to {output}"
    ]


def _config(path: Path | None) -> DoctorConfig:
    from napari_sartorius.training.doctor.config import DoctorConfig

    if path is None:
        return DoctorConfig()
    return read_config(path, DoctorConfig, "holds no limits of the check", "correct it.")
