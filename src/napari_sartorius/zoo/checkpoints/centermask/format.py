"""The format of CenterMask2's networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sartorius.zoo.checkpoints.centermask.architecture import describe
from napari_sartorius.zoo.checkpoints.centermask.names import renamed, why_not_needed
from napari_sartorius.zoo.checkpoints.centermask.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sartorius.zoo.checkpoints.checkpoint_format import ImportedNetwork
    from napari_sartorius.zoo.checkpoints.setting_rules import SettingRules
    from napari_sartorius.zoo.checkpoints.settings import Settings


class CenterMaskFormat:
    """CenterMask2 and Lite with VoVNetV2 or ResNet trunks (Lee and Park 2020)."""

    title = "CenterMask of CenterMask2"
    citation = "CenterMask2 (Lee and Park 2020, https://github.com/youngwanLEE/centermask2)"
    rules: SettingRules | None = RULES

    def recognises(self, weights: Mapping[str, NDArray[Any]]) -> bool:
        """Its boxes come from ``fcos_head``."""
        return any(name.startswith("proposal_generator.fcos_head.") for name in weights)

    def describe(
        self, path: Path, weights: Mapping[str, NDArray[Any]], settings: Settings
    ) -> ImportedNetwork:
        """Architecture and input, from shapes and configuration."""
        return describe(path, weights, settings)

    def renamed(self, name: str) -> str:
        """Our name of a tensor."""
        return renamed(name)

    def why_not_needed(self, name: str) -> str | None:
        """Why a tensor is not needed, or None when it is."""
        return why_not_needed(name)

    def converted(self, name: str, value: NDArray[Any]) -> NDArray[Any]:
        """Tensors are as ours."""
        del name
        return value
