"""Convolutions that rectify, or add and rectify, what they compute before they write it.

A rectifier of its own, and a sum before it, read and write whole maps again; in bfloat16, whose
products are quick, they take a quarter of a residual network's time. oneDNN does both as it writes
the product. For detection on the processor only: nothing of this has gradients.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, cast

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

# Convolution and activation of timm's blocks that follow each other with nothing but a folded
# normalisation, and what does nothing in detection, between them.
_PAIRS = {
    "Bottleneck": (("conv1", "act1"), ("conv2", "act2")),
    "BasicBlock": (("conv1", "act1"),),
    "ResNestBottleneck": (("conv1", "act1"),),
    "SplitAttn": (("conv", "act0"), ("fc1", "act1")),
}


class RectifiedConv2d(nn.Conv2d):
    """Convolution whose output is cut off at zero."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name that torch gave it
        """Map (B, C, H, W) of a map, in the arithmetic of the weights."""
        given = input.to(self.weight.dtype)
        if given.numel() == 0:
            return functional.relu(super().forward(given))
        made: Tensor = torch.ops.mkldnn._convolution_pointwise(
            given, self.weight, self.bias, *_how(self), "relu", [], ""
        )
        return made


class AddedConv2d(nn.Conv2d):
    """Convolution that adds its output to another map, in place, and cuts off the sum at zero."""

    def forward(self, input: Tensor, other: Tensor) -> Tensor:  # type: ignore[override]  # noqa: A002
        """`other` (B, C, H, W), which now holds the result."""
        made: Tensor = torch.ops.mkldnn._convolution_pointwise_.binary(
            other, input, self.weight, self.bias, *_how(self), "add", 1.0, "relu", [], ""
        )
        return made


class RectifiedConvTranspose2d(nn.ConvTranspose2d):
    """Transposed convolution whose output is cut off at zero."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:  # noqa: A002
        """Map (B, C, H, W) of a map, in the arithmetic of the weights."""
        del output_size
        given = input.to(self.weight.dtype)
        if given.numel() == 0:
            return functional.relu(super().forward(given))
        padding, stride, dilation, groups = _how(self)
        made: Tensor = torch.ops.mkldnn._convolution_transpose_pointwise(
            given,
            self.weight,
            self.bias,
            padding,
            list(self.output_padding),
            stride,
            dilation,
            groups,
            "relu",
            [],
            "",
        )
        return made


_How = tuple[list[int], list[int], list[int], int]


def _how(layer: nn.Conv2d | nn.ConvTranspose2d) -> _How:
    sides = cast("tuple[int, ...]", layer.padding)
    return list(sides), list(layer.stride), list(layer.dilation), layer.groups


def rectified(layer: nn.Module, given: Tensor, norm: nn.Module | None = None) -> Tensor:
    """What a layer and its normalisation make of a map, cut off at zero, by whoever does that."""
    made: Tensor = layer(given)
    if isinstance(layer, RectifiedConv2d | RectifiedConvTranspose2d):
        return made
    return functional.relu(made if norm is None else norm(made), inplace=True)


def added(layer: nn.Module, given: Tensor, norm: nn.Module, beside: Tensor) -> Tensor:
    """What a layer and its normalisation make of a map, plus another one, cut off at zero.

    `beside` may be overwritten where no gradients are needed.
    """
    if isinstance(layer, AddedConv2d):
        return cast("Tensor", layer(given, beside))
    made: Tensor = norm(layer(given))
    made += beside
    return functional.relu(made, inplace=True)


def rectify_as_written(network: nn.Module, device: str) -> int:
    """Replace convolutions that a rectifier follows, in place, where oneDNN can do both in one.

    Batch normalisation must have been folded, and weights must have their final type; for
    detection only. Found are neighbours in sequences, pairs of timm's blocks, and what a module
    names in ``rectified_layers`` and ``added_layers`` because it calls `rectified` and `added`.

    Returns
    -------
    int
        Number of layers replaced.
    """
    if torch.device(device).type != "cpu" or not _HAS_THEM:
        return 0
    count = 0
    for parent in list(network.modules()):
        for name, activation in _followed(parent):
            if _replace(parent, name, _RECTIFIED):
                count += 1
                if activation is not None:
                    parent.add_module(activation, nn.Identity())
        for name in getattr(parent, "added_layers", ()):
            count += _is_folded(parent, name) and _replace(parent, name, {nn.Conv2d: AddedConv2d})
    return count


_HAS_THEM = torch.backends.mkldnn.is_available() and all(  # type: ignore[no-untyped-call]
    hasattr(torch.ops.mkldnn, name)
    for name in (
        "_convolution_pointwise",
        "_convolution_pointwise_",
        "_convolution_transpose_pointwise",
        "_is_mkldnn_bf16_supported",
    )
)
_RECTIFIED: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv2d: RectifiedConv2d,
    nn.ConvTranspose2d: RectifiedConvTranspose2d,
}


def _followed(parent: nn.Module) -> list[tuple[str, str | None]]:
    """Layers that a rectifier follows, and where that is a module, its name."""
    children = dict(parent.named_children())
    pairs: list[tuple[str, str | None]] = [
        (name, None) for name in getattr(parent, "rectified_layers", ()) if _is_folded(parent, name)
    ]
    for name, activation in _PAIRS.get(type(parent).__name__, ()):
        if isinstance(children.get(activation), nn.ReLU) and _is_folded(parent, name):
            pairs.append((name, activation))
    if isinstance(parent, nn.Sequential):
        kept = [name for name, child in children.items() if not isinstance(child, nn.Identity)]
        pairs += [
            (name, after) for name, after in pairwise(kept) if isinstance(children[after], nn.ReLU)
        ]
    return pairs


def _is_folded(parent: nn.Module, name: str) -> bool:
    """Whether nothing is left of the normalisation of a layer that is called as timm calls it."""
    if type(parent).__name__ == "SplitAttn":
        norm = {"conv": "bn0", "fc1": "bn1"}[name]
    else:
        norm = f"bn{name.removeprefix('conv')}"
    return isinstance(getattr(parent, norm, nn.Identity()), nn.Identity)


def _replace(parent: nn.Module, name: str, classes: dict[type[nn.Module], type[nn.Module]]) -> bool:
    """Let a layer be one of another class with the same weights; False where that cannot be."""
    layer = parent.get_submodule(name)
    # Subclasses may have a reason to compute in another way.
    wanted = classes.get(type(layer))
    if wanted is None or getattr(layer, "padding_mode", "zeros") != "zeros":
        return False
    if isinstance(getattr(layer, "padding", ()), str):
        return False
    half = cast("Tensor", layer.weight).dtype == torch.bfloat16
    if half and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    layer.requires_grad_(False)
    layer.__class__ = wanted
    return True
