"""The format of mmdetection's R-CNNs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sartorius.zoo.checkpoints.mmdet.architecture import TITLE, describe
from napari_sartorius.zoo.checkpoints.mmdet.names import (
    background_last,
    renamed,
    why_not_needed,
)
from napari_sartorius.zoo.checkpoints.plain_settings import plain_rules

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sartorius.zoo.checkpoints.checkpoint_format import ImportedNetwork
    from napari_sartorius.zoo.checkpoints.setting_rules import SettingRules
    from napari_sartorius.zoo.checkpoints.settings import Settings


class MMDetFormat:
    """Mask R-CNN, Cascade Mask R-CNN and Hybrid Task Cascade with a feature pyramid."""

    title = TITLE
    citation = "mmdetection (Chen et al. 2019, https://github.com/open-mmlab/mmdetection)"
    rules: SettingRules | None = plain_rules(TITLE)

    def recognises(self, weights: Mapping[str, NDArray[Any]]) -> bool:
        """Its proposals come from ``rpn_head.rpn_conv``, its masks from ``conv_logits``."""
        return any(name.startswith("rpn_head.rpn_conv.") for name in weights)

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
        """Predictors of version 1 with the background last instead of first."""
        return background_last(name, value)
