"""Hands every tensor of a checkpoint to the network, or says why it did not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import some_of
from napari_sartorius.zoo.checkpoints.report import TensorNote

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_sartorius.zoo.checkpoints.checkpoint_format import CheckpointFormat

_COUNTER = "num_batches_tracked"


def fit_weights(
    path: Path,
    weights: Mapping[str, NDArray[Any]],
    wanted: Mapping[str, Tensor],
    source: CheckpointFormat,
) -> tuple[dict[str, Tensor], list[TensorNote]]:
    """Give each tensor of a network its value from a checkpoint.

    Parameters
    ----------
    path
        The checkpoint, for errors.
    weights
        By the format's names.
    wanted
        The network's own tensors by our names.
    source
        Whose names they are.

    Returns
    -------
    dict of str to Tensor
        A value for every wanted name, float32.
    list of TensorNote
        One for every tensor of the checkpoint, and one for every counter it does without.

    Raises
    ------
    UserError
        When a tensor is missing, has another shape, holds NaN or infinity, or is not known.
    """
    import torch

    given: dict[str, Tensor] = {}
    notes: list[TensorNote] = []
    strangers: list[str] = []
    for name, value in weights.items():
        ours, reason = source.renamed(name), source.why_not_needed(name)
        if reason is not None:
            notes.append(_note(name, value, "ignored", reason))
        elif ours not in wanted:
            strangers.append(name)
        else:
            converted = source.converted(name, value)
            numbers = checked(path, name, converted, tuple(wanted[ours].shape))
            given[ours] = torch.from_numpy(numbers)
            notes.append(_note(name, value, "used", ours))
    missing = [n for n in wanted if n not in given and not n.endswith(_COUNTER)]
    if missing:
        raise UserError(
            f"{path} lacks {some_of(missing, 2)} of the network that its other tensors describe; "
            "the checkpoint is incomplete"
        )
    if strangers:
        raise UserError(
            f"{path} holds tensors that a {source.title} does not have ({some_of(strangers, 2)}); "
            "the network was changed and cannot be imported"
        )
    counters = {
        n: torch.zeros(tuple(t.shape), dtype=t.dtype) for n, t in wanted.items() if n not in given
    }
    notes += [
        TensorNote(name=n, shape=(), fate="missing", reason="a counter that only training needs")
        for n in counters
        if not any(note.name.endswith(_COUNTER) for note in notes)
    ]
    return given | counters, notes


def checked(
    path: Path, name: str, value: NDArray[Any], shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Writable float32 copy of a tensor of a checkpoint.

    Raises
    ------
    UserError
        When it has another shape, holds no numbers, or NaN or infinity.
    """
    if value.shape != shape:
        raise UserError(
            f"{path}: the tensor {name} has the shape {_times(value.shape)}, where {_times(shape)} "
            "was expected; the checkpoint is damaged or of another network"
        )
    return as_numbers(path, name, value)


def as_numbers(path: Path, name: str, value: NDArray[Any]) -> NDArray[np.float32]:
    """A tensor of a checkpoint as float32 that torch may own.

    Raises
    ------
    UserError
        When it holds no numbers, NaN or infinity.
    """
    if value.dtype.kind not in "fiu":
        raise UserError(
            f"{path}: the tensor {name} holds {value.dtype} and no numbers; the checkpoint is "
            "damaged"
        )
    numbers = np.ascontiguousarray(value, np.float32)
    if not np.isfinite(numbers).all():
        raise UserError(
            f"{path}: the tensor {name} holds NaN or infinite numbers; the training had failed by "
            "then, take an earlier checkpoint"
        )
    # torch must own what it is given, and a file's arrays may be read-only.
    return numbers.copy() if numbers.base is not None or numbers is value else numbers


def _note(name: str, value: NDArray[Any], fate: Any, reason: str) -> TensorNote:
    return TensorNote(name=name, shape=value.shape, fate=fate, reason=reason)


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(str(n) for n in shape) or "1"
