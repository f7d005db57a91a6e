"""VoVNetV2: strides, channels, and what its blocks compute."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from napari_sartorius.nn.config import VoVNetConfig
from napari_sartorius.nn.fold import fold_batch_norm
from napari_sartorius.nn.trunks.build import build_trunk

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


def test_normalisation_is_folded_away_and_the_result_stays() -> None:
    torch.manual_seed(0)
    trunk = build_trunk(VoVNetConfig(size="19-slim", in_channels=1))
    trunk.train()
    with torch.no_grad():
        trunk(torch.randn(2, 1, 64, 64))  # so that statistics are not those of no data
    trunk.eval()
    picture = torch.randn(1, 1, 64, 64)
    with torch.inference_mode():
        before = trunk(picture)
        # Three convolutions in the stem, three and a joining one in each of four blocks.
        assert fold_batch_norm(trunk) == 3 + 4 * 4
        after = trunk(picture)
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
