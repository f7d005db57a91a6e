"""Which layers begin anew for other categories: of every family of networks."""

from __future__ import annotations

import pytest

from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.config import (
    Architecture,
    CascadeMaskRCNNConfig,
    CenterMaskConfig,
    HTCConfig,
    ImageClassifierConfig,
    MaskRCNNConfig,
    TrunkConfig,
)
from napari_sartorius.training.last_layers import (
    category_tensors,
    same_kinds,
    without_last_layers,
)
from tiny_models import tiny_architecture

TRUNK = TrunkConfig(name="resnet18", widths=(16, 16, 16, 16))


@pytest.mark.parametrize(
    "architecture",
    [
        MaskRCNNConfig(num_classes=2, trunk=TRUNK),
        CascadeMaskRCNNConfig(num_classes=2, trunk=TRUNK),
        HTCConfig(num_classes=2, trunk=TRUNK),
        CenterMaskConfig(num_classes=2, trunk=TRUNK),
        ImageClassifierConfig(num_classes=2),
    ],
    ids=lambda tree: tree.family,
)
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
