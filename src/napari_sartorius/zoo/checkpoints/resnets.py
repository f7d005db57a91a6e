"""Which ResNet or ResNeXt a checkpoint holds, where tensors have torchvision's names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import plural
from napari_sartorius.nn.config import TrunkConfig

if TYPE_CHECKING:
    from napari_sartorius.nn.config.norms import Norm, TrunkNorm
    from napari_sartorius.zoo.checkpoints.facts import Facts

_DEPTHS: dict[tuple[str, tuple[int, ...]], int] = {
    ("basic", (2, 2, 2, 2)): 18,
    ("basic", (3, 4, 6, 3)): 34,
    ("bottleneck", (3, 4, 6, 3)): 50,
    ("bottleneck", (3, 4, 23, 3)): 101,
    ("bottleneck", (3, 8, 36, 3)): 152,
}
_RESNEXTS = ((50, 32, 4), (101, 32, 4), (101, 32, 8), (101, 64, 4))
_USUAL_WIDTHS = (64, 128, 256, 512)


def read_resnet(facts: Facts, prefix: str, stem_stride: Literal[1, 2] = 2) -> TrunkConfig:
    """Tree of the trunk whose tensors begin with `prefix`.

    Raises
    ------
    UserError
        When it is none that can be imported.
    """
    blocks = tuple(
        facts.count(rf"^{re.escape(prefix)}layer{stage}\.(\d+)\.") for stage in (1, 2, 3, 4)
    )
    first = f"{prefix}layer1.0"
    kind = "bottleneck" if f"{first}.conv3.weight" in facts.weights else "basic"
    if (kind, blocks) not in _DEPTHS:
        raise UserError(
            f"{facts.path} holds a residual network with {'-'.join(map(str, blocks))} {kind} "
            "blocks; only ResNets of 18, 34, 50, 101 and 152 layers and ResNeXts of 50 and 101 "
            "can be imported"
        )
    odd = [n for n in facts.weights if n.startswith(prefix) and "conv2_offset" in n]
    if odd:
        raise UserError(
            f"{facts.path} has deformable convolutions ({odd[0]}), which cannot be imported in "
            f"checkpoints of {facts.called}"
        )
    channels = facts.shape(f"{prefix}conv1.weight")[1]
    if channels != 3:
        raise UserError(
            f"{facts.path} reads {plural(channels, 'channel')}; only networks of three channels "
            "can be imported"
        )
    depth = _DEPTHS[kind, blocks]
    widths = [facts.shape(f"{prefix}layer{s}.0.conv1.weight")[0] for s in (1, 2, 3, 4)]
    inner = facts.shape(f"{first}.conv2.weight")[1]
    groups = widths[0] // inner
    name, special = f"resnet{depth}", None
    if groups > 1:
        if (depth, groups, inner) not in _RESNEXTS:
            raise UserError(
                f"{facts.path} holds a ResNeXt-{depth} {groups}x{inner}d, which cannot be "
                "imported; only ResNeXt-50 32x4d and ResNeXt-101 32x4d, 32x8d and 64x4d can"
            )
        name = f"resnext{depth}_{groups}x{inner}d"
    elif tuple(widths) != _USUAL_WIDTHS:
        special = (widths[0], widths[1], widths[2], widths[3])
    return TrunkConfig(
        name=name,
        in_channels=3,
        stem_stride=stem_stride,
        widths=special,
        norm=_trunk_norm(facts, f"{prefix}bn1"),
    )


def norm_of(facts: Facts, layer: str) -> Norm:
    """What a normalisation layer of this name does; "none" where there is no such layer.

    Batch normalisation that has no counter was frozen in training.
    """
    if f"{layer}.weight" not in facts.weights:
        return "none"
    if f"{layer}.running_mean" not in facts.weights:
        return "group"
    return "batch" if f"{layer}.num_batches_tracked" in facts.weights else "frozen"


def _trunk_norm(facts: Facts, layer: str) -> TrunkNorm:
    norm = norm_of(facts, layer)
    if norm in ("none", "group"):
        raise UserError(
            f"{facts.path} has no batch normalisation {layer} in its trunk; networks with group "
            "normalisation and weight standardisation cannot be imported"
        )
    return "batch" if norm == "batch" else "frozen"
