"""Rates follow their schedule; the average follows its formula; frozen layers follow nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor
from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.config import (
    ImageClassifierConfig,
    ResNeStConfig,
    TrunkConfig,
    VoVNetConfig,
)
from napari_sartorius.nn.trunks.build import build_trunk
from napari_sartorius.nn.trunks.freeze import batch_norms
from napari_sartorius.training.average import WeightAverage
from napari_sartorius.training.config import FreezeConfig
from napari_sartorius.training.fit import Trainer
from napari_sartorius.training.freeze import Frozen
from napari_sartorius.training.optimiser import learning_rate, make_optimiser
from tiny_runs import squares, tiny_run

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.nn.config import AnyTrunk


def test_rates() -> None:
    common = {"steps": 110, "warmup_steps": 10, "learning_rate": 1.0}
    linear = tiny_run(schedule="linear", **common)
    cosine = tiny_run(schedule="cosine", **common)
    steps = tiny_run(schedule="steps", decay_steps=(40, 80), decay_factor=0.5, **common)
    for config in (linear, cosine, steps):
        assert [learning_rate(i, config) for i in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert [learning_rate(i, linear) for i in (10, 60, 109)] == pytest.approx([1, 0.5, 0.01])
    assert [learning_rate(i, cosine) for i in (10, 60, 110)] == pytest.approx([1, 0.505, 0.01])
    assert [learning_rate(i, steps) for i in (39, 40, 79, 80, 109)] == [1, 0.5, 0.5, 0.25, 0.25]
    seventh = tiny_run(
        schedule="steps", decay_steps=(20000,), learning_rate=0.003, steps=30000, warmup_steps=0
    )
    assert learning_rate(19999, seventh) == 0.003
    assert learning_rate(20000, seventh) == pytest.approx(0.0003)


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_the_optimiser_is_the_one_of_the_formulas(kind: str) -> None:
    """Fused kernels, channels-last weights and plain loops give the same numbers."""
    config = tiny_run(optimiser=kind, momentum=0.8, learning_rate=0.01)
    nets = []
    for fused in (True, False):
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(3, 16, 3, bias=False), nn.BatchNorm2d(16), nn.Conv2d(16, 4, 1)
        )
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimiser = make_optimiser(net, config)
        if not fused:
            groups = [dict(g, fused=False) for g in optimiser.param_groups]
            plain = torch.optim.AdamW if kind == "adamw" else torch.optim.SGD
            options = {} if kind == "adamw" else {"momentum": 0.8}
            optimiser = plain(groups, lr=0.01, foreach=False, **options)
        for seed in range(5):
            torch.manual_seed(seed)
            optimiser.zero_grad()
            net(torch.randn(2, 3, 8, 8)).square().mean().backward()
            optimiser.step()
        nets.append(net)
    torch.testing.assert_close(nets[0].state_dict(), nets[1].state_dict(), rtol=1e-5, atol=1e-6)
    assert [len(g["params"]) for g in optimiser.param_groups] == [2, 3]


def test_the_average_is_to_the_bit_that_of_one_tensor_after_the_other() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
    average = WeightAverage(network, 0.9)
    wanted = {k: v.clone() for k, v in network.state_dict().items()}
    for step in range(12):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter += torch.randn_like(parameter)
        network(torch.randn(2, 1, 5, 5))
        average.update(network, step)
        decay = min(0.9, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            if value.dtype.is_floating_point:
                wanted[name].lerp_(value, 1 - decay)
            else:
                wanted[name].copy_(value)
    for name, value in average.network.state_dict().items():
        assert torch.equal(value, wanted[name]), name
    assert average.network.state_dict()["1.num_batches_tracked"] == 12


TRUNKS: list[AnyTrunk] = [
    TrunkConfig(name="resnet18", widths=(16, 16, 16, 16)),
    TrunkConfig(name="tf_efficientnet_b0"),
    TrunkConfig(name="swin_tiny_patch4_window7_224", in_channels=3),
    ResNeStConfig(depth=50),
    VoVNetConfig(size="19-slim"),
    VoVNetConfig(size="19-slim", norm="group"),
]


@pytest.mark.parametrize("config", TRUNKS, ids=lambda c: getattr(c, "name", c.kind))
def test_stages_of_every_family_of_trunks_can_be_frozen(config: AnyTrunk) -> None:
    with torch.device("meta"):
        trunk = build_trunk(config)
    counts = []
    for count in range(6):
        parts = trunk.first_parts(count)
        counts.append(sum(p.numel() for m in parts for p in m.parameters(recurse=False)))
    assert counts[0] == 0
    assert counts == sorted(set(counts))
    # All is frozen but what comes after the stages: the norms of Swin's maps.
    after = sum(p.numel() for n, p in trunk.named_parameters() if n.startswith("level_norms"))
    assert counts[5] == sum(p.numel() for p in trunk.parameters()) - after
    # The stem is what sees the image.
    first = next(m for m in trunk.modules() if isinstance(m, nn.Conv2d))
    assert first in trunk.first_parts(1)


def test_frozen_layers_neither_learn_nor_take_statistics(tmp_path: Path) -> None:
    images = squares(3)
    config = tiny_run(steps=2, freeze=FreezeConfig(trunk_stages=2, normalisation=True))
    trainer = Trainer(config, images[:2], images[2:], tmp_path, Monitor())
    before = {k: v.clone() for k, v in trainer.network.state_dict().items()}
    trainer.fit()
    changed = {k for k, v in trainer.network.state_dict().items() if not torch.equal(v, before[k])}
    frozen = ("trunk.body.conv1", "trunk.body.layer1.")
    assert not [name for name in changed if name.startswith(frozen)]
    assert not [name for name in changed if "bn" in name or "running" in name]
    assert {"trunk.body.layer2.0.conv1.weight", "trunk.body.layer4.1.conv2.weight"} <= changed
    assert trainer.network.training
    assert not any(norm.training for norm in batch_norms(trainer.network))


def test_a_network_without_stages_says_so() -> None:
    network = build_network(ImageClassifierConfig(num_classes=2))
    with pytest.raises(UserError, match="ImageClassifier has no trunk with stages"):
        Frozen(network, FreezeConfig(trunk_stages=1))
    Frozen(network, FreezeConfig(normalisation=True)).train(network)
    assert not any(norm.training for norm in batch_norms(network))


def test_sgd_steps_linear_and_weights_train_together(tmp_path: Path) -> None:
    images = squares(3)
    config = tiny_run(
        steps=4, optimiser="sgd", schedule="steps", decay_steps=(2,), warmup_steps=0,
        loss_decay=True, loss_weights={"mask": 1.5, "class": 0.5}, select_by="ap",
        learning_rate=0.01, validate_every=2,
    )  # fmt: skip
    trainer = Trainer(config, images[:2], images[2:], tmp_path, Monitor())
    result = trainer.fit()
    assert [row["learning_rate"] for row in trainer.progress.rows] == pytest.approx([0.01, 0.001])
    assert result.best_score == max(row["ap"] for row in trainer.progress.rows)
    assert all(np.isfinite(row["loss_mask"]) for row in trainer.progress.rows)
