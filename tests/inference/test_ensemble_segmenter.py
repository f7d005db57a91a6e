"""Ensembles on images whose answer is known: passes, cell types, members of other kinds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
import torch

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.normalise import Normalisation
from napari_sartorius.core.progress import Cancelled, Monitor
from napari_sartorius.ensemble.mean_of_looks import MeanOfLooks
from napari_sartorius.ensemble.stage_config import StageMeansConfig
from napari_sartorius.inference import ensemble_segmenter as segmenter_module
from napari_sartorius.inference import memory
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.device import DeviceChoice
from napari_sartorius.inference.ensemble_segmenter import EnsembleSegmenter
from napari_sartorius.inference.network_pool import NetworkPool
from napari_sartorius.inference.segmenter import Segmenter
from napari_sartorius.zoo import Thresholds
from napari_sartorius.zoo.ensemble_card import EnsembleCard, PresetCard
from tiny_ensembles import (
    BRIGHT,
    DIM,
    bundle_of,
    categories,
    classifier_card,
    ensemble_of,
    member_card,
    one_pass,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_sartorius.core.instances import Instances
    from napari_sartorius.inference.prepare import PreparedImage


class Listener(Monitor):
    """Remembers what it hears and may cancel when that many looks were made."""

    def __init__(self, looks: Any = None, cancel_after: int = 0) -> None:
        self.fractions: list[float] = []
        self.stages: list[str] = []
        self.notices: list[str] = []
        self._looks, self._cancel_after = looks, cancel_after

    def progress(self, stage: str, fraction: float) -> None:
        self.stages.append(stage)
        self.fractions.append(fraction)

    def notice(self, message: str) -> None:
        self.notices.append(message)

    def check(self) -> None:
        if self._looks is not None and self._looks() >= self._cancel_after:
            raise Cancelled


class TypeTeller:
    """A classifier that takes images with bright pixels for bright ones."""

    size_divisibility = 1

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def to(self, device: Any) -> TypeTeller:
        return self

    def classify(self, batch: torch.Tensor) -> torch.Tensor:
        self.seen.append(tuple(batch.shape))
        bright = float(batch.max() > 1.5)
        return torch.tensor([[1 - bright, bright]])


def make(card: EnsembleCard, networks: Mapping[str, Any], **config: Any) -> EnsembleSegmenter:
    wish = {"device": "cpu", "precision": "float32", "preset": "best"} | config
    return EnsembleSegmenter(
        bundle_of(card), SegmentConfig.model_validate(wish), cast("Any", networks)
    )


@pytest.fixture
def scene(discs: Any, scattered: Any) -> NDArray[Any]:
    centres, radii = scattered((300, 420), 48, (7, 15), 5)
    values = np.where(np.arange(len(centres)) % 3 == 0, 2.0, 1.0)
    image: NDArray[Any] = discs((300, 420), centres, radii, values)
    return image


def same(one: Instances, two: Instances) -> bool:
    """Whether two results are bit for bit the same."""
    return (
        np.array_equal(one.boxes, two.boxes)
        and np.array_equal(one.scores, two.scores)
        and np.array_equal(one.categories, two.categories)
        and np.array_equal(one.masks.bits, two.masks.bits)
        and np.array_equal(one.masks.boxes, two.masks.boxes)
    )


@pytest.mark.parametrize("preset", ["fast", "balanced", "best"])
@pytest.mark.parametrize("wish", [{}, {"tile": 200}, {"diameter": 14.0}])
def test_one_member_is_that_model(
    disc_detector: Any, scene: Any, preset: str, wish: dict[str, Any]
) -> None:
    card = member_card("a")
    views = one_pass("a", views=card.views["best"])
    ensemble = make(
        ensemble_of(card, passes=(views,)), {"a": disc_detector()}, preset=preset, **wish
    )
    config = SegmentConfig.model_validate(
        {"device": "cpu", "precision": "float32", "preset": preset} | wish
    )
    single = Segmenter(cast("Any", SimpleNamespace(card=card)), config, disc_detector())
    ours, theirs = ensemble.segment(scene), single.segment(scene)
    assert len(theirs.instances) > 20
    assert same(ours.instances, theirs.instances)
    assert ours.tiles == theirs.tiles
    assert ours.passes == theirs.passes


def test_members_agree(disc_detector: Any, scene: Any) -> None:
    cards = [member_card(name) for name in "abc"]
    networks = {name: disc_detector() for name in "abc"}
    card = ensemble_of(*cards, passes=(one_pass(*"abc", views=("identity", "horizontal")),))
    result = make(card, networks).segment(scene)
    columns = result.instances.columns
    np.testing.assert_array_equal(result.instances.masks.to_labels() > 0, scene > 0.5)
    assert (columns["members"] == 3).all()
    assert (columns["votes"] == 6).all()
    assert (columns["agreement"] == 1).all()
    assert (columns["score_spread"] < 0.01).all()
    assert (columns["mask_agreement"] > 0.9).all()
    (one,) = result.passes
    assert one.to_dict() == {
        "members": ["a", "b", "c"], "views": ["identity", "horizontal"], "fusion": "mean_of_looks",
    }  # fmt: skip
    assert result.timings["fuse"] > 0
    assert [len(networks[name].batches) for name in "abc"] == [2, 2, 2]


def test_fast_and_balanced_are_the_lead(disc_detector: Any, scene: Any) -> None:
    cards = [member_card(name) for name in "ab"]
    for preset, looks in (("fast", 1), ("balanced", 2)):
        networks = {name: disc_detector() for name in "ab"}
        result = make(ensemble_of(*cards), networks, preset=preset).segment(scene)
        assert [len(networks[name].batches) for name in "ab"] == [looks, 0]
        assert result.passes[0].members == ("a",)


def test_presets_can_be_anything(disc_detector: Any, scene: Any) -> None:
    cards = [member_card(name) for name in "abc"]
    preset = PresetCard(
        members=("c", "b"), views=("vertical",), thresholds={DIM: Thresholds(score=0.99)}
    )
    networks = {name: disc_detector() for name in "abc"}
    card = ensemble_of(*cards, presets={"balanced": preset})
    result = make(card, networks, preset="balanced").segment(scene)
    assert [len(networks[name].batches) for name in "abc"] == [0, 1, 1]
    assert set(result.instances.categories.tolist()) == {1}


def test_each_member_sees_its_own_input(disc_detector: Any, scene: Any) -> None:
    """Another scale, grey levels, channels and order of categories, in one ensemble."""
    other = member_card(
        "b",
        categories=categories(BRIGHT, DIM),
        cell_diameter=30.0,
        normalisation=Normalisation(method="fixed", mean=0.0, std=1.0 / 3),
    )

    class Brighter(disc_detector):  # type: ignore[misc]
        """Its input is three times as bright, and its classes are the other way round."""

        def detect(self, batch: Any, limits: Any = None, image_sizes: Any = None) -> Any:
            found = super().detect(batch / 3, limits, image_sizes)
            for one in found:
                one.labels = 1 - one.labels
            return found

    plain, changed = disc_detector(), Brighter()
    card = ensemble_of(member_card("a"), other)
    listener = Listener()
    result = make(card, {"a": plain, "b": changed}, diameter=20.0, tile=200).segment(
        scene, monitor=listener
    )
    assert max(b[2] for b in changed.batches) > 1.3 * max(b[2] for b in plain.batches)
    found = result.instances
    assert (found.columns["members"] == 2).mean() > 0.95
    labels = found.masks.to_labels()
    assert np.mean((labels > 0) == (scene > 0.5)) > 0.99
    kinds = found.categories[labels[scene > 1.5][labels[scene > 1.5] > 0] - 1]
    assert (kinds == 1).mean() > 0.99
    # Limits travel in the order of each network's own classes.
    score = {DIM: 0.4, BRIGHT: 0.5}
    make(card, {"a": plain, "b": changed}, score_thresholds=score).segment(scene)
    np.testing.assert_allclose(plain.limits[-1].wanted, [0.4, 0.5])
    np.testing.assert_allclose(changed.limits[-1].wanted, [0.5, 0.4])
    assert listener.fractions == sorted(listener.fractions)


def three_passes() -> EnsembleCard:
    """Three passes of six models, as the 11th place had them."""
    cards = [member_card(f"m{n}") for n in range(12)]
    general, dim, bright = (
        [f"m{n}" for n in numbers] for numbers in (range(6), range(3, 9), range(6, 12))
    )
    strict = {DIM: Thresholds(score=0.5), BRIGHT: Thresholds(score=0.4)}
    return ensemble_of(
        *cards,
        passes=(
            one_pass(*general),
            one_pass(*dim, cell_types=(DIM,), views=("identity", "horizontal"), thresholds=strict),
            one_pass(*bright, cell_types=(BRIGHT,), thresholds=strict),
        ),
        cell_type={"by": "majority"},
    )


@pytest.mark.parametrize(
    ("wish", "looks", "passes"),
    [
        # The majority needs the first pass; then the one for what it has decided.
        ({}, [1, 1, 1, 3, 3, 3, 2, 2, 2, 0, 0, 0], 2),
        ({"cell_type": DIM}, [0, 0, 0, 2, 2, 2, 2, 2, 2, 0, 0, 0], 1),
        ({"cell_type": BRIGHT}, [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1], 1),
        ({"preset": "fast"}, [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1),
    ],
)
def test_only_the_passes_that_an_image_needs(
    disc_detector: Any, scene: Any, wish: dict[str, Any], looks: list[int], passes: int
) -> None:
    networks = {f"m{n}": disc_detector() for n in range(12)}
    listener = Listener()
    result = make(three_passes(), networks, **wish).segment(scene, monitor=listener)
    assert [len(network.batches) for network in networks.values()] == looks
    assert len(result.passes) == passes
    expected = wish.get("cell_type", DIM)
    assert result.cell_type == expected
    assert set(result.instances.categories.tolist()) == {(DIM, BRIGHT).index(expected)}
    assert listener.fractions == sorted(listener.fractions)
    assert listener.fractions[-1] == 1


def test_an_empty_image_has_no_type_and_needs_no_second_pass(disc_detector: Any) -> None:
    networks = {f"m{n}": disc_detector() for n in range(12)}
    result = make(three_passes(), networks).segment(np.zeros((60, 80), np.uint8))
    assert len(result.instances) == 0
    assert len(result.passes) == 1
    assert result.type_by == ""
    assert {"members", "votes", "agreement"} <= set(result.instances.columns)


def test_a_classifier_decides_before_anything_is_looked_for(disc_detector: Any, scene: Any) -> None:
    teller = TypeTeller()
    networks: dict[str, Any] = {"a": disc_detector(), "b": disc_detector(), "teller": teller}
    card = ensemble_of(
        member_card("a"),
        member_card("b"),
        # Its classes are the other way round.
        classifier_card("teller", categories=categories(BRIGHT, DIM)),
        passes=(one_pass("a", cell_types=(DIM,)), one_pass("b", cell_types=(BRIGHT,))),
        cell_type={"by": "classifier", "member": "teller"},
    )
    segmenter = make(card, networks)
    result = segmenter.segment(scene)
    assert teller.seen == [(1, 1, 300, 420)]
    assert (result.cell_type, result.type_by) == (DIM, "classifier")
    assert [len(networks[name].batches) for name in "ab"] == [1, 0]
    assert set(result.instances.categories.tolist()) == {0}
    result = segmenter.segment(np.minimum(scene, 1.0))
    assert (result.cell_type, len(result.instances)) == (BRIGHT, 0)
    named = make(card, networks, cell_type=BRIGHT).segment(scene)
    assert (len(teller.seen), named.type_by) == (2, "user")


def test_a_classifier_sees_large_images_small(disc_detector: Any) -> None:
    teller = TypeTeller()
    card = ensemble_of(
        member_card("a"),
        classifier_card("teller"),
        cell_type={"by": "classifier", "member": "teller"},
    )
    wide = np.zeros((300, 4200), np.float32)
    make(card, {"a": disc_detector(), "teller": teller}, preset="fast").segment(wide)
    assert teller.seen == [(1, 1, 146, 2048)]


def test_weights_count(disc_detector: Any, discs: Any) -> None:
    """What only the lighter member sees keeps its share of the weight as score."""

    class Blind(disc_detector):  # type: ignore[misc]
        def detect(self, batch: Any, limits: Any = None, image_sizes: Any = None) -> Any:
            return super().detect(batch * 0, limits, image_sizes)

    image = discs((80, 80), np.array([[40.0, 40.0]]), np.array([12.0]))
    members = [{"name": "a", "weight": 3.0}, {"name": "b", "weight": 1.0}]
    card = ensemble_of(member_card("a"), member_card("b"), passes=({"members": members},))
    networks = {"a": disc_detector(), "b": Blind()}
    alone = make(card, networks, preset="fast").segment(image).instances
    found = make(card, networks).segment(image).instances
    assert found.scores[0] == pytest.approx(0.75 * alone.scores[0], abs=1e-5)
    assert found.columns["agreement"][0] == pytest.approx(0.5)


def test_cancel_between_looks(disc_detector: Any, scene: Any) -> None:
    networks = {name: disc_detector() for name in "abc"}
    card = ensemble_of(
        *(member_card(name) for name in "abc"),
        passes=(one_pass(*"abc", views=("identity", "vertical")),),
    )

    def looks() -> int:
        return sum(len(network.batches) for network in networks.values())

    with pytest.raises(Cancelled):
        make(card, networks).segment(scene, monitor=Listener(looks, 3))
    assert looks() == 3


def test_out_of_memory_lets_members_take_turns_first(
    disc_detector: Any, scene: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice = DeviceChoice("meta", "pretended")
    monkeypatch.setattr(segmenter_module, "choose_device", lambda request: choice)
    monkeypatch.setattr(memory, "_LARGEST_BATCH", 1)
    networks = {name: disc_detector() for name in "ab"}
    networks["a"].out_of_memory = 2
    listener = Listener()
    result = make(ensemble_of(member_card("a"), member_card("b")), networks, tile=256).segment(
        scene, monitor=listener
    )
    assert "one network on it at a time" in listener.notices[0]
    assert "processor" in listener.notices[1]
    assert result.device == "cpu"
    np.testing.assert_array_equal(result.instances.masks.to_labels() > 0, scene > 0.5)


def test_a_network_that_does_not_look_leaves_the_device(disc_detector: Any) -> None:
    networks = {name: disc_detector() for name in "ab"}
    bundle = bundle_of(ensemble_of(member_card("a"), member_card("b")))
    pool = NetworkPool(bundle, cast("Any", networks))
    places = []
    for turns in (False, True):
        for name in "ab":
            with pool.lend(name, "meta", "float32", one_by_one=turns):
                places.append((networks["a"].device, networks["b"].device))
    assert places == [("meta", "cpu"), ("meta", "meta"), ("meta", "cpu"), ("cpu", "meta")]


def test_a_tile_with_too_many_objects_is_split(disc_detector: Any, scene: Any) -> None:
    card = ensemble_of(member_card("a"), member_card("b"))
    whole = make(card, {n: disc_detector() for n in "ab"}).segment(scene)
    big = np.tile(scene, (2, 2))
    all_of_it = make(card, {n: disc_detector() for n in "ab"}).segment(big)
    listener = Listener()
    result = make(
        card, {n: disc_detector() for n in "ab"}, max_objects_per_tile=len(whole.instances) * 2
    ).segment(big, monitor=listener)
    assert result.tiles > all_of_it.tiles
    assert result.notices == []
    np.testing.assert_array_equal(result.instances.masks.to_labels() > 0, big > 0.5)
    assert listener.fractions == sorted(listener.fractions)


def test_a_limit_that_cost_objects_is_told(disc_detector: Any, scene: Any) -> None:
    card = ensemble_of(member_card("a"), member_card("b"))
    result = make(
        card, {n: disc_detector() for n in "ab"}, tile="off", max_objects_per_tile=5
    ).segment(scene)
    assert "max_objects_per_tile is 5" in result.notices[0]


def test_the_second_level_judges_before_the_filters(disc_detector: Any, scene: Any) -> None:
    judged: list[int] = []

    def judge(objects: Instances, prepared: PreparedImage) -> Instances:
        judged.append(len(objects))
        assert prepared.image_size == scene.shape
        return objects[objects.categories == 0]

    config = SegmentConfig(device="cpu", preset="best")
    bundle = bundle_of(ensemble_of(member_card("a")))
    networks = cast("Any", {"a": disc_detector()})
    result = EnsembleSegmenter(bundle, config, networks, judge).segment(scene)
    assert len(judged) == 1 and judged[0] > len(result.instances) > 0
    assert set(result.instances.categories.tolist()) == {0}


def test_unknown_cell_type(disc_detector: Any) -> None:
    with pytest.raises(UserError, match="together knows no cell type 'astro'"):
        make(ensemble_of(member_card("a")), {"a": disc_detector()}, cell_type="astro")


def test_stack(disc_detector: Any, scene: Any) -> None:
    segmenter = make(
        ensemble_of(member_card("a"), member_card("b")), {n: disc_detector() for n in "ab"}
    )
    counts = [len(r.instances) for r in segmenter.segment_stack([scene, np.zeros_like(scene)])]
    assert counts[0] > 20
    assert counts[1] == 0


def test_options_of_a_strategy_count_for_one_member_too(disc_detector: Any, scene: Any) -> None:
    one = one_pass("a", views=("identity", "vertical"), fusion=MeanOfLooks(iou=0.9))
    card = ensemble_of(member_card("a"), passes=(one,))
    result = make(card, {"a": disc_detector()}).segment(scene)
    assert (result.instances.columns["members"] == 1).all()
    assert (result.instances.columns["votes"] == 2).mean() > 0.9


def test_networks_that_are_joined_cannot_take_turns(disc_detector: Any) -> None:
    stages = one_pass("a", "b", fusion=StageMeansConfig())
    cards = member_card("a"), member_card("b")
    assert make(ensemble_of(*cards), {}).several
    assert not make(ensemble_of(*cards, passes=(stages,)), {}).several
