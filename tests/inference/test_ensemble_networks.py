"""Every strategy with real networks of a few channels, and how often each of them looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.normalise import Normalisation
from napari_sartorius.ensemble.looks import COLUMNS
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.ensemble_segmenter import EnsembleSegmenter
from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.config import ProposalConfig
from napari_sartorius.zoo import Thresholds
from napari_sartorius.zoo.ensemble_options import STRATEGIES, fusion_of
from tiny_ensembles import bundle_of, ensemble_of, one_pass
from tiny_models import tiny_architecture, tiny_card

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.nn.network import Network
    from napari_sartorius.zoo.ensemble_card import EnsembleCard

EVERYTHING = Thresholds(score=0.05, mask=0.2, nms=1.0, min_size=0)
FEW = {"max_objects_per_tile": 12, "box_nms": 0.3, "tile": "off"}
TREE = tiny_architecture().model_copy(
    update={"proposals": ProposalConfig(pre_nms_topk_test=60, post_nms_topk_test=30)}
)
STAGES = ("stage_means", "boxes_then_masks")


class Counted:
    """Counts how often a network looks at a batch."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.looks = 0
        self._detect = network.detect
        network.detect = self._count  # type: ignore[method-assign]

    def _count(self, *arguments: Any) -> Any:
        self.looks += 1
        return self._detect(*arguments)


@pytest.fixture(scope="module")
def networks() -> list[Network]:
    """Seven networks that have learnt nothing, each in its own way."""
    made = []
    for seed in range(7):
        torch.manual_seed(seed)
        made.append(build_network(TREE).eval())
    return made


@pytest.fixture(scope="module")
def picture() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 255, (64, 80)).astype(np.uint8)


def card_of(count: int, **changes: Any) -> EnsembleCard:
    cards = [
        tiny_card(name=f"m{n}", thresholds={"big": EVERYTHING, "small": EVERYTHING})
        for n in range(count)
    ]
    return ensemble_of(*cards, **changes)


def segmenter(card: EnsembleCard, networks: list[Network], **wish: Any) -> EnsembleSegmenter:
    config = SegmentConfig(device="cpu", precision="float32", **({"preset": "best"} | FEW | wish))
    given = dict(zip(card.member_names, networks, strict=False))
    return EnsembleSegmenter(bundle_of(card), config, given)


@pytest.mark.parametrize("strategy", list(STRATEGIES))
def test_every_strategy(strategy: str, networks: list[Network], picture: NDArray[np.uint8]) -> None:
    views = ("identity", "rot90")
    one = one_pass("m0", "m1", fusion=fusion_of(strategy), views=views)
    card = card_of(2, passes=(one,))
    result = segmenter(card, networks).segment(picture)
    assert set(COLUMNS) <= set(result.instances.columns)
    assert len(result.instances) > 0
    assert (result.instances.columns["votes"] <= 4).all()
    assert (result.instances.columns["members"] <= 2).all()
    assert result.passes[0].fusion == strategy
    again = segmenter(card, networks).segment(picture)
    np.testing.assert_array_equal(again.instances.masks.bits, result.instances.masks.bits)


@pytest.mark.parametrize("strategy", STAGES)
def test_networks_of_other_grey_levels_and_scales_are_joined(
    strategy: str, networks: list[Network], picture: NDArray[np.uint8]
) -> None:
    """A network that sees everything as its twin does, written in other grey levels."""
    first = {"normalisation": Normalisation(method="fixed", mean=100.0, std=50.0)}
    cards = [
        tiny_card(name=name, thresholds={"big": EVERYTHING, "small": EVERYTHING}, **facts)
        for name, facts in (("m0", first), ("m1", first), ("m2", {**first, "cell_diameter": 15.0}))
    ]

    def found(*names: str) -> Any:
        fusion = fusion_of(strategy)
        card = ensemble_of(*cards, passes=(one_pass(*names, fusion=fusion),))
        twins = dict(zip(("m0", "m1", "m2"), (networks[0], networks[0], networks[0]), strict=True))
        config = SegmentConfig(
            device="cpu", precision="float32", preset="best", diameter=10.0, **FEW
        )
        return EnsembleSegmenter(bundle_of(card), config, twins).segment(picture).instances

    alone, twice = found("m0"), found("m0", "m1")
    if strategy == "stage_means":
        np.testing.assert_allclose(twice.scores, alone.scores, atol=1e-5)
        np.testing.assert_allclose(twice.boxes, alone.boxes, atol=1e-3)
    assert len(found("m0", "m2")) > 0


