"""Hands a checkpoint to a detectron2 model, or says which tensor does not belong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import some_of
from napari_sartorius.zoo.checkpoints.detectron2.names import why_not_needed
from napari_sartorius.zoo.checkpoints.report import TensorNote
from napari_sartorius.zoo.checkpoints.weights import checked
from napari_sartorius.zoo.detectron2_engine.available import quiet

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor, nn


def fit_original(
    path: Path, weights: Mapping[str, NDArray[Any]], model: nn.Module
) -> tuple[dict[str, Tensor], list[TensorNote]]:
    """Load the weights of a checkpoint into the model that its configuration describes.

    detectron2's own renaming of tensors of its older versions is applied.

    Parameters
    ----------
    path
        The checkpoint, for errors.
    weights
        By detectron2's names.
    model
        From `build_original`; filled in place.

    Returns
    -------
    dict of str to Tensor
        All that the model must be given to be the same again.
    list of TensorNote
        One for every tensor of the checkpoint, and one for every counter it does without.

    Raises
    ------
    UserError
        When a tensor is missing, strange, of another shape, or holds NaN or infinity.
    """
    import torch

    wanted = model.state_dict()
    state: dict[str, Tensor] = {}
    notes: list[TensorNote] = []
    for name, value in weights.items():
        reason = None if name in wanted and not _made_anew(name) else why_not_needed(name)
        if reason is None:
            shape = tuple(wanted[name].shape) if name in wanted else value.shape
            state[name] = torch.from_numpy(checked(path, name, value, shape))
        notes.append(
            TensorNote(
                name=name,
                shape=value.shape,
                fate="ignored" if reason else "used",
                reason=reason or name,
            )
        )
    missing, strange = load_original(model, state, str(path))
    if missing:
        raise UserError(
            f"{path} lacks {some_of(missing, 2)} of the network that the configuration describes; "
            "give the configuration with which this checkpoint was trained"
        )
    if strange:
        raise UserError(
            f"{path} holds tensors that the network of the configuration does not have "
            f"({some_of(strange, 2)}); give the configuration with which it was trained"
        )
    notes += [
        TensorNote(name=name, shape=(), fate="missing", reason="a counter that only training needs")
        for name in wanted
        if name not in state and name.endswith(_COUNTER)
    ]
    return {n: v for n, v in model.state_dict().items() if not _made_anew(n)}, notes


def load_original(
    model: nn.Module, state: Mapping[str, Tensor], where: str
) -> tuple[list[str], list[str]]:
    """Fill a model; returns the names that it misses and those that it does not have.

    Raises
    ------
    UserError
        When a tensor has another shape than the model's.
    """
    try:
        with quiet():
            result = model.load_state_dict(dict(state), strict=False)
    except RuntimeError as error:
        raise UserError(
            f"the weights in {where} have other shapes than the network of the configuration; give "
            "the configuration with which they were trained"
        ) from error
    missing = [n for n in result.missing_keys if not _made_anew(n) and not n.endswith(_COUNTER)]
    return missing, list(result.unexpected_keys)


_COUNTER = ".num_batches_tracked"


def _made_anew(name: str) -> bool:
    """Whether a tensor comes from the configuration; some versions of detectron2 store it too."""
    return name in ("pixel_mean", "pixel_std") or ".cell_anchors." in name
