"""Categories that the data shows and nothing is learnt of: told before it costs a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.io.coco_dataset import CocoDataset
    from napari_sartorius.training.images import AnnotatedImage


def tell_untaught(
    dataset: CocoDataset, training: Sequence[AnnotatedImage], monitor: Monitor
) -> None:
    """Notice the categories of which there are cells, but none among those that are learnt from.

    Parameters
    ----------
    dataset
        All annotated images, on whatever side.
    training
        All that is learnt from, strips that are kept apart cut off.
    monitor
        Hears one sentence, or none.
    """
    there = {int(kind) for one in dataset.instances.values() for kind in np.unique(one.categories)}
    learnt = {int(kind) for one in training for kind in np.unique(one.categories)}
    names = [dataset.category_names[kind] for kind in sorted(there - learnt)]
    if names:
        monitor.notice(
            f"no cell that is trained on is {' or '.join(names)}, though others are, so nothing is "
            "learnt of that: annotate more of them, or train on an image that shows them"
        )
