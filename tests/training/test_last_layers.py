"""Which layers begin anew for other categories: of every family of networks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.progress import Monitor
from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.config import (
    Architecture,
    CascadeMaskRCNNConfig,
    CenterMaskConfig,
    HTCConfig,
    ImageClassifierConfig,
    MaskRCNNConfig,
    SOLOv2Config,
    TrunkConfig,
)
from napari_sartorius.nn.mask_rcnn import MaskRCNN
from napari_sartorius.training.last_layers import (
    category_tensors,
    for_more_kinds,
    without_last_layers,
)
from napari_sartorius.training.new_kinds import in_doubt, most_alike, with_new_kinds
from napari_sartorius.training.terms import knows_the_first, same_kinds
from tiny_models import tiny_architecture

if TYPE_CHECKING:
    from napari_sartorius.training.images import AnnotatedImage

TRUNK = TrunkConfig(name="resnet18", widths=(16, 16, 16, 16))


FAMILIES: list[Architecture] = [
    MaskRCNNConfig(num_classes=2, trunk=TRUNK),
    CascadeMaskRCNNConfig(num_classes=2, trunk=TRUNK),
    HTCConfig(num_classes=2, trunk=TRUNK),
    CenterMaskConfig(num_classes=2, trunk=TRUNK),
    SOLOv2Config(num_classes=2, trunk=TRUNK),
    ImageClassifierConfig(num_classes=2),
]


@pytest.mark.parametrize("architecture", FAMILIES, ids=lambda tree: tree.family)
def test_only_last_layers_depend_on_categories(architecture: Architecture) -> None:
    names = category_tensors(architecture)
    assert names and not any(name.startswith(("trunk", "pyramid")) for name in names)
    assert all(name.endswith(("weight", "bias")) for name in names)
    if architecture.family == "htc":
        assert len([name for name in names if "mask" in name and name.endswith("weight")]) == 3


def test_what_is_left_is_all_but_the_last_layers() -> None:
    architecture = tiny_architecture()
    weights = dict(build_network(architecture).state_dict())
    kept, sentence = without_last_layers(weights, architecture)
    dropped = set(weights) - set(kept)
    assert dropped == category_tensors(architecture)
    assert "the last layers begin anew: box_head" in sentence and "mask_head" in sentence


def test_categories_are_the_same_by_name_and_order() -> None:
    assert same_kinds(["a", "b"], ["a", "b"]) and same_kinds(["nucleus"], ["cell"])
    assert not same_kinds(["a", "b"], ["b", "a"]) and not same_kinds(["a"], ["a", "b"])


@pytest.mark.parametrize("architecture", FAMILIES, ids=lambda tree: tree.family)
def test_a_new_kind_begins_as_the_old_one_that_it_is_like(architecture: Architecture) -> None:
    old = dict(build_network(architecture).state_dict())
    wider = build_network(architecture.model_copy(update={"num_classes": 4}))
    weights = for_more_kinds(old, architecture, [0, 1, 1, 0])
    wider.load_state_dict(weights)  # every tensor is there, in its shape
    for name in category_tensors(architecture):
        of_kind = (len(weights[name]) - len(old[name])) // 2
        blocks = weights[name][: 4 * of_kind].chunk(4)
        for new, number in zip(blocks, (0, 1, 1, 0), strict=True):
            assert torch.equal(new, old[name][number * of_kind : (number + 1) * of_kind])
        assert torch.equal(weights[name][4 * of_kind :], old[name][2 * of_kind :])  # background


def test_old_kinds_are_judged_as_before() -> None:
    architecture = MaskRCNNConfig(num_classes=2, trunk=TRUNK)
    network = build_network(architecture).eval()
    wider = with_new_kinds(network, architecture.model_copy(update={"num_classes": 3}), [1])
    assert isinstance(network, MaskRCNN) and isinstance(wider, MaskRCNN)
    features = torch.rand(5, network.box_head.class_logits.in_features)
    before, after = (one.box_head.class_logits(features) for one in (network, wider))
    torch.testing.assert_close(after[:, [0, 1, 3]], before)
    torch.testing.assert_close(after[:, 2], before[:, 1])


def test_kinds_that_come_first_are_known() -> None:
    assert knows_the_first(["a", "b"], ["a", "b", "new"]) and knows_the_first(["cell"], ["x"])
    assert not knows_the_first(["a", "b"], ["a"]) and not knows_the_first(["a"], ["x", "a"])


def test_a_new_kind_is_like_what_its_cells_are_taken_for(
    discs: list[AnnotatedImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(network: object, image: AnnotatedImage, *_: object) -> Instances:
        return Instances.from_masks(image.masks, categories=np.where(image.categories == 3, 2, 1))

    monkeypatch.setattr("napari_sartorius.training.new_kinds.predict", found)
    network: Any = None
    images = [replace(one, categories=one.categories + 3) for one in discs]
    cpu = torch.device("cpu")
    assert most_alike(network, images, 3, 5, Monitor(), cpu, torch.float32) == [2, 1]
    # of a sixth kind there is no cell: it begins as what is found most, four discs of seven cells
    assert most_alike(network, images, 3, 6, Monitor(), cpu, torch.float32) == [2, 1, 2]


@pytest.mark.parametrize("architecture", FAMILIES[:-1], ids=lambda tree: tree.family)
def test_a_new_kind_must_be_likelier_than_the_old_one(architecture: Architecture) -> None:
    weights = dict(build_network(architecture.model_copy(update={"num_classes": 4})).state_dict())
    doubted = in_doubt(weights, 3)
    changed = {name for name, value in weights.items() if not torch.equal(value, doubted[name])}
    assert changed and all(name.endswith(".bias") and "mask" not in name for name in changed)
    stages = 3 if architecture.family in ("cascade_mask_rcnn", "htc") else 1
    assert len(changed) == stages
    for name in changed:
        torch.testing.assert_close(
            weights[name] - doubted[name], torch.eye(len(weights[name]))[3] * 2
        )
    assert all(torch.equal(value, in_doubt(weights, 4)[name]) for name, value in weights.items())
