"""Every trunk there is: one line each."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from napari_sartorius.nn.config.resnest import ResNeStConfig
from napari_sartorius.nn.config.timm_trunk import TrunkConfig
from napari_sartorius.nn.config.vovnet import VoVNetConfig


def _kind(tree: Any) -> str:
    """Trees written before there were several kinds name none."""
    if isinstance(tree, dict):
        return str(tree.get("kind", "timm"))
    return str(getattr(tree, "kind", "timm"))


AnyTrunk = Annotated[
    Annotated[TrunkConfig, Tag("timm")]
    | Annotated[VoVNetConfig, Tag("vovnet")]
    | Annotated[ResNeStConfig, Tag("resnest")],
    Discriminator(_kind),
]
"""The tree of any trunk; its `kind` says which."""
