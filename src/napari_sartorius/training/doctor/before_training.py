"""The doctor's short visit before every training: errors stop it, warnings are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sartorius.core.errors import UserError
from napari_sartorius.training.doctor.check import check_dataset
from napari_sartorius.training.doctor.finding import together

if TYPE_CHECKING:
    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.io.coco_dataset import CocoDataset


def examine(
    dataset: CocoDataset,
    monitor: Monitor,
    *,
    model_diameter: float | None = None,
    sides: tuple[str | None, str | None] = ("train", "val"),
) -> None:
    """Refuse data that no training should begin with, and tell what is wrong with the rest.

    Parameters
    ----------
    dataset
        All images of the training, with those that validate it.
    monitor
        Hears a notice per kind of warning.
    model_diameter
        Cell diameter in pixels of the model that is trained further.
    sides
        Names of the training and validation split; None for the first where marks do not count.

    Raises
    ------
    UserError
        Naming the first error, and how many there are.
    """
    # Of these the split itself says more, when it is known who learns and who measures.
    ignored = {"no training image", "no validation image", "few marked", "untaught category"}
    if sides[0] is None:  # the training makes its own split, whatever the marks are
        ignored |= {"one validation image", "group on both sides", "leak"}
    report = check_dataset(
        dataset,
        monitor=monitor,
        quick=True,
        model_diameter=model_diameter,
        sides=(sides[0] or "train", sides[1] or "val"),
    )
    for kind, found in report.kinds().items():
        if kind in ignored:
            continue
        if found[0].severity == "error":
            more = len(report.of("error")) - 1
            rest = f" ({more} more: see `napari-sartorius data check`)" if more else ""
            raise UserError(f"{found[0].sentence.rstrip('.')}{rest}")
        if found[0].severity == "warning":
            monitor.notice(together(kind, found).rstrip("."))