@pytest.mark.parametrize(
    ("wish", "passes"), [({}, 2), ({"cell_type": "small"}, 1), ({"preset": "fast"}, 1)]
)
def test_three_passes_of_six_models(
    networks: list[Network], picture: NDArray[np.uint8], wish: dict[str, Any], passes: int
) -> None:
    """Passes with models in common: only those run that the image needs."""
    lists = {
        None: ["m0", "m1", "m2", "m3", "m4", "m5"],
        ("big",): ["m1", "m2", "m3", "m4", "m5", "m6"],
        ("small",): ["m6", "m0", "m1", "m2", "m3", "m4"],
    }
    card = card_of(
        7,
        passes=tuple(one_pass(*names, cell_types=types) for types, names in lists.items()),
        cell_type={"by": "majority"},
    )
    counted = [Counted(network) for network in networks]
    try:
        result = segmenter(card, networks, **wish).segment(picture)
    finally:
        for one in counted:
            one.network.detect = one._detect  # type: ignore[method-assign]
    made = [one.looks for one in counted]
    assert len(result.passes) == passes
    if "preset" in wish:
        assert made == [1, 0, 0, 0, 0, 0, 0]
        return
    ran = [lists[(result.cell_type,)]] + ([lists[None]] if passes == 2 else [])
    assert made == [sum(f"m{n}" in names for names in ran) for n in range(7)]
    assert result.passes[-1].cell_types == (result.cell_type,)
    assert set(result.instances.categories.tolist()) == {("big", "small").index(result.cell_type)}


def _by_counts(fusion: str = "stage_means", **counts: Any) -> Any:
    """Two passes, told apart by proposals; few places are large, the others `dense`."""
    names = {"large": "big", "small": "small", "dense": "small"}
    return card_of(
        3,
        passes=(
            one_pass("m0", "m1", fusion=fusion_of(fusion)),
            one_pass("m2", cell_types=("big",)),
        ),
        cell_type={"by": "proposal_counts", "counts": names | counts},
    )


@pytest.mark.parametrize(("most_large", "told"), [(0, "big"), (10**9, "small")])
def test_the_cell_type_by_counts_of_proposals(
    networks: list[Network], picture: NDArray[np.uint8], most_large: int, told: str
) -> None:
    card = _by_counts(most_large=most_large, probability=1e-6)
    result = segmenter(card, networks, preset="best").segment(picture)
    assert (result.cell_type, result.type_by) == (told, "proposal_counts")
    assert len(result.passes) == 1
    assert result.passes[0].cell_types == (("big",) if told == "big" else None)
    assert result.timings["classify"] > 0


def test_presets_without_joint_proposals_ask_the_majority(
    networks: list[Network], picture: NDArray[np.uint8]
) -> None:
    result = segmenter(_by_counts(), networks, preset="fast").segment(picture)
    assert result.type_by in ("majority", "")  # the latter when nothing was found


def test_counts_of_proposals_need_joined_networks_and_known_types() -> None:
    with pytest.raises(ValueError, match="must use stage_means, not mean_of_looks"):
        _by_counts("mean_of_looks")
    with pytest.raises(ValueError, match="unknown cell type astro"):
        _by_counts(large="astro")


def test_networks_that_cannot_be_joined(
    networks: list[Network], picture: NDArray[np.uint8], disc_detector: Any
) -> None:
    card = card_of(2, passes=(one_pass("m0", "m1", fusion=fusion_of("stage_means")),))
    mixed: Any = [networks[0], disc_detector()]
    with pytest.raises(UserError, match="m1 cannot be given boxes"):
        segmenter(card, mixed).segment(picture)
