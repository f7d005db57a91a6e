"""Weights changed once so that every image costs less work, with the same result."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_sartorius.nn.box_head import BoxHead

# Convolution -> what normalises its output, in timm's blocks whose names follow no rule. Several of
# them number the normalisations through, whatever the convolutions are called.
_MOBILE = {"conv_stem": "bn1", "conv_head": "bn2"}
_FOLLOWING = {
    "SplitAttn": {"conv": "bn0", "fc1": "bn1"},
    "EfficientNet": _MOBILE,
    "EfficientNetFeatures": _MOBILE,
    "MobileNetV3": {"conv_stem": "bn1"},
    "MobileNetV3Features": {"conv_stem": "bn1"},
    "ConvBnAct": {"conv": "bn1"},
    "DepthwiseSeparableConv": {"conv_s2d": "bn_s2d", "conv_dw": "bn1", "conv_pw": "bn2"},
    "InvertedResidual": {
        "conv_s2d": "bn_s2d",
        "conv_pw": "bn1",
        "conv_dw": "bn2",
        "conv_pwl": "bn3",
    },
    "EdgeResidual": {"conv_exp": "bn1", "conv_pwl": "bn2"},
}


def fold_batch_norm(network: nn.Module) -> int:
    """Fold every batch normalisation that directly follows a convolution, in place.

    Pairs are found by their names: neighbours in a sequence, ``convN`` / ``bnN`` as timm names the
    layers of its residual networks, and its names in other blocks. An activation that timm keeps
    in its normalisation stays. The network must be in evaluation mode and can only be used for
    inference afterwards.

    Returns
    -------
    int
        Number of layers folded.

    Raises
    ------
    ValueError
        When the network is in training mode.
    """
    if network.training:
        raise ValueError("only a network in evaluation mode can be folded")
    folded = 0
    for parent in list(network.modules()):
        children = dict(parent.named_children())
        names = list(children)
        for position, name in enumerate(names):
            following = _normalisation_after(name, names[position + 1 :], parent)
            holder, last = _last_layer(parent, name)
            convolution, normalisation = holder.get_submodule(last), children.get(following or "")
            if isinstance(convolution, nn.Conv2d) and isinstance(normalisation, nn.BatchNorm2d):
                holder.add_module(last, fuse_conv_bn_eval(convolution, normalisation))
                parent.add_module(str(following), _without_normalisation(normalisation))
                folded += 1
    return folded


def flatten_in_memory_order(network: nn.Module) -> int:
    """Let every box head read pooled features as they lie in memory, in place.

    Pooled features are channels last; bringing thousands of boxes to the order of the checkpoints
    costs more than changing the weights once. For inference only. Returns the number of heads.
    """
    heads = [module for module in network.modules() if isinstance(module, BoxHead)]
    for head in heads:
        head.flatten_in_memory_order()
    return len(heads)


def _last_layer(parent: nn.Module, name: str) -> tuple[nn.Module, str]:
    """The child itself, or where it is a sequence its last layer: holder and name."""
    child = parent.get_submodule(name)
    if isinstance(child, nn.Sequential) and len(child):
        return child, list(dict(child.named_children()))[-1]
    return parent, name


def _without_normalisation(norm: nn.BatchNorm2d) -> nn.Module:
    """What is left of a layer once its normalisation is folded: the activation it may hold."""
    rest = [getattr(norm, part) for part in ("drop", "act") if hasattr(norm, part)]
    rest = [module for module in rest if not isinstance(module, nn.Identity)]
    if not rest:
        return nn.Identity()
    return rest[0] if len(rest) == 1 else nn.Sequential(*rest)


def _normalisation_after(name: str, later: list[str], parent: nn.Module) -> str | None:
    """Name of the child that normalises the output of child `name`."""
    known = _FOLLOWING.get(type(parent).__name__, {})
    if name in known:
        return known[name]
    if name.startswith("conv") and f"bn{name[4:]}" in later:
        return f"bn{name[4:]}"
    return later[0] if isinstance(parent, nn.Sequential) and later else None
