"""Takes over what fits of a checkpoint, for training on from it, and tells what did not fit.

An import takes a network wholly or not at all. Training may start from another one: of LIVECell's
V-99 a V-39 can use the blocks that both have, and a network for three classes all but the last
layers of one for eighty.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from napari_sartorius.core.wording import plural
from napari_sartorius.zoo.checkpoints.formats import format_of
from napari_sartorius.zoo.checkpoints.reading import read_checkpoint
from napari_sartorius.zoo.checkpoints.report import TensorNote
from napari_sartorius.zoo.checkpoints.settings import Settings, read_settings
from napari_sartorius.zoo.checkpoints.weights import as_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_sartorius.zoo.checkpoints.checkpoint_format import ImportedNetwork

_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class PartialFit:
    """What a network takes over.

    Attributes
    ----------
    values
        By the network's names, shaped as it wants them.
    notes
        One for every tensor of the checkpoint (``used`` or ``ignored``, with the reason) and one
        for every one of the network's that it does not fill (``missing``).
    """

    values: dict[str, Tensor]
    notes: tuple[TensorNote, ...]

    def lines(self, every_tensor: bool = False) -> list[str]:
        """Text for a reader: how much of each part of the network is filled, and why not more."""
        filled = Counter(_part(note.reason) for note in self.notes if note.fate == "used")
        empty = Counter(_part(note.name) for note in self.notes if note.fate == "missing")
        lines = [
            f"{part}: {filled[part]} of {plural(filled[part] + empty[part], 'tensor')} taken over"
            for part in dict.fromkeys([*filled, *empty])
        ]
        if every_tensor:
            return lines + [f"  {n.fate:<8} {n.name} {n.reason}" for n in self.notes]
        left = Counter(_kind(note) for note in self.notes if note.fate == "ignored")
        return lines + [
            f"{count} of the checkpoint not used: {kind}" for kind, count in left.items()
        ]


def is_checkpoint(name: str) -> bool:
    """Whether this names a checkpoint and no bundle: a file that is no ``.zip``."""
    return Path(name).suffix.lower() != ".zip" and Path(name).is_file()


def describe_checkpoint(path: Path, config: Path | None = None) -> ImportedNetwork:
    """Architecture and input of a checkpoint's network.

    Raises
    ------
    UserError
        As `napari_sartorius.zoo.checkpoints.import_checkpoint`.
    """
    settings = read_settings(config) if config is not None else Settings()
    weights = read_checkpoint(path)
    source = format_of(path, weights)
    if source.rules is not None:
        settings = source.rules.judged(settings)
    return source.describe(path, weights, settings)


def fit_partially(path: Path, wanted: Mapping[str, Tensor]) -> PartialFit:
    """Take over what a network has in the same place and shape.

    A part of the network (its trunk, its mask head ...) of which less than half fits is left as it
    is: a few layers of a head make no sense without those before them. The first convolution is
    adapted between one and three input channels. Nothing in the file is executed.

    Parameters
    ----------
    path
        A checkpoint of any format that can be imported.
    wanted
        The network's own tensors by our names; only their shapes are looked at.

    Raises
    ------
    UserError
        When the file cannot be read, is of no known format, or holds NaN in a tensor that fits.
    """
    import torch

    weights = read_checkpoint(path)
    source = format_of(path, weights)
    shapes = {name: tuple(tensor.shape) for name, tensor in wanted.items()}
    fitting: dict[str, str] = {}
    ignored: dict[str, str] = {}
    for name, value in weights.items():
        ours, reason = source.renamed(name), source.why_not_needed(name)
        if reason is None and ours not in shapes:
            reason = "the network has no such layer"
        elif reason is None:
            given = source.converted(name, value).shape
            if fit_channels(torch.empty(given, device="meta"), shapes[ours]) is None:
                reason = f"shape {_times(given)}, where {_times(shapes[ours])} is needed"
        if reason is None:
            fitting[name] = ours
        else:
            ignored[name] = reason
    sparse = _sparse_parts(shapes, set(fitting.values()))
    values: dict[str, Tensor] = {}
    notes = []
    for name, value in weights.items():
        ours = fitting.get(name, "")
        if name not in fitting:
            notes.append(_note(name, value.shape, "ignored", ignored[name]))
        elif _part(ours) in sparse:
            reason = f"most of the network's {_part(ours)} does not fit"
            notes.append(_note(name, value.shape, "ignored", reason))
        else:
            numbers = torch.from_numpy(as_numbers(path, name, source.converted(name, value)))
            fitted = fit_channels(numbers, shapes[ours])
            assert fitted is not None
            values[ours] = fitted
            notes.append(_note(name, value.shape, "used", ours))
    notes += [
        _note(name, shape, "missing", "starts at random")
        for name, shape in shapes.items()
        if name not in values and not name.endswith(_COUNTER)
    ]
    return PartialFit(values, tuple(notes))


def _sparse_parts(shapes: Mapping[str, tuple[int, ...]], fitting: set[str]) -> set[str]:
    """Parts of the network of whose numbers less than half could be filled."""
    total: Counter[str] = Counter()
    filled: Counter[str] = Counter()
    for name, shape in shapes.items():
        total[_part(name)] += prod(shape)
        filled[_part(name)] += prod(shape) if name in fitting else 0
    return {part for part, count in total.items() if 2 * filled[part] < count}


def fit_channels(given: Tensor, shape: tuple[int, ...]) -> Tensor | None:
    """A tensor in this shape, or None when it has another one.

    A convolution of colours is made one of grey levels and the reverse: a grey network sees the sum
    of the colour weights, which answers to a grey image as the colour network did.
    """
    if tuple(given.shape) == shape:
        return given
    rest = given.ndim == len(shape) == 4 and (given.shape[0], *given.shape[2:]) == (
        shape[0],
        *shape[2:],
    )
    if rest and (given.shape[1], shape[1]) == (3, 1):
        return given.sum(dim=1, keepdim=True)
    if rest and (given.shape[1], shape[1]) == (1, 3):
        return (given / 3).expand(shape)
    return None


def _part(name: str) -> str:
    """The part of the network that a tensor belongs to."""
    return name.split(".")[0]


def _kind(note: TensorNote) -> str:
    """A reason without the numbers that differ from tensor to tensor."""
    return "its shape differs" if note.reason.startswith("shape ") else note.reason


def _note(name: str, shape: tuple[int, ...], fate: Any, reason: str) -> TensorNote:
    return TensorNote(name=name, shape=tuple(shape), fate=fate, reason=reason)


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(str(n) for n in shape) or "1"
