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
from napari_sartorius.training.images import pack_image

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def scenes(count: int, seed: int = 0) -> Iterator[tuple[str, NDArray[np.uint8], Instances]]:
    """Name, picture and truth of `count` generated pictures, of all kinds in turn."""
    # Fluorescence comes twice: it differs most.
    kinds = (*LOOKS, LOOKS[0], "phase contrast")
    for number in range(count):
        kind = kinds[number % len(kinds)]
        shape, one = (_SIDE, _SIDE), seed + number
        if kind == "phase contrast":
            picture, truth = phase_contrast_scene(shape, one)
        else:
            picture, truth = nuclei_scene(kind, shape, one)  # type: ignore[arg-type]
        yield f"generated {kind} {one}", picture, truth


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
        (competition score of 0.25 or more).
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
    for number, (name, picture, truth) in enumerate(scenes(count, config.seed)):
        monitor.check()
        monitor.progress("remembering", number / count)
        found = segmenter.segment(picture).instances
        if not len(found) or competition_score(truth, found).score < _KNOWN:
            continue
        kept.append(
            pack_image(
                name,
                picture,
                found.masks,
                found.categories,
                config.normalisation,
                config.architecture.trunk.in_channels,
            )
        )
    return kept
