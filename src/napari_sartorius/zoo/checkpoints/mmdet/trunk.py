"""Which trunk an mmdetection checkpoint holds, from its tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from napari_sartorius.core.errors import UserError
from napari_sartorius.nn.config import TrunkConfig
from napari_sartorius.zoo.checkpoints.plain_settings import STEM_KEY
from napari_sartorius.zoo.checkpoints.resnets import read_resnet

if TYPE_CHECKING:
    from napari_sartorius.zoo.checkpoints.facts import Facts
    from napari_sartorius.zoo.checkpoints.settings import Settings

# Blocks of each stage, which no two of them share.
_EFFICIENTNETS = {
    (2, 3, 3, 5, 5, 6, 2): "tf_efficientnet_b3",
    (2, 4, 4, 6, 6, 8, 2): "tf_efficientnet_b4",
    (3, 5, 5, 7, 7, 9, 3): "tf_efficientnet_b5",
    (3, 6, 6, 8, 8, 11, 3): "tf_efficientnet_b6",
    (4, 7, 7, 10, 10, 13, 4): "tf_efficientnet_b7",
    (2, 4, 4, 6, 9, 15): "tf_efficientnetv2_s",
    (3, 5, 5, 7, 14, 18, 5): "tf_efficientnetv2_m",
    (4, 7, 7, 10, 19, 25, 7): "tf_efficientnetv2_l",
}
_EFFNET = "backbone.effnet."


def is_efficientnet(facts: Facts) -> bool:
    """Whether the trunk is the 11th-place system's wrapper of timm's EfficientNets."""
    return any(name.startswith(_EFFNET) for name in facts.weights)


def describe_trunk(facts: Facts, settings: Settings, assumed: list[str]) -> TrunkConfig:
    """The trunk's tree; what nobody says is added to `assumed`.

    Raises
    ------
    UserError
        When it is none that can be imported.
    """
    wrapped = is_efficientnet(facts)
    stem = settings.count(STEM_KEY, 1 if wrapped else 2)
    if stem not in (1, 2):
        raise settings.wrong(STEM_KEY, "1 or 2")
    if STEM_KEY not in settings:
        assumed.append(
            f"the first convolution has stride {stem}, which no tensor tells; the 11th place of "
            "the Sartorius competition used 1, published networks use 2 "
            f"({STEM_KEY} in a YAML file given with --config says it)"
        )
    stride: Literal[1, 2] = 1 if stem == 1 else 2
    if wrapped:
        return _efficientnet(facts, stride)
    if "backbone.conv1.weight" not in facts.weights:
        first = next((n for n in facts.weights if n.startswith("backbone.")), "no tensor at all")
        raise UserError(
            f"{facts.path} holds a trunk ({first}) that cannot be imported; in checkpoints of "
            "mmdetection only ResNets, ResNeXts and the 11th place's EfficientNets can"
        )
    return read_resnet(facts, "backbone.", stride)


def _efficientnet(facts: Facts, stem_stride: Literal[1, 2]) -> TrunkConfig:
    stages = facts.count(r"^backbone\.effnet\.blocks\.(\d+)\.")
    blocks = tuple(
        facts.count(rf"^backbone\.effnet\.blocks\.{stage}\.(\d+)\.") for stage in range(stages)
    )
    if blocks not in _EFFICIENTNETS:
        raise UserError(
            f"{facts.path} holds an EfficientNet with {'-'.join(map(str, blocks))} blocks; only "
            "b3 to b7 and the second version's s, m and l can be imported"
        )
    return TrunkConfig(name=_EFFICIENTNETS[blocks], in_channels=3, stem_stride=stem_stride)
