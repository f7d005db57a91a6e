"""The format of detectron2's own R-CNNs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sartorius.zoo.checkpoints.detectron2.architecture import describe
from napari_sartorius.zoo.checkpoints.detectron2.names import renamed, why_not_needed
from napari_sartorius.zoo.checkpoints.detectron2.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sartorius.zoo.checkpoints.checkpoint_format import ImportedNetwork
    from napari_sartorius.zoo.checkpoints.setting_rules import SettingRules
    from napari_sartorius.zoo.checkpoints.settings import Settings


class Detectron2Format:
    """Generalised R-CNNs with a feature pyramid (Wu et al. 2019)."""

    title = "Mask R-CNN of detectron2"
    citation = "detectron2 (Wu et al. 2019, https://github.com/facebookresearch/detectron2)"
    rules: SettingRules | None = RULES

    def recognises(self, weights: Mapping[str, NDArray[Any]]) -> bool:
        """Its trunk is ``backbone.bottom_up``, its proposals come from ``rpn_head``."""
        return any(name.startswith("backbone.bottom_up.res") for name in weights)

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
        return value
