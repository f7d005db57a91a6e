"""Deformable convolution: torchvision's numbers the faster way too, and true gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.ops import deform_conv2d

from napari_sartorius.nn.deformable import DeformableConv2d
from napari_sartorius.nn.deformable_gather import gathered_taps


def _layer(spread: float, channels: int = 8) -> DeformableConv2d:
    """Taps that look `spread` pixels away, so that many leave the map."""
    layer = DeformableConv2d(channels, 12, groups=2)
    assert layer.offset.bias is not None
    nn.init.normal_(layer.offset.weight, std=0.1 * spread)
    nn.init.normal_(layer.offset.bias, std=spread)
    return layer


@pytest.mark.parametrize("spread", [0.0, 0.5, 3.0, 40.0])
@pytest.mark.parametrize("shape", [(2, 8, 9, 14), (1, 8, 1, 5), (3, 8, 4, 4)])
def test_the_gather_gives_torchvisions_numbers(
    spread: float, shape: tuple[int, int, int, int]
) -> None:
    torch.manual_seed(0)
    layer = _layer(spread)
    values = torch.randn(shape)
    with torch.inference_mode():
        fast = layer(values)
        same = layer(values.to(memory_format=torch.channels_last))
        layer.by_gather = False
        slow = layer(values)
    torch.testing.assert_close(fast, slow, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(same, slow, rtol=1e-5, atol=1e-5)
    if spread == 0:
        regular = functional.conv2d(values, layer.weight, padding=1, groups=2) / 2
        torch.testing.assert_close(fast, regular, rtol=1e-5, atol=1e-5)


def test_taps_outside_the_map_are_zero_and_those_at_its_edge_are_shared() -> None:
    values = torch.ones(1, 1, 3, 3)
    offsets = torch.zeros(1, 18, 3, 3)
    offsets[:, 8] = -0.25  # dy of the middle tap
    taps = gathered_taps(values, offsets, torch.ones(1, 9, 3, 3)).view(3, 3, 9)
    torch.testing.assert_close(taps[:, :, 4], torch.tensor([[0.75] * 3, [1.0] * 3, [1.0] * 3]))
    assert taps[0, 0].tolist() == [0, 0, 0, 0, 0.75, 1, 0, 1, 1]
    offsets[:, 8] = 1e30
    taps = gathered_taps(values, offsets, torch.ones(1, 9, 3, 3)).view(3, 3, 9)
    assert not taps[:, :, 4].any()


def test_gradients_are_those_of_small_changes() -> None:
    torch.manual_seed(0)
    layer = _layer(0.7, channels=4).double()
    values = torch.randn(1, 4, 3, 3, dtype=torch.float64, requires_grad=True)
    parameters = dict(layer.named_parameters())

    def run(given: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
        named = dict(zip(parameters, weights, strict=True))
        result: torch.Tensor = torch.func.functional_call(layer, named, (given,))
        return result

    assert torch.autograd.gradcheck(run, (values, *parameters.values()))


def test_it_learns_where_to_look() -> None:
    """The target is the image moved by two pixels, which no regular 3x3 kernel can reach."""
    torch.manual_seed(0)
    layer = DeformableConv2d(1, 1)
    image = functional.avg_pool2d(torch.randn(1, 1, 40, 40), 5, 1, 2) * 5
    target = functional.pad(image, (0, 2))[..., 2:]
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.03)
    losses = []
    for _ in range(150):
        loss = functional.mse_loss(layer(image), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.1 * losses[0]
    assert layer.offset.bias is not None
    assert float(layer.offset.bias[1:18:2].detach().max()) > 0.5


def test_it_runs_where_the_rest_is_halved() -> None:
    torch.manual_seed(0)
    layer = _layer(1.0)
    values = torch.randn(1, 8, 8, 8)
    with torch.no_grad():
        wanted = deform_conv2d(
            values,
            (places := layer.offset(values))[:, :36],
            layer.weight,
            padding=1,
            mask=places[:, 36:].sigmoid(),
        )
    for gather in (True, False):
        layer.by_gather = gather
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            halved = layer(values.bfloat16())
        assert halved.dtype == torch.bfloat16
        assert (halved - wanted).abs().mean() < 0.03 * wanted.abs().mean()
    with torch.autocast("cpu", torch.bfloat16):
        layer(values.bfloat16()).float().sum().backward()
    assert layer.offset.weight.grad is not None
    assert torch.isfinite(layer.offset.weight.grad).all()
