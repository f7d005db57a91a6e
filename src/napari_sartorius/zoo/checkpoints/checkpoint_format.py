"""What an importer must know of a program to take over the checkpoints that it writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from napari_sartorius.core.normalise import Normalisation
from napari_sartorius.nn.config import Architecture
from napari_sartorius.zoo.card import InputSize

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

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


class CheckpointFormat(Protocol):
    """How one program names, shapes and configures its networks.

    Attributes
    ----------
    title
        The networks, for people: "Mask R-CNN of detectron2".
    citation
        Program and paper.
    rules
        What entries of a configuration mean; None where there is no configuration file.
    """

    title: str
    citation: str
    rules: SettingRules | None

    def recognises(self, weights: Mapping[str, NDArray[Any]]) -> bool:
        """Whether tensors of these names are such a network's."""
        ...

    def describe(
        self, path: Path, weights: Mapping[str, NDArray[Any]], settings: Settings
    ) -> ImportedNetwork:
        """Architecture and input, from names, shapes and configuration.

        Raises
        ------
        UserError
            When they contradict each other or describe a network that cannot be imported.
        """
        ...

    def renamed(self, name: str) -> str:
        """Name that a tensor has in our network; unknown names come back unchanged."""
        ...

    def why_not_needed(self, name: str) -> str | None:
        """Why a tensor of a checkpoint is not needed, or None when it is."""
        ...

    def converted(self, name: str, value: NDArray[Any]) -> NDArray[Any]:
        """A tensor as our network wants it, where rows are in another order, say."""
        ...
