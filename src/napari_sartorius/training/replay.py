"""What keeps a model that learns something new from forgetting what it knew.

A biologist has corrected images of a new kind, and none of those that the model was trained on.
What works without them: generated pictures among the new ones (`training.rehearsal`), normalisation
layers that keep the statistics that they have, weights that are pulled back to the start's (L2-SP,
Li et al. 2018), and in the end a choice between the learnt weights and some on the way from the
start to them (WiSE-FT, Wortsman et al. 2022). Where annotated images of the old kind exist, they
are shown too.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.sources import read_dataset
from napari_sartorius.training.data import pack_dataset
from napari_sartorius.training.mixture import MixtureSampling, constant_share
from napari_sartorius.training.terms import knows_the_first

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.training.config import ReplayConfig, TrainConfig
    from napari_sartorius.training.images import AnnotatedImage

_MOST_IMAGES = 200
"""Of the old kind; more would fill the memory and hardly be seen in a short training."""


def old_images(
    replay: ReplayConfig, config: TrainConfig, names: Sequence[str], monitor: Monitor
) -> list[AnnotatedImage]:
    """Packed images of the start's own domain that the configuration names; none without.

    Parameters
    ----------
    replay
        Its `data` is a path that `read_dataset` can read. Of images with splits those of the
        training split are taken, so that the others can still measure.
    config
        Normalisation and channels.
    names
        The categories of the training, in order; those of the images come first among them.
    monitor
        Progress and cancel.

    Raises
    ------
    UserError
        When the images cannot be read or show other categories than are trained.
    """
    if replay.data is None:
        return []
    dataset = read_dataset(Path(replay.data))
    if any(image.extra.get("split") == "train" for image in dataset.images):
        dataset = dataset.split("train")
    theirs = dataset.category_names
    if not knows_the_first(theirs, names):
        raise UserError(
            f"the images to replay in {replay.data} show {', '.join(theirs)}, the training is of "
            f"{', '.join(names)}: give images with the same categories, or train without replay "
            "images"
        )
    return pack_dataset(dataset, config, monitor, _MOST_IMAGES)


def by_kind(images: Sequence[AnnotatedImage]) -> list[AnnotatedImage]:
    """The images of each kind of cells after each other; most cells of an image tell its kind."""
    return sorted(images, key=lambda image: image.main_category)


def mixed_sampling(
    new: int, given: Sequence[AnnotatedImage], generated: int, share: float
) -> MixtureSampling:
    """`new` images first, then old ones, which get `share` of the crops at every step.

    Parameters
    ----------
    new
        How many there are.
    given
        Old images `by_kind`. Rare kinds come more often than their images are many, as the square
        root of their number (as in LVIS, Gupta et al. 2019): what is hardly shown is forgotten.
    generated
        How many pictures follow them.
    share
        Of all old images, 0..1.
    """
    each = share / max(1, len(given) + generated)
    counts = [len(list(group)) for _, group in groupby(image.main_category for image in given)]
    roots = np.sqrt(counts) / max(1.0, np.sqrt(counts).sum())
    sets = [
        (count, constant_share(each * len(given) * root))
        for count, root in zip(counts, roots.tolist(), strict=True)
    ]
    if generated:
        sets.append((generated, constant_share(each * generated)))
    return MixtureSampling(np.ones(new), sets)


def between(
    start: Mapping[str, Tensor], learnt: Mapping[str, Tensor], share: float
) -> dict[str, Tensor]:
    """Weights on the line from `start` (0) to `learnt` (1).

    Tensors that the start lacks, has in another shape, or that count, are those of `learnt`.
    """
    mixed = {}
    for name, new in learnt.items():
        old = start.get(name)
        if old is None or old.shape != new.shape or not new.dtype.is_floating_point:
            mixed[name] = new
        else:
            mixed[name] = torch.lerp(old.to(new), new, share)
    return mixed


@dataclass(frozen=True)
class Blend:
    """A share of the learnt weights, and how well it does on new cells and on old ones, 0..1."""

    share: float
    new: float
    old: float = 0.0


def choose_blend(blends: Sequence[Blend], before: float, give_up: float) -> Blend:
    """The blend that remembers best among those that keep most of what was gained.

    Parameters
    ----------
    blends
        At least one.
    before
        Score of the start on the new cells.
    give_up
        Share of the gain, 0..1, that may be lost for the sake of what the model knew.

    Returns
    -------
    Blend
        Of those that remember alike the one with the smaller share.
    """
    best = max(blend.new for blend in blends)
    enough = best - give_up * max(0.0, best - before)
    return max(
        (blend for blend in blends if blend.new >= enough), key=lambda one: (one.old, -one.share)
    )
