"""Segments the annotated images for the search: networks look once, everything else is repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sartorius.core.progress import Monitor, SubMonitor
from napari_sartorius.training.data import read_annotated
from napari_sartorius.training.tuning.spaces import SecondLevelSpace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.io.coco import CocoDataset
    from napari_sartorius.training.tuning.images import TuningImage
    from napari_sartorius.training.tuning.memory import LookMemory
    from napari_sartorius.training.tuning.segmenters import Raw, Segmenters
    from napari_sartorius.training.tuning.spaces import Space
    from napari_sartorius.training.tuning.trials import TrialImage


def collect_trials(
    dataset: CocoDataset,
    images: Sequence[TuningImage],
    space: Space,
    segmenters: Segmenters,
    memory: LookMemory,
    monitor: Monitor,
) -> list[TrialImage]:
    """Segment each image with all cards that the space needs, as its true category.

    Raises
    ------
    UserError
        When an image cannot be read or segmented.
    Cancelled
        When the monitor asked for it; what networks found so far is kept.
    """
    card = segmenters.bundle.card
    cards = space.raw_cards()
    rescore = isinstance(space, SecondLevelSpace)
    trials = []
    for number, image in enumerate(images):
        monitor.check()
        share = SubMonitor(
            monitor,
            number / len(images),
            (number + 1) / len(images),
            f"image {number + 1} of {len(images)}: ",
        )
        one_type = card.one_category_per_image or len(card.category_names) == 1
        cell_type = image.category if one_type else None
        pixels = read_annotated(dataset, image.record)
        raw: dict[float, Raw] = {}
        with memory.of(pixels):
            for step, (key, changed) in enumerate(cards.items()):
                segmenter = segmenters.raw(changed, cell_type, rescore=rescore)
                part = SubMonitor(share, step / len(cards), (step + 1) / len(cards))
                segmenter.segment(pixels, monitor=part)
                assert segmenter.raw is not None
                raw[key] = segmenter.raw
        selection = segmenters.selection(card, cell_type)
        trials.append(space.image(image.truth, raw, selection))
    return trials
