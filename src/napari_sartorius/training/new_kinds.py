"""Kinds of cells that a model does not know yet, beside those that it knows.

A new kind begins as a copy of the old kind that the model takes its cells for. So it is found from
the first step on, and what is left to learn is the difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.nn.build import build_network
from napari_sartorius.training.last_layers import for_more_kinds
from napari_sartorius.training.step import arithmetic_of
from napari_sartorius.training.terms import knows_the_first
from napari_sartorius.training.validate import Looks, predict
from napari_sartorius.training.weights import transfer_weights
from napari_sartorius.training.zoom import zoomed
from napari_sartorius.zoo.cost import default_scale

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.nn.config import Architecture
    from napari_sartorius.nn.network import Network
    from napari_sartorius.training.config import TrainConfig
    from napari_sartorius.training.images import AnnotatedImage
    from napari_sartorius.zoo import ModelCard

# As far as two outlines must agree to be of one cell, as in AP50.
_SAME_CELL = 0.5
# Biases of the layers that tell kinds apart, in logits; the last of the first is for background.
_WITH_BACKGROUND = "class_logits.bias"
_CHANCES = (_WITH_BACKGROUND, "fcos.classes.bias", "grid_head.categories.bias")
# Less than one in eight is new, then.
_DOUBT = 2.0


def knowing_all(
    names: Sequence[str],
    card: ModelCard,
    network: Network,
    config: TrainConfig,
    images: Sequence[AnnotatedImage],
    monitor: Monitor,
) -> Network:
    """The network of a model, with the kinds that it lacks where it knows those before them.

    Parameters
    ----------
    names
        The kinds of the training.
    card, network
        The model, its network in evaluation mode on the device of the training.
    config
        Of the training.
    images
        Annotated ones at their own scale.
    monitor
        Hears which old kind a new one begins as.
    """
    known = card.category_names
    if len(names) <= len(known) or not knows_the_first(known, names):
        return network
    shown = [zoomed(image, default_scale(card, image.pixels.shape[:2])) for image in images]
    alike = most_alike(network, shown, len(known), len(names), monitor, *arithmetic_of(config))
    for new, old in zip(names[len(known) :], alike, strict=True):
        monitor.notice(
            f"the model does not know {new} and takes such cells for {known[old]} so far"
        )
    return with_new_kinds(network, config.architecture, alike)


def most_alike(
    network: Network,
    images: Sequence[AnnotatedImage],
    known: int,
    kinds: int,
    monitor: Monitor,
    device: torch.device,
    dtype: torch.dtype,
) -> list[int]:
    """For each new kind the old one that a model takes most of its cells for.

    Parameters
    ----------
    network
        Of the model, in evaluation mode on `device`.
    images
        Annotated images at the scale at which the model is to look at them.
    known, kinds
        How many kinds the model knows, and how many there are: those from `known` on are new.
    monitor
        Hears how many images were looked at; may cancel.
    device, dtype
        Arithmetic.

    Returns
    -------
    list of int
        0-based, ``kinds - known`` of them; for a kind of which the model finds no cell the one
        that it finds most of anything.
    """
    votes = np.zeros((kinds, known), np.int64)
    anything = np.zeros(known, np.int64)
    looks = Looks(len(images), monitor)
    for image in images:
        monitor.check()
        found = predict(network, image, device, dtype)
        looks.add()
        anything += np.bincount(found.categories, minlength=known)
        if not len(found):
            continue
        agree = image.masks.iou(found.masks)
        for number, kind in enumerate(image.categories.tolist()):
            best = int(agree[number].argmax())
            if agree[number, best] >= _SAME_CELL:
                votes[kind, found.categories[best]] += 1
    return [int(_first_of(votes[kind], anything).argmax()) for kind in range(known, kinds)]


def with_new_kinds(network: Network, wider: Architecture, alike: Sequence[int]) -> Network:
    """The network of a model that knows new kinds too, in evaluation mode on the same device.

    Parameters
    ----------
    network
        Of the model.
    wider
        Its architecture with the new kinds, which come last.
    alike
        For each of them the old kind that it begins as, 0-based.
    """
    known = wider.num_classes - len(alike)
    old = wider.model_copy(update={"num_classes": known})
    state = network.state_dict()
    made = build_network(wider)
    transfer_weights(made, for_more_kinds(state, old, [*range(known), *alike]))
    return made.to(next(iter(state.values())).device).eval()


def in_doubt(weights: Mapping[str, Tensor], known: int) -> dict[str, Tensor]:
    """Weights for which a new kind has to be more likely than the old one that it begins as.

    With equal chances a model without images of the old kinds would call half of their cells new.

    Parameters
    ----------
    weights
        As `with_new_kinds` gives them.
    known
        How many kinds are old.
    """
    result = dict(weights)
    for name, value in weights.items():
        if name.endswith(_CHANCES):
            chances = value.clone()
            chances[known:] -= _DOUBT
            if name.endswith(_WITH_BACKGROUND):
                chances[-1] = value[-1]
            result[name] = chances
    return result


def _first_of(votes: NDArray[np.int64], otherwise: NDArray[np.int64]) -> NDArray[np.int64]:
    return votes if votes.any() else otherwise
