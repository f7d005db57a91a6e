"""How clear a new kind is in its own images decides how much evidence it needs."""

from __future__ import annotations

from math import log
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.progress import Monitor
from napari_sartorius.nn.build import build_network
from napari_sartorius.training import new_kind_votes as votes
from napari_sartorius.training.images import AnnotatedImage
from napari_sartorius.zoo.card import Thresholds

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sartorius.training.config import TrainConfig

NAMES = ["old", "older", "new"]


def start_card(names: list[str], *, one: bool = True, **limits: Thresholds) -> Any:
    """What is read of the card of a start."""
    return SimpleNamespace(
        category_names=names,
        one_category_per_image=one,
        thresholds_of=lambda name: limits.get(name, Thresholds()),
    )


def image(name: str, *kinds: int) -> AnnotatedImage:
    masks = np.zeros((len(kinds), 64, 64), bool)
    for number in range(len(kinds)):
        masks[number, number * 8 : number * 8 + 6, 4:12] = True
    pixels = np.zeros((64, 64, 1), np.float16)
    return AnnotatedImage(name, pixels, CropMasks.from_full(masks), np.array(kinds))


@pytest.mark.parametrize(
    ("sums", "expected"),
    [
        ([1.0, 2.0, 8.0], log(4.0)),
        ([0.0, 0.0, 8.0], log(100.0)),
        ([9.0, 0.0, 8.0], 0.0),
        ([0.0, 0.0, 0.0], 0.0),
    ],
)
def test_evidence_is_how_many_times_the_votes(sums: list[float], expected: float) -> None:
    assert votes.evidence(sums, 2, [2]) == pytest.approx(expected)


def test_another_new_kind_is_no_evidence_against_one() -> None:
    assert votes.evidence([1.0, 50.0, 9.0], 2, [1, 2]) == pytest.approx(log(9.0))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tiny_config: TrainConfig) -> Callable[..., Any]:
    """What is found is told by the test; everything else is real."""

    def ask(card: Any, images: list[AnnotatedImage], found: dict[str, list[float]]) -> Any:
        def predict(network: Any, shown: AnnotatedImage, *rest: Any) -> Instances:
            sums = found[shown.name]
            masks = np.zeros((len(sums), 64, 64), bool)
            masks[:, :4, :4] = True
            return Instances.from_masks(
                CropMasks.from_full(masks),
                scores=np.array(sums, np.float32),
                categories=np.arange(len(sums)),
            )

        monkeypatch.setattr(votes, "predict", predict)
        architecture = tiny_config.architecture.model_copy(update={"num_classes": 3})
        config = tiny_config.model_copy(update={"architecture": architecture, "device": "cpu"})
        weights = build_network(architecture).state_dict()
        return votes.new_kind_votes(weights, card, NAMES, config, images, 1.0, Monitor())

    return ask


def test_half_of_the_evidence_of_the_least_clear_image(asked: Callable[..., Any]) -> None:
    card = start_card(NAMES[:2])
    images = [image("clear", 2, 2), image("less", 2), image("old", 0), image("both", 0, 2)]
    found = {"clear": [0.05, 0.0, 0.9], "less": [0.1, 0.05, 0.4], "old": [0.1, 0.1, 0.9]}
    assert asked(card, images, found | {"both": [0.9, 0.0, 0.1]}) == {2: pytest.approx(0.5)}


def test_no_vote_without_one_category_per_image_or_new_kinds(asked: Callable[..., Any]) -> None:
    found = {"clear": [0.05, 0.0, 0.9]}
    mixed = start_card(NAMES[:2], one=False)
    assert asked(mixed, [image("clear", 2)], found) == {}
    known = start_card(NAMES)
    assert asked(known, [image("clear", 2)], found) == {}


def test_a_kind_that_was_new_once_is_asked_again_where_it_is_shown(
    asked: Callable[..., Any],
) -> None:
    card = start_card(NAMES, new=Thresholds(vote=0.2))
    found = {"clear": [0.1, 0.0, 0.9], "old": [0.9, 0.0, 0.0]}
    assert asked(card, [image("clear", 2)], found) == {2: pytest.approx(1 / 3, abs=1e-3)}
    assert asked(card, [image("old", 0)], found) == {2: 0.2}
