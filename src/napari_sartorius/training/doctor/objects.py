"""Faults of masks, measured on all masks of an image at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.core import flat
from napari_sartorius.core.runs import runs_of_bits
from napari_sartorius.core.wording import agree, plural, some_of
from napari_sartorius.postprocess.shapes import fill_holes
from napari_sartorius.training.doctor.finding import Finding
from napari_sartorius.training.doubled_masks import doubled_masks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_sartorius.core.instances import Instances
    from napari_sartorius.io.coco_dataset import CocoImage
    from napari_sartorius.training.doctor.config import DoctorConfig
    from napari_sartorius.training.doctor.finding import Severity

_NARROW = 2  # pixels; gaps of a stripe
_EXAMPLES = 5  # ids named in a sentence


@dataclass(frozen=True)
class MaskFacts:
    """What is known of the G masks of an image.

    Attributes
    ----------
    area
        (G,) int64, set pixels.
    hole_share
        (G,) float64, pixels in holes over pixels enclosed.
    stripe_share
        (G,) float64, pixels in vertical or horizontal gaps of one or two pixels over the area,
        the larger of both directions.
    doubled
        (G,) bool, which masks repeat an earlier one.
    """

    area: NDArray[np.int64]
    hole_share: NDArray[np.float64]
    stripe_share: NDArray[np.float64]
    doubled: NDArray[np.bool_]

    @property
    def diameter(self) -> float:
        """Median diameter in pixels of discs of the same areas; 0 without masks."""
        areas = self.area[self.area > 0]
        return float(np.sqrt(np.median(areas) * 4 / np.pi)) if len(areas) else 0.0


def mask_facts(objects: Instances, config: DoctorConfig) -> MaskFacts:
    """Measure all masks of an image."""
    masks = objects.masks
    area = masks.area()
    enclosed = fill_holes(objects).masks.area()
    upright = flat.transposed(masks.bits, masks.boxes, masks.offsets)
    gaps = np.maximum(
        _narrow_gaps(masks.bits, masks.boxes),
        _narrow_gaps(upright, masks.boxes[:, [1, 0, 3, 2]]),
    )
    return MaskFacts(
        area,
        (enclosed - area) / np.maximum(enclosed, 1),
        gaps / np.maximum(area, 1),
        doubled_masks(masks, config.doubled_iou, area),
    )


def object_findings(
    image: CocoImage, objects: Instances, facts: MaskFacts, config: DoctorConfig
) -> list[Finding]:
    """What is wrong with the masks of an image."""
    found = []
    filled = facts.area > 0
    doubled = facts.doubled & filled
    # Of a mask that is both, stripes are the cause and holes what they look like.
    striped = filled & (facts.stripe_share > config.stripe_share)
    hollow = filled & (facts.hole_share > config.hollow_share) & ~striped
    checks: list[tuple[str, NDArray[np.bool_], NDArray[Any], str]] = [
        ("doubled", doubled, facts.area, "doubled"),
        ("hollow", hollow, facts.hole_share, "hollow"),
        ("striped", striped, facts.stripe_share, "striped"),
        ("empty", ~filled, facts.area, "empty"),
    ]
    for kind, which, value, word in checks:
        if which.any():
            rows = np.flatnonzero(which)
            rows = rows[np.argsort(-value[rows], kind="stable")]
            worst = f", the worst by {value[rows[0]]:.0%}" if kind in {"hollow", "striped"} else ""
            text = f"{plural(len(rows), f'{word} mask')} ({_named(objects, rows)}{worst})"
            found.append(
                about_objects(kind, "warning", text, image, objects, rows, float(len(rows)))
            )
    return found


def _narrow_gaps(bits: NDArray[np.uint8], boxes: NDArray[np.int32]) -> NDArray[np.float64]:
    """Pixels (G,) in gaps of one or two pixels between the runs of a line of each mask."""
    wide = boxes.astype(np.int64)
    runs = runs_of_bits(bits, flat.offsets_of(boxes), wide[:, 2] - wide[:, 0], wide[:, [1, 0]])
    gap = runs.start[1:] - runs.stop[:-1]
    within = (np.diff(runs.instance) == 0) & (np.diff(runs.line) == 0) & (gap <= _NARROW)
    return np.bincount(runs.instance[1:][within], gap[within], minlength=len(boxes)).astype(float)


def about_objects(
    kind: str,
    severity: Severity,
    text: str,
    image: CocoImage,
    objects: Instances,
    rows: NDArray[np.int64],
    badness: float,
) -> Finding:
    """A finding of some objects of an image, by their positions."""
    ids = tuple(ids_of(objects, rows))
    return Finding(
        kind, severity, text, image.file_name, image.id, ids, tuple(rows.tolist()), badness
    )


def ids_of(objects: Instances, rows: Iterable[int]) -> list[int | str]:
    """Annotation ids of objects, their positions where the source has none."""
    column = objects.columns.get("annotation_id")
    return [int(row) if column is None else column[row].item() for row in rows]


def _named(objects: Instances, rows: NDArray[np.int64]) -> str:
    ids = ids_of(objects, rows.tolist())
    return f"{agree(len(rows), 'annotation', 'annotations')} {some_of(ids, _EXAMPLES)}"
