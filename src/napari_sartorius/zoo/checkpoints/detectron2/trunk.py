"""Which trunk a detectron2 checkpoint holds, from its tensors and its configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import plural
from napari_sartorius.nn.config import ResNeStConfig, TrunkConfig
from napari_sartorius.nn.config.norms import Norm
from napari_sartorius.nn.stock import stock_trunk

if TYPE_CHECKING:
    from napari_sartorius.nn.config import AnyTrunk
    from napari_sartorius.zoo.checkpoints.facts import Facts
    from napari_sartorius.zoo.checkpoints.settings import Settings

_DEPTHS: dict[tuple[str, tuple[int, ...]], int] = {
    ("basic", (2, 2, 2, 2)): 18,
    ("basic", (3, 4, 6, 3)): 34,
    ("bottleneck", (3, 4, 6, 3)): 50,
    ("bottleneck", (3, 4, 23, 3)): 101,
    ("bottleneck", (3, 8, 36, 3)): 152,
    ("split", (3, 4, 6, 3)): 50,
    ("split", (3, 4, 23, 3)): 101,
    ("split", (3, 24, 36, 3)): 200,
}
_RESNEXTS = ((50, 32, 4), (101, 32, 4), (101, 32, 8), (101, 64, 4))
_STAGES = (2, 3, 4, 5)
_USUAL_WIDTHS = (64, 128, 256, 512)
_BODY = "backbone.bottom_up"
_STRIDE, _DEFORM = "MODEL.RESNETS.STRIDE_IN_1X1", "MODEL.RESNETS.DEFORM_ON_PER_STAGE"


@dataclass(frozen=True)
class TrunkShapes:
    """What the tensors tell of a trunk.

    Attributes
    ----------
    kind
        ``resnet`` (also ResNeXt, which has more than one group) or ``resnest``.
    depth
        Layers.
    widths
        Channels of the residual stages where they are not the usual ones.
    groups, group_width
        Of the 3x3 convolutions of the first stage.
    norm
        What follows the convolutions.
    deformable
        Whether the 3x3 convolutions of the last three stages are deformable.
    """

    kind: Literal["resnet", "resnest"]
    depth: int
    widths: tuple[int, int, int, int] | None
    groups: int
    group_width: int
    norm: Norm
    deformable: bool


def read_trunk(facts: Facts) -> TrunkShapes:
    """Find out the trunk's sizes.

    Raises
    ------
    UserError
        When it is none that can be imported.
    """
    blocks = tuple(facts.count(rf"^backbone\.bottom_up\.res{s}\.(\d+)\.") for s in _STAGES)
    split = f"{_BODY}.res2.0.conv2.conv.weight" in facts.weights
    kind = "bottleneck" if f"{_BODY}.res2.0.conv3.weight" in facts.weights else "basic"
    kind = "split" if split else kind
    if (kind, blocks) not in _DEPTHS:
        raise UserError(
            f"{facts.path} holds a residual network with {'-'.join(map(str, blocks))} {kind} "
            "blocks; only ResNets of 18, 34, 50, 101 and 152 layers, ResNeXts of 50 and 101 and "
            "ResNeSts of 50, 101 and 200 can be imported"
        )
    stem = f"{_BODY}.stem.conv1_1" if split else f"{_BODY}.stem.conv1"
    channels = facts.shape(f"{stem}.weight")[1]
    if channels != 3:
        raise UserError(
            f"{facts.path} reads {plural(channels, 'channel')}; only networks of three channels "
            "can be imported"
        )
    widths = [facts.shape(f"{_BODY}.res{s}.0.conv1.weight")[0] for s in _STAGES]
    inner = facts.shape(f"{_BODY}.res2.0.conv2{'.conv' if split else ''}.weight")[1]
    groups = 1 if split else widths[0] // inner
    usual = groups > 1 or tuple(widths) == _USUAL_WIDTHS
    return TrunkShapes(
        kind="resnest" if split else "resnet",
        depth=_DEPTHS[kind, blocks],
        widths=None if usual else (widths[0], widths[1], widths[2], widths[3]),
        groups=groups,
        group_width=inner,
        norm=facts.norm(stem),
        deformable=_deformable(facts, split),
    )


def _deformable(facts: Facts, split: bool) -> bool:
    stages = [s for s in _STAGES if f"{_BODY}.res{s}.0.conv2_offset.weight" in facts.weights]
    if not stages:
        return False
    name = f"{_BODY}.res{stages[0]}.0.conv2_offset.weight"
    if not split or stages != [3, 4, 5] or facts.shape(name)[0] != 54:
        raise UserError(
            f"{facts.path} has deformable convolutions ({name}) that cannot be imported; only the "
            "modulated ones of two groups in the last three stages of a ResNeSt can"
        )
    return True


def describe_trunk(shapes: TrunkShapes, settings: Settings, assumed: list[str]) -> AnyTrunk:
    """The trunk's tree; what nobody says is added to `assumed`.

    Raises
    ------
    UserError
        When the configuration speaks of another trunk.
    """
    _check_groups(shapes, settings)
    wanted = [False, *[shapes.deformable] * 3]
    if _DEFORM in settings and settings.values[_DEFORM] != wanted:
        raise settings.wrong(_DEFORM, f"{wanted} as in the checkpoint")
    if shapes.deformable and not settings.flag("MODEL.RESNETS.DEFORM_MODULATED", True):
        raise settings.wrong("MODEL.RESNETS.DEFORM_MODULATED", "true as in the checkpoint")
    if shapes.kind == "resnest":
        # In these networks the stride is an average pool, wherever STRIDE_IN_1X1 puts it.
        return ResNeStConfig.model_validate(
            {"depth": shapes.depth, "deformable": shapes.deformable, "norm": shapes.norm}
        )
    name = f"resnet{shapes.depth}"
    if shapes.groups > 1:
        name = f"resnext{shapes.depth}_{shapes.groups}x{shapes.group_width}d"
    options: dict[str, object] = {"name": name, "widths": shapes.widths, "stride_in_1x1": False}
    if shapes.norm == "group":
        options["norm"] = "group"
    if shapes.depth >= 50:
        plain = shapes.groups == 1 and shapes.norm != "group"
        if _STRIDE not in settings and plain:
            assumed.append(
                "blocks stride in their 1x1 convolution as in detectron2's own R50 and R101 "
                "(networks started from torchvision's weights do not: give the configuration)"
            )
        if _STRIDE not in settings and not plain:
            assumed.append(
                "blocks stride in their 3x3 convolution as in detectron2's own X101 and networks "
                "with group normalisation"
            )
        options["stride_in_1x1"] = settings.flag(_STRIDE, plain)
    return TrunkConfig.model_validate(stock_trunk(name).model_dump() | options)


def _check_groups(shapes: TrunkShapes, settings: Settings) -> None:
    """Refuse a configuration of another kind of block."""
    if shapes.kind == "resnet":
        for entry in ("DEEP_STEM", "AVD", "AVG_DOWN"):
            if settings.flag(f"MODEL.RESNETS.{entry}", False):
                raise settings.wrong(f"MODEL.RESNETS.{entry}", "false as in all ResNets")
        sizes = (shapes.depth, shapes.groups, shapes.group_width)
        if shapes.groups > 1 and sizes not in _RESNEXTS:
            raise UserError(
                f"{settings.path or 'the checkpoint'} is of a ResNeXt-{sizes[0]} "
                f"{sizes[1]}x{sizes[2]}d, which cannot be imported; only ResNeXt-50 32x4d and "
                "ResNeXt-101 32x4d, 32x8d and 64x4d can"
            )
    radix = 2 if shapes.kind == "resnest" else 1
    for key, value in (("NUM_GROUPS", shapes.groups), ("RADIX", radix)):
        if settings.count(f"MODEL.RESNETS.{key}", value) != value:
            raise settings.wrong(f"MODEL.RESNETS.{key}", f"{value} as in the checkpoint")
