"""What keeps a fine-tuned model from forgetting, part by part."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.progress import Monitor
from napari_sartorius.training import rehearsal
from napari_sartorius.training.config import FreezeConfig, ReplayConfig, TrainConfig
from napari_sartorius.training.finetune_images import FineTuningImages
from napari_sartorius.training.freeze import Frozen
from napari_sartorius.training.images import AnnotatedImage
from napari_sartorius.training.pull import Pull
from napari_sartorius.training.replay import (
    Blend,
    between,
    by_kind,
    choose_blend,
    mixed_sampling,
    old_images,
)

if TYPE_CHECKING:
    from pathlib import Path


def _old(*kinds: int) -> AnnotatedImage:
    """An old image of which only the kinds of its cells matter."""
    masks = CropMasks.from_full(np.ones((len(kinds), 1, 1), bool))
    return AnnotatedImage("old", np.zeros((1, 1, 1), np.float16), masks, np.array(kinds))


def test_old_images_have_their_share_of_the_crops() -> None:
    chances = mixed_sampling(2, [], 4, 0.4).probabilities(7)
    np.testing.assert_allclose(chances, [0.3, 0.3, 0.1, 0.1, 0.1, 0.1])
    alike = mixed_sampling(2, [_old(1, 1)] * 4, 0, 0.4).probabilities(7)
    np.testing.assert_allclose(alike, chances)


def test_rare_old_kinds_are_shown_more_often_than_they_are_many() -> None:
    given = by_kind([_old(2, 2, 0), _old(0), _old(0, 2, 0), _old(0), _old(0)])
    assert [one.categories[0] for one in given] == [0, 0, 0, 0, 2]
    chances = mixed_sampling(1, given, 5, 0.4).probabilities(0)
    # Half of the share is for given images; of that a third is for the one image of its kind.
    np.testing.assert_allclose(chances, [0.6, *[0.1 / 3] * 4, 0.2 / 3, *[0.04] * 5])


@pytest.mark.parametrize(("old", "share"), [(0, 0.0), (3, 0.1), (12, 0.4), (40, 0.4)])
def test_few_old_images_get_less_than_their_share(
    old: int, share: float, tiny_config: TrainConfig
) -> None:
    image: Any = None
    images = FineTuningImages([], [], (frozenset(), frozenset()), old=(image,) * old, generated=old)
    replay = ReplayConfig(share=0.4)
    kept = images.kept(tiny_config.model_copy(update={"replay": replay}), 0.8)
    assert kept is not None
    assert kept.share == pytest.approx(share)
    assert (kept.generated, kept.images, kept.new_weight) == (old, 0, 0.8)


def test_every_step_is_pulled_back_by_a_share_of_the_distance() -> None:
    layer = nn.Linear(2, 2)
    start = {name: value.clone() for name, value in layer.state_dict().items()}
    start["bias"] = torch.zeros(5)  # another shape: nothing to go back to
    free = nn.Linear(2, 2)
    free.load_state_dict(layer.state_dict())
    optimisers = [torch.optim.SGD(one.parameters(), lr=0.1) for one in (layer, free)]
    for one, optimiser in zip((layer, free), optimisers, strict=True):
        one(torch.ones(1, 2)).sum().backward()
        optimiser.step()
    Pull(start, layer, strength=2.0).apply(optimisers[0])
    moved = free.weight - start["weight"]
    assert moved.abs().max() > 0.05
    torch.testing.assert_close(layer.weight - start["weight"], 0.8 * moved)
    torch.testing.assert_close(layer.bias, free.bias)


def test_a_configuration_of_an_earlier_version_holds_what_it_held(
    tiny_config: TrainConfig,
) -> None:
    given = tiny_config.model_dump(mode="json")
    replay = ReplayConfig().model_dump(mode="json")
    for held in (True, False):
        old = given | {"replay": replay | {"hold_normalisation": held}}
        read = TrainConfig.model_validate_json(json.dumps(old))
        assert read.freeze.statistics is held
        assert read.replay == ReplayConfig()
        assert TrainConfig.model_validate_json(read.model_dump_json()) == read


def test_held_normalisation_keeps_its_statistics_while_the_rest_trains() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Dropout(0.5))
    Frozen(network, FreezeConfig(statistics=True)).train(network)
    before = network[1].running_mean.clone()  # type: ignore[union-attr, operator]
    network(torch.randn(2, 1, 8, 8) + 9).sum().backward()
    torch.testing.assert_close(network[1].running_mean, before)
    assert network[2].training
    assert network[1].weight.grad is not None  # type: ignore[union-attr]


def test_weights_between_start_and_learnt() -> None:
    start = {"a": torch.zeros(2), "head": torch.zeros(3), "count": torch.tensor(1)}
    learnt = {"a": torch.ones(2), "head": torch.ones(4), "count": torch.tensor(9)}
    mixed = between(start, learnt, 0.25)
    assert mixed["a"].tolist() == [0.25, 0.25]
    assert mixed["head"].tolist() == [1, 1, 1, 1]
    assert mixed["count"] == 9


@pytest.mark.parametrize(
    ("give_up", "share"),
    [
        (0.0, 1.0),  # all of the gain
        (
            0.2,
            0.75,
        ),  # 0.1 of the gain of 0.5 may go
        (0.5, 0.5),
    ],
)
def test_the_blend_remembers_as_much_as_the_gain_allows(give_up: float, share: float) -> None:
    blends = [Blend(0.5, 0.5, 0.9), Blend(0.75, 0.62, 0.8), Blend(1.0, 0.7, 0.3)]
    assert choose_blend(blends, before=0.2, give_up=give_up).share == share


def test_without_old_images_the_smaller_share_is_taken() -> None:
    assert choose_blend([Blend(0.5, 0.7), Blend(1.0, 0.7)], 0.2, 0.1).share == 0.5


class _Knows:
    """Finds the truth of generated nuclei, and nothing in phase contrast."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self._truths = {
            picture.tobytes(): truth
            for kind in rehearsal.LOOKS
            for picture, truth in (rehearsal.scene(kind, seed) for seed in range(_DRAWN))
        }

    def segment(self, picture: np.ndarray) -> SimpleNamespace:
        truth = self._truths.get(picture.tobytes())
        nothing = next(iter(self._truths.values()))[:0]
        return SimpleNamespace(instances=nothing if truth is None else truth)


