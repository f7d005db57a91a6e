"""Generated pictures that remind a model of what it knows while it learns something new.

Nobody who corrects cells has the images that the model was trained on. So the start is asked: of
the pictures that `samples` can draw those count in which it finds the cells that are there, and
what it finds is what the new model shall go on finding. This is learning without forgetting (Li and
Hoiem 2016) on generated images (Shin et al. 2017).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sartorius.evaluation.competition import competition_score
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.segmenter import Segmenter
from napari_sartorius.samples.nuclei import LOOKS, nuclei_scene
from napari_sartorius.samples.phase_contrast import phase_contrast_scene
from napari_sartorius.samples.spindle_cells import spindle_scene
from napari_sartorius.training.images import pack_image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_sartorius.core.instances import Instances
    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.nn.network import Network
    from napari_sartorius.training.config import TrainConfig
    from napari_sartorius.training.images import AnnotatedImage
    from napari_sartorius.zoo import ModelBundle

_SIDE = 256
# The score of the competition is a hard one: good models of phase contrast reach 0.4 on real cells.
_KNOWN = 0.25
_TRIALS = 4
_PHASE_CONTRAST = {"phase contrast": phase_contrast_scene, "spindle cells": spindle_scene}
KINDS = (*LOOKS, *_PHASE_CONTRAST)
"""What can be drawn."""


def scene(kind: str, seed: int) -> tuple[NDArray[np.uint8], Instances]:
    """A generated picture of one of `KINDS` and its truth."""
    shape = (_SIDE, _SIDE)
    if kind in _PHASE_CONTRAST:
        return _PHASE_CONTRAST[kind](shape, seed)
    return nuclei_scene(kind, shape, seed)  # type: ignore[arg-type]


class _Turns:
    """Whose turn it is: every kind in order, without those that turned out to be unknown."""

    def __init__(self) -> None:
        self._kinds = list(KINDS)
        self._known = dict.fromkeys(KINDS, 0)
        self._shown = dict.fromkeys(KINDS, 0)
        self._place = 0

    def next(self) -> str:
        """The kind of the next picture."""
        return self._kinds[self._place % len(self._kinds)]

    def told(self, kind: str, known: bool) -> None:
        """Whether a picture of the kind was known; a kind that is not gets no more turns."""
        self._shown[kind] += 1
        self._known[kind] += known
        few = self._shown[kind] >= _TRIALS and self._known[kind] * _TRIALS < self._shown[kind]
        if few and len(self._kinds) > 1:
            self._kinds.remove(kind)
        else:
            self._place += 1


def rehearsal_images(
    start: ModelBundle, network: Network, config: TrainConfig, count: int, monitor: Monitor
) -> list[AnnotatedImage]:
    """Generated pictures that a model knows, with what it finds in them.

    Parameters
    ----------
    start
        The model; its card says from which score on an object counts.
    network
        Its network in evaluation mode.
    config
        Normalisation, channels and device of the training.
    count
        Pictures that are drawn; those are kept in which the model finds the cells that are there
        (competition score of 0.25 or more). Kinds of which it knows less than every fourth are
        not drawn any more.
    monitor
        Progress and cancel.

    Returns
    -------
    list
        Packed images, perhaps none.
    """
    segmenter = Segmenter(
        start, SegmentConfig(preset="fast", device=config.device, rescore=False), detector=network
    )
    kept = []
    turns = _Turns()
    for number in range(count):
        monitor.check()
        monitor.progress("remembering", number / count)
        kind, seed = turns.next(), config.seed + number
        picture, truth = scene(kind, seed)
        found = segmenter.segment(picture).instances
        known = len(found) > 0 and competition_score(truth, found).score >= _KNOWN
        turns.told(kind, known)
        if not known:
            continue
        kept.append(
            pack_image(
                f"generated {kind} {seed}",
                picture,
                found.masks,
                found.categories,
                config.normalisation,
                config.architecture.trunk.in_channels,
            )
        )
    return kept
