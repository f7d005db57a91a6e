"""VoVNetV2: strides, channels, and what its blocks compute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from napari_sartorius.nn.config import VoVNetConfig
from napari_sartorius.nn.fold import fold_batch_norm
from napari_sartorius.nn.norms import FrozenBatchNorm
from napari_sartorius.nn.trunks.build import build_trunk
from napari_sartorius.nn.trunks.freeze import batch_norms
from napari_sartorius.nn.trunks.places import mean_of_places

if TYPE_CHECKING:
    from napari_sartorius.nn.trunks.trunk import Trunk

SIZES = {
    "19-slim": (112, 256, 384, 512),
    "19": (256, 512, 768, 1024),
    "39": (256, 512, 768, 1024),
    "57": (256, 512, 768, 1024),
    "99": (256, 512, 768, 1024),
}


@pytest.mark.parametrize("size", list(SIZES))
@pytest.mark.parametrize(("stem_stride", "in_channels"), [(2, 3), (1, 1)])
def test_maps_have_the_strides_and_channels_they_claim(
    size: Any, stem_stride: Any, in_channels: Any
) -> None:
    config = VoVNetConfig(size=size, stem_stride=stem_stride, in_channels=in_channels)
    with torch.device("meta"):
        trunk = build_trunk(config)
        maps = trunk(torch.zeros(1, in_channels, 64, 96))
    assert trunk.strides == tuple(s * stem_stride // 2 for s in (4, 8, 16, 32))
    assert trunk.channels == SIZES[size]
    for level, stride, channels in zip(maps, trunk.strides, trunk.channels, strict=True):
        assert level.shape == (1, channels, 64 // stride, 96 // stride)


@pytest.mark.parametrize("norm", ["batch", "frozen"])
def test_normalisation_is_folded_away_and_the_result_stays(norm: Any) -> None:
    torch.manual_seed(0)
    trunk = build_trunk(VoVNetConfig(size="19-slim", in_channels=1, norm=norm))
    for module in batch_norms(trunk):
        nn.init.uniform_(module.weight, 0.5, 1.5)
        nn.init.normal_(module.bias, std=0.1)
        assert module.running_var is not None
        nn.init.uniform_(module.running_var, 0.5, 2.0)
    trunk.eval()
    picture = torch.randn(1, 1, 64, 64)
    with torch.inference_mode():
        before = trunk(picture)
        # Three convolutions in the stem, three and a joining one in each of four blocks.
        assert fold_batch_norm(trunk) == 3 + 4 * 4
        after = trunk(picture)
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(one.abs().max()))


def _updated(trunk: Trunk) -> set[str]:
    """Names of the tensors that one step of training changes."""
    trunk.train()
    before = {name: value.clone() for name, value in trunk.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in trunk.parameters() if p.requires_grad], lr=1.0)
    torch.stack([m.square().mean() for m in trunk(torch.randn(2, 1, 64, 64))]).sum().backward()
    optimiser.step()
    after = trunk.state_dict()
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


def test_frozen_normalisation_stays_as_it_is_in_training() -> None:
    torch.manual_seed(0)
    trunk = build_trunk(VoVNetConfig(size="19-slim", in_channels=1, norm="frozen"))
    assert {type(m) for m in batch_norms(trunk)} == {FrozenBatchNorm}
    trained = {name for name, p in trunk.named_parameters() if p.requires_grad}
    # Second in every block of convolution, normalisation and activation.
    norms = {name for name in trunk.state_dict() if name.split(".")[-2] == "1" and "stem" in name}
    assert len(norms) == 3 * 5
    updated = _updated(trunk)
    assert not updated & norms
    assert updated == trained
    plain = build_trunk(VoVNetConfig(size="19-slim", in_channels=1))
    assert {name for name in norms if "running" in name} <= _updated(plain)
    # The same tensors by the same names: a model may be trained on with the other one.
    assert list(plain.state_dict()) == list(trunk.state_dict())


@pytest.mark.parametrize("size", ["19-slim", "39"])
def test_group_normalisation_takes_the_place_of_all_batch_normalisation(size: Any) -> None:
    torch.manual_seed(0)
    with torch.device("meta"):
        count = len(batch_norms(build_trunk(VoVNetConfig(size=size, in_channels=1))))
    trunk = build_trunk(VoVNetConfig(size=size, in_channels=1, norm="group")).train()
    groups = [m for m in trunk.modules() if isinstance(m, nn.GroupNorm)]
    assert len(groups) == count > 0
    assert not batch_norms(trunk)
    # The narrow network has layers of 80 and 112 channels, which 32 groups do not divide.
    fewer = {m.num_groups for m in groups}
    assert fewer == ({8, 32} if size == "19-slim" else {32})
    one, two = torch.randn(2, 1, 1, 64, 64)
    with torch.no_grad():
        together = trunk(torch.cat([one, two]))
        for level, alone in zip(together, trunk(one), strict=True):
            torch.testing.assert_close(level[:1], alone, rtol=1e-3, atol=1e-3)


def test_channels_are_weighed_by_their_means_in_every_arithmetic() -> None:
    torch.manual_seed(0)
    maps = (torch.randn(2, 24, 33, 20) + torch.linspace(-1, 1, 24).view(-1, 1, 1)).bfloat16()
    wanted = maps.float().mean((2, 3), keepdim=True)
    for layout in (torch.channels_last, torch.contiguous_format):
        given = maps.contiguous(memory_format=layout)
        with torch.inference_mode():
            found = mean_of_places(given)
        assert found.dtype == torch.bfloat16
        torch.testing.assert_close(found.float(), wanted, rtol=2**-7, atol=2e-3)
