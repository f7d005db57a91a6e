"""The format of torchvision's Mask R-CNNs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sartorius.zoo.checkpoints.plain_settings import plain_rules
from napari_sartorius.zoo.checkpoints.torchvision.architecture import TITLE, describe
from napari_sartorius.zoo.checkpoints.torchvision.names import (
    renamed,
    why_not_needed,
    without_background,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sartorius.zoo.checkpoints.checkpoint_format import ImportedNetwork
    from napari_sartorius.zoo.checkpoints.setting_rules import SettingRules
    from napari_sartorius.zoo.checkpoints.settings import Settings


class TorchvisionFormat:
    """``maskrcnn_resnet50_fpn`` and its second version, with any ResNet or ResNeXt."""

    title = TITLE
    citation = "torchvision (Marcel and Rodriguez 2010, https://github.com/pytorch/vision)"
    rules: SettingRules | None = plain_rules(TITLE)

    def recognises(self, weights: Mapping[str, NDArray[Any]]) -> bool:
        """Its trunk is ``backbone.body``, its masks come from ``mask_predictor``."""
        return any(name.startswith("backbone.body.") for name in weights)

    def describe(
        self, path: Path, weights: Mapping[str, NDArray[Any]], settings: Settings
    ) -> ImportedNetwork:
        """Architecture and input, from shapes and settings."""
        return describe(path, weights, settings)

    def renamed(self, name: str) -> str:
        """Our name of a tensor."""
        return renamed(name)

    def why_not_needed(self, name: str) -> str | None:
        """Why a tensor is not needed, or None when it is."""
        return why_not_needed(name)

    def converted(self, name: str, value: NDArray[Any]) -> NDArray[Any]:
        """Predictors with the background last instead of first."""
        return without_background(name, value)
