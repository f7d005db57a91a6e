"""The layers of a network that depend on its categories, and when they have to begin anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from napari_sartorius.nn.build import build_network

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from napari_sartorius.nn.config import Architecture


def category_tensors(architecture: Architecture) -> set[str]:
    """Names of the tensors whose shape depends on how many categories there are."""
    shapes = []
    for more in (1, 2):
        tree = architecture.model_copy(update={"num_classes": architecture.num_classes + more})
        with torch.device("meta"):
            state = build_network(tree).state_dict()
        shapes.append({name: tuple(value.shape) for name, value in state.items()})
    return {name for name, shape in shapes[0].items() if shapes[1][name] != shape}


def without_last_layers(
    weights: dict[str, Tensor], architecture: Architecture
) -> tuple[dict[str, Tensor], str]:
    """Weights but for those that depend on categories, and a sentence that names their layers.

    Parameters
    ----------
    weights
        Of a network of this kind.
    architecture
        Of the network that is to start from them.
    """
    dropped = category_tensors(architecture) & set(weights)
    kept = {name: value for name, value in weights.items() if name not in dropped}
    layers = sorted({name.rpartition(".")[0] for name in dropped})
    return kept, f"the categories are new, so the last layers begin anew: {', '.join(layers)}"


def for_more_kinds(
    weights: Mapping[str, Tensor], architecture: Architecture, models: Sequence[int]
) -> dict[str, Tensor]:
    """Weights of a network that tells more categories apart.

    Parameters
    ----------
    weights
        Of a network of this kind.
    architecture
        Of that network.
    models
        For each category of the new network the old one (0-based) that it begins as: first the old
        ones themselves, ``0, 1, ...``, then one for each that is new.

    Returns
    -------
    dict
        Tensors in which categories lie otherwise than in a row, with background at the end at
        most, are left out: they begin anew.
    """
    kinds = architecture.num_classes
    wider = architecture.model_copy(update={"num_classes": kinds + 1})
    with torch.device("meta"):
        more = build_network(wider).state_dict()
    shapes = {name: tuple(value.shape) for name, value in more.items()}
    result = {}
    for name, value in weights.items():
        if shapes[name] == tuple(value.shape):
            result[name] = value
            continue
        per_kind = shapes[name][0] - len(value)
        behind = len(value) - kinds * per_kind
        if shapes[name][1:] != tuple(value.shape[1:]) or not 0 <= behind <= per_kind:
            continue
        rows = value[: kinds * per_kind].reshape(kinds, per_kind, *value.shape[1:])[list(models)]
        result[name] = torch.cat([rows.flatten(0, 1), value[kinds * per_kind :]])
    return result
