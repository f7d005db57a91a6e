"""The image classifier learns, survives a bundle, and finds no objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch.nn import functional

from napari_sartorius.core.errors import UserError
from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.classifier import ImageClassifier
from napari_sartorius.nn.config import (
    Architecture,
    ClassifierTrunkConfig,
    ImageClassifierConfig,
)
from napari_sartorius.nn.fold import fold_batch_norm
from napari_sartorius.nn.targets import Target
from napari_sartorius.nn.trunks.freeze import batch_norms
from napari_sartorius.zoo import save_bundle
from tiny_models import tiny_card

if TYPE_CHECKING:
    from pathlib import Path

SIDE = 64


def _built(**changes: Any) -> ImageClassifier:
    torch.manual_seed(0)
    fields: dict[str, Any] = {"num_classes": 2, "image_size": (SIDE, SIDE)}
    network = build_network(ImageClassifierConfig(**(fields | changes)))
    assert isinstance(network, ImageClassifier)
    return network


def _pictures(seed: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise with bright discs (class 0) or with bright rods (class 1) of the same area."""
    rng = np.random.default_rng(seed)
    yy, xx = np.mgrid[:SIDE, :SIDE]
    pictures, labels = [], []
    for number in range(count):
        picture = rng.normal(0, 0.3, (SIDE, SIDE))
        label = number % 2
        for _ in range(6):
            y, x = rng.integers(10, SIDE - 10, 2)
            angle = rng.uniform(0, np.pi)
            along = (xx - x) * np.cos(angle) + (yy - y) * np.sin(angle)
            across = (yy - y) * np.cos(angle) - (xx - x) * np.sin(angle)
            sides = (5, 5) if label == 0 else (14, 1.8)
            picture += 1.5 * ((along / sides[0]) ** 2 + (across / sides[1]) ** 2 < 1)
        pictures.append(picture)
        labels.append(label)
    return torch.tensor(np.stack(pictures)[:, None], dtype=torch.float32), torch.tensor(labels)


def test_it_learns_to_tell_two_kinds_of_images_apart() -> None:
    network = _built().train()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.2  # its statistics must keep up with so few steps
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    losses = []
    for step in range(44):
        optimiser.param_groups[0]["lr"] = 3e-3 * min(1, (44 - step) / 22)
        batch, labels = _pictures(step, 12)
        loss = functional.cross_entropy(network(batch), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
    batch, labels = _pictures(1000, 40)
    probabilities = network.eval().classify(batch)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(40))
    assert (probabilities.argmax(dim=1) == labels).float().mean() > 0.9


@pytest.mark.parametrize("name", ["resnet10t", "tf_efficientnetv2_b0", "tf_efficientnet_b4"])
def test_folding_reaches_every_batch_normalisation_and_changes_no_answer(name: str) -> None:
    network = _built(trunk=ClassifierTrunkConfig(name=name))
    for module in batch_norms(network):
        torch.nn.init.uniform_(module.weight, 0.5, 1.5)
        torch.nn.init.normal_(module.bias, std=0.1)
        assert module.running_var is not None
        torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    network.double().eval()
    count, batch = len(batch_norms(network)), torch.randn(2, 1, SIDE, SIDE).double()
    with torch.inference_mode():
        before = network.body(batch)
        assert fold_batch_norm(network) == count > 10
        assert not batch_norms(network)
        torch.testing.assert_close(network.body(batch), before, rtol=1e-8, atol=1e-10)


def test_images_of_any_size_are_brought_to_its_own() -> None:
    network = _built(image_size=(32, 48), trunk=ClassifierTrunkConfig(in_channels=3)).eval()
    large = torch.randn(2, 3, 128, 96)
    small = torch.nn.functional.interpolate(large, (32, 48), mode="bilinear", antialias=True)
    torch.testing.assert_close(network.classify(large), network.classify(small))


@pytest.mark.parametrize(
    "name", ["swin_tiny_patch4_window7_224", "resnet18", "vit_tiny_patch16_224"]
)
def test_any_timm_name_will_do(name: str) -> None:
    with torch.device("meta"):
        network = _built(trunk=ClassifierTrunkConfig(name=name), num_classes=3)
        assert network(torch.zeros(2, 1, 100, 80)).shape == (2, 3)


def test_objects_tell_the_class_of_their_image() -> None:
    network = _built().train()
    none = torch.zeros(0, dtype=torch.int64)

    def target(labels: list[int]) -> Target:
        return Target(torch.zeros(0, 4), torch.tensor(labels, dtype=torch.int64), none, none, none)

    batch = torch.randn(3, 1, SIDE, SIDE)
    network.eval()
    loss = network.losses(batch, [target([0, 1, 1]), target([]), target([0])])["image_class"]
    wanted = functional.cross_entropy(network(batch[[0, 2]]), torch.tensor([1, 0]))
    torch.testing.assert_close(loss, wanted)
    assert network.losses(batch, [target([])] * 3)["image_class"] == 0


def test_weights_survive_a_bundle(tmp_path: Path) -> None:
    network = _built()
    card = tiny_card(architecture=network.config)
    loaded = save_bundle(tmp_path / "type", card, network.state_dict(), "float32").load_network()
    assert type(loaded) is ImageClassifier
    before, after = network.state_dict(), loaded.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    batch = torch.randn(1, 1, SIDE, SIDE)
    torch.testing.assert_close(network.eval().classify(batch), loaded.classify(batch))
    with pytest.raises(UserError, match="finds no objects"):
        loaded.detect(batch)


def test_wrong_trees_are_refused() -> None:
    reader: TypeAdapter[ImageClassifierConfig] = TypeAdapter(Architecture)
    tree = ImageClassifierConfig(num_classes=3)
    assert reader.validate_json(tree.model_dump_json()) == tree
    with pytest.raises(ValidationError):
        ImageClassifierConfig(num_classes=1)
    with pytest.raises(UserError, match="timm cannot make the classifier efficientnet_b99"):
        _built(trunk=ClassifierTrunkConfig(name="efficientnet_b99"))