_DRAWN = 30


def test_what_the_start_knows_is_shown_again(
    monkeypatch: pytest.MonkeyPatch, tiny_config: TrainConfig
) -> None:
    monkeypatch.setattr(rehearsal, "Segmenter", _Knows)
    start: Any = None
    kept = rehearsal.rehearsal_images(start, start, tiny_config, _DRAWN, Monitor())
    # Four pictures of each kind of phase contrast are tried, and all others are of known kinds.
    assert len(kept) == _DRAWN - 8
    kinds = {image.name.removeprefix("generated ").rsplit(" ", 1)[0] for image in kept}
    assert kinds == set(rehearsal.LOOKS)
    for image in kept:
        kind, seed = image.name.removeprefix("generated ").rsplit(" ", 1)
        _, truth = rehearsal.scene(kind, int(seed))
        assert image.masks.area().sum() == truth.masks.area().sum()
        assert image.pixels.shape == (256, 256, 1)


def test_a_start_that_knows_nothing_is_reminded_of_nothing(
    monkeypatch: pytest.MonkeyPatch, tiny_config: TrainConfig
) -> None:
    class Blind(_Knows):
        def segment(self, picture: np.ndarray) -> SimpleNamespace:
            return super().segment(picture[:0])

    monkeypatch.setattr(rehearsal, "Segmenter", Blind)
    start: Any = None
    assert rehearsal.rehearsal_images(start, start, tiny_config, _DRAWN, Monitor()) == []


def test_old_images_with_other_categories_are_refused(
    tmp_path: Path, tiny_config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = SimpleNamespace(images=[], category_names=["yeast", "debris"])
    monkeypatch.setattr("napari_sartorius.training.replay.read_dataset", lambda _: theirs)
    replay = ReplayConfig(data=str(tmp_path))
    with pytest.raises(UserError, match=r"yeast, debris.*same categories"):
        old_images(replay, tiny_config, ["big", "small"], Monitor())
    assert old_images(ReplayConfig(), tiny_config, ["big"], Monitor()) == []
    # kinds that come first among those that are learnt are fine
    more = ["yeast", "debris", "new"]
    assert old_images(replay, tiny_config, more, Monitor()) == []
