"""How much more evidence a kind needs that a model has just learnt beside its old ones.

A training that is shown no cell of an old kind cannot learn what tells those from the new ones, and
many of them get the new name afterwards. But where an image shows one kind, its objects decide
together, and the images that were corrected say how clear that decision is where the new kind is
right. Half of that evidence, on the scale of logarithms, is asked for ever after.
"""

from __future__ import annotations

from math import exp, log
from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.nn.build import build_network
from napari_sartorius.training.step import arithmetic_of
from napari_sartorius.training.validate import predict
from napari_sartorius.training.zoom import zoomed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.training.config import TrainConfig
    from napari_sartorius.training.images import AnnotatedImage
    from napari_sartorius.zoo import ModelCard

# More is not believed: a few old cells in an image of the new kind must not decide.
_MOST = 100.0


def new_kind_votes(
    weights: Mapping[str, Tensor],
    start: ModelCard,
    names: Sequence[str],
    config: TrainConfig,
    images: Sequence[AnnotatedImage],
    zoom: float,
    monitor: Monitor,
) -> dict[int, float]:
    """Weights of the votes of kinds that yield to the others.

    Parameters
    ----------
    weights
        That were learnt.
    start
        Card of the model that they began as. Where its images may show several categories at
        once, nothing is voted on.
    names
        The kinds that are known now, those of the start first.
    config
        Of the training.
    images
        Annotated ones at their own scale, best such that were not trained on.
    zoom
        The scale at which the model looks at them.
    monitor
        Progress, cancel.

    Returns
    -------
    dict
        By 0-based number of the kind, above 0 to 1, for those that are new, or were once.
    """
    yielding = _yielding(start, names)
    if not start.one_category_per_image or not yielding or len(yielding) == len(names):
        return {}
    monitor.progress("asking how clear the new kind is", 1.0)
    device, dtype = arithmetic_of(config)
    network = build_network(config.architecture)
    network.load_state_dict(dict(weights))
    network.to(device).eval()
    clear: dict[int, list[float]] = {kind: [] for kind in yielding}
    for image in images:
        monitor.check()
        kinds = np.unique(image.categories)
        if len(kinds) != 1 or int(kinds[0]) not in clear:
            continue
        found = predict(network, zoomed(image, zoom), device, dtype)
        votes = np.bincount(found.categories, found.scores, len(names))
        clear[int(kinds[0])].append(evidence(votes.tolist(), int(kinds[0]), yielding))
    return {
        kind: round(exp(-min(seen) / 2), 4) if seen else _start_vote(start, names[kind])
        for kind, seen in clear.items()
    }


def evidence(votes: Sequence[float], kind: int, yielding: Sequence[int]) -> float:
    """Logarithm of how many times the votes of the best old kind one kind has, from 0 on.

    Parameters
    ----------
    votes
        Sum of the scores of each kind in an image.
    kind
        The right one.
    yielding
        Kinds that are not old.
    """
    best = max(value for other, value in enumerate(votes) if other not in yielding)
    return max(0.0, log(max(votes[kind], 1e-6) / max(best, votes[kind] / _MOST, 1e-6)))


def _start_vote(start: ModelCard, name: str) -> float:
    """The vote that a kind had, 1 where it is new."""
    return start.thresholds_of(name).vote if name in start.category_names else 1.0


def _yielding(start: ModelCard, names: Sequence[str]) -> list[int]:
    return [
        number
        for number, name in enumerate(names)
        if name not in start.category_names or start.thresholds_of(name).vote < 1
    ]
