"""What an importer must know of a program to take over the checkpoints that it writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from napari_sartorius.core.normalise import Normalisation
from napari_sartorius.nn.config import Architecture
from napari_sartorius.zoo.card import InputSize
from napari_sartorius.zoo.checkpoints.setting_rules import SettingRules
from napari_sartorius.zoo.checkpoints.settings import Settings


@dataclass(frozen=True)
class ImportedNetwork:
    """What is known of a network before its weights are loaded.

    Attributes
    ----------
    architecture
        Its tree.
    normalisation, input_size, whole_grey_levels, mask_pasting, box_nms, max_objects
        What it must be fed, what becomes of its masks, and its limits; the meanings are those of
        `napari_sartorius.zoo.card.ModelCard`.
    score
        Score from which the configuration keeps objects, or None.
    assumptions
        What had to be guessed, in sentences.
    """

    architecture: Architecture
    normalisation: Normalisation
    input_size: InputSize | None
    score: float | None
    assumptions: tuple[str, ...]
    whole_grey_levels: bool = True
    mask_pasting: Literal["exact", "whole_pixels"] = "exact"
    box_nms: float | None = None
    max_objects: int | None = None


def _as_it_is(name: str, value: NDArray[Any]) -> NDArray[Any]:
    del name
    return value


@dataclass(frozen=True)
class CheckpointFormat:
    """How one program names, shapes and configures its networks.

    Attributes
    ----------
    title
        The networks, for people: "Mask R-CNN of detectron2".
    citation
        Program and paper.
    rules
        What entries of a configuration mean.
    sign
        How a tensor's name begins that all of these networks have and no others.
    describe
        Architecture and input, from path, tensors and configuration; raises `UserError` when they
        contradict each other or describe a network that cannot be imported.
    renamed
        Name that a tensor has in our network; unknown names come back unchanged.
    why_not_needed
        Why a tensor of a checkpoint is not needed, or None when it is.
    converted
        A tensor as our network wants it, where rows are in another order, say.
    """

    title: str
    citation: str
    rules: SettingRules
    sign: str
    describe: Callable[[Path, Mapping[str, NDArray[Any]], Settings], ImportedNetwork]
    renamed: Callable[[str], str]
    why_not_needed: Callable[[str], str | None]
    converted: Callable[[str, NDArray[Any]], NDArray[Any]] = _as_it_is

    def recognises(self, weights: Mapping[str, NDArray[Any]]) -> bool:
        """Whether tensors of these names are such a network's."""
        return any(name.startswith(self.sign) for name in weights)
