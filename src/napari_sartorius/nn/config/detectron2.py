"""Networks that an installed detectron2 builds and runs: the tree is its own configuration."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from pydantic import Field, JsonValue, field_validator

from napari_sartorius.nn.config.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator

# Sections of a configuration that can decide what a network computes.
_SECTIONS = {"VERSION", "MODEL", "INPUT", "DATASETS"}
# The stock anchors begin here, and so does an object where nothing else is said.
_STOCK_SMALLEST = 32.0


class Detectron2Trunk(Tree):
    """What must be known of the first layer without detectron2.

    Parameters
    ----------
    in_channels
        Channels of the input, 1 (grey) or 3 (colour).
    """

    kind: Literal["detectron2"] = "detectron2"
    in_channels: Literal[1, 3] = 3


class Detectron2Config(Tree):
    """An instance segmentation model of detectron2 (Wu et al. 2019), whatever its parts.

    Parameters
    ----------
    num_classes
        Categories without the background.
    trunk
        Its input.
    configuration
        What differs from detectron2's defaults, by section: ``MODEL`` and ``VERSION``, and what
        few networks need of ``INPUT`` and ``DATASETS``. Plain data.
    version
        The detectron2 with which the model was imported; any other that knows the same entries
        will do.
    """

    family: Literal["detectron2"] = "detectron2"
    num_classes: int = Field(ge=1)
    trunk: Detectron2Trunk = Detectron2Trunk()
    configuration: dict[str, JsonValue]
    version: str = ""

    @field_validator("configuration")
    @classmethod
    def _plain_sections(cls, configuration: dict[str, JsonValue]) -> dict[str, JsonValue]:
        strangers = set(configuration) - _SECTIONS
        if strangers or not isinstance(configuration.get("MODEL"), dict):
            raise ValueError(
                "a configuration needs a section MODEL and no others than "
                f"{', '.join(sorted(_SECTIONS))}"
            )
        if not all(math.isfinite(number) for number in _numbers(configuration)):
            raise ValueError("a configuration holds finite numbers only")
        return configuration

    @property
    def smallest_object(self) -> float:
        """Side of the smallest anchor, pixels; the stock one where none is named."""
        model = self.configuration["MODEL"]
        anchors = model.get("ANCHOR_GENERATOR") if isinstance(model, dict) else None
        sizes = anchors.get("SIZES") if isinstance(anchors, dict) else None
        return min((n for n in _numbers(sizes) if n > 0), default=_STOCK_SMALLEST)


def _numbers(value: JsonValue) -> Iterator[float]:
    """Every number in a nest of lists and dictionaries."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _numbers(one)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)
