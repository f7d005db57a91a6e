"""Tuning thresholds: the best are found, are kept out of their own figures, and hold in use."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from glow_cells import BIG, NAMES, SMALL, TRUE_MASK, Glow, GlowDetector, glow_bundle, write_glow
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Cancelled, Monitor
from napari_sartorius.evaluation.competition import competition_score
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.ensemble_segmenter import EnsembleSegmenter
from napari_sartorius.inference.segmenter import Segmenter
from napari_sartorius.postprocess.filter_config import ShapeFilter
from napari_sartorius.training.data import read_annotated
from napari_sartorius.training.tuning.config import TuningConfig
from napari_sartorius.training.tuning.images import TuningImage
from napari_sartorius.training.tuning.search import search
from napari_sartorius.training.tuning.tuner import Tuner
from napari_sartorius.training.tuning.tuning import TuningResult, tune
from napari_sartorius.zoo import ModelBundle, Thresholds, find_bundle
from napari_sartorius.zoo.ensemble_bundle import EnsembleBundle
from napari_sartorius.zoo.tuned_card import thresholds_in_use
from tiny_ensembles import bundle_of, categories, ensemble_of, member_card, one_pass

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_sartorius.io.coco import CocoDataset
    from napari_sartorius.training.tuning.trials import Choice

QUICK = TuningConfig(preset="fast", device="cpu", folds=2, trials=25)


class Listener(Monitor):
    def __init__(self, stop_at: float = 2.0) -> None:
        self.notices: list[str] = []
        self.fractions: list[float] = []
        self.stop_at = stop_at

    def notice(self, message: str) -> None:
        self.notices.append(message)

    def progress(self, stage: str, fraction: float) -> None:
        self.fractions.append(fraction)

    def check(self) -> None:
        if self.fractions and self.fractions[-1] >= self.stop_at:
            raise Cancelled


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SARTORIUS_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> CocoDataset:
    return write_glow(tmp_path_factory.mktemp("glow"), [BIG, SMALL, BIG, SMALL])


def real_scores(
    card: Any, data: CocoDataset, preset: str = "fast", variant: Any = "corrected"
) -> list[float]:
    """What a user with this card gets: the segmenter, without anything remembered."""
    config = SegmentConfig.model_validate({"preset": preset, "device": "cpu"})
    segmenter = Segmenter(ModelBundle(card, None), config, GlowDetector())  # type: ignore[arg-type]
    return [
        competition_score(
            data.instances[record.id],
            segmenter.segment(read_annotated(data, record)).instances,
            variant,
        ).score
        for record in data.images
    ]


def test_the_best_is_found_and_holds_in_use(
    models: Path, data: CocoDataset, tmp_path: Path
) -> None:
    bundle, listener = glow_bundle(models / "tiny"), Listener()
    result = tune(bundle, data, QUICK, listener, cache=tmp_path, network=GlowDetector())
    limits = thresholds_in_use(result.card, "fast")
    assert 0.43 < limits["big"].score < 0.58 and 0.24 < limits["small"].score < 0.39
    assert all(one.mask == TRUE_MASK for one in limits.values())
    figures = result.figures
    assert figures.tuned == dict.fromkeys(("big", "small", "all"), 1.0)
    # Every fold has one image of each category, and they are alike.
    assert figures.after == figures.tuned
    assert figures.images == {"big": 2, "small": 2, "all": 4}
    before = real_scores(bundle.card, data)
    assert figures.before["all"] == pytest.approx(np.mean(before)) and figures.before["all"] < 0.6
    assert real_scores(result.card, data) == [1.0] * 4
    assert not listener.notices and listener.fractions[-1] == 1.0
    assert listener.fractions == sorted(listener.fractions)
    assert "+0." in figures.to_text() and "was 0.15" in figures.to_text()
    # Into a copy, and into the model itself; a second note replaces the first.
    saved = result.save("better")
    card = find_bundle("better").card
    assert card.thresholds == result.card.thresholds and saved.verify() > 0
    assert card.metrics["tuning_score_after"] == 1.0
    again = replace(result, bundle=saved).save()
    assert again.card.schedule == "tuned on 4 annotated images (2 folds, preset fast)"
    assert find_bundle("tiny").card == bundle.card


@pytest.mark.parametrize(
    ("changes", "variant"),
    [
        ({}, "corrected"),
        ({}, "theoviel"),
        ({"one_category_per_image": False}, "corrected"),
        ({"filters": (ShapeFilter(feature="area", minimum={"big": 100}),)}, "corrected"),
    ],
)
def test_trials_are_what_the_segmenter_gives(
    models: Path, tmp_path: Path, changes: Any, variant: Any
) -> None:
    """Any thresholds: the score of a trial is exactly that of the segmenter with such a card."""
    mixed = Glow((150, 200, 180), (61, 81, 121, 171), (220, 161))
    data = write_glow(tmp_path, [BIG, SMALL, mixed])
    bundle = glow_bundle(models / "tiny", **changes)
    config = QUICK.model_copy(update={"variant": variant, "trials": 1})
    seen: list[Tuner] = []

    class Watched(Tuner):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            seen.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari_sartorius.training.tuning.tuning.Tuner", Watched)
        tune(bundle, data, config, cache=tmp_path, network=GlowDetector())
    (tuner,) = seen
    space, generator = tuner._space, np.random.default_rng(0)
    for _ in range(12):
        choices = {
            name: tuple(float(generator.choice(values)) for values in space.grid.values())
            for name in NAMES
        }
        scores = tuner.scores(choices)
        card = space.changed(choices)
        if not changes.get("one_category_per_image", True):
            assert scores == real_scores(card, data, variant=variant)
            continue
        # The cell type is known in a trial; the segmenter must find it.
        for number, (score, record) in enumerate(zip(scores, data.images, strict=True)):
            kind = NAMES[number % 2]
            one = SegmentConfig(preset="fast", device="cpu", cell_type=kind)
            segmenter = Segmenter(ModelBundle(card, None), one, GlowDetector())  # type: ignore[arg-type]
            found = segmenter.segment(read_annotated(data, record)).instances
            assert competition_score(data.instances[record.id], found, variant).score == score


def test_figures_are_of_images_not_tuned_on(models: Path, tmp_path: Path) -> None:
    """Two groups of images that need opposite thresholds: nothing learnt on one holds for both."""
    dim = Glow((100, 120, 110), (30, 40), group="dim")
    bright = Glow((200, 240, 220), (100, 120, 110), group="bright")
    data = write_glow(tmp_path, [dim, bright, dim, bright])
    fair = Thresholds(score=0.15, mask=TRUE_MASK, nms=0.3, min_size=20)
    bundle = glow_bundle(models / "tiny", thresholds=dict.fromkeys(NAMES, fair))
    listener = Listener()
    config = QUICK.model_copy(update={"only_better": False})
    result = tune(bundle, data, config, listener, cache=tmp_path, network=GlowDetector())
    figures = result.figures
    # Tuned on the dim ones, half of what is found in bright ones is wrong; the other way round
    # nothing is found.
    assert figures.after["all"] == pytest.approx(0.25)
    assert figures.tuned["all"] >= 0.5
    assert "no image shows small" in listener.notices[0]
    assert figures.before["all"] > 0.3 and figures.is_changed and not figures.kept
    assert result.card.thresholds["small"] == bundle.card.thresholds["small"]
    # No better than before: the model keeps what it has.
    careful = tune(bundle, data, QUICK, cache=tmp_path, network=GlowDetector())
    assert careful.card == bundle.card and not careful.figures.is_changed
    assert careful.figures.kept == ["big"] and careful.figures.after == figures.after
    assert careful.figures.expected == pytest.approx(figures.before["all"])
    assert "no better: big" in careful.figures.to_text()


def test_noise_does_not_look_like_success() -> None:
    """Scores of chance: the best of many is high where it was chosen, and average elsewhere."""

    class Chance:
        def __init__(self, seed: int) -> None:
            self.seed = seed

        def score(self, choices: Sequence[Choice]) -> float:
            return float(
                np.random.default_rng([self.seed, int(choices[0][0] * 40 + choices[0][1])]).random()
            )

    ladder = tuple(map(float, range(40)))
    space: Any = SimpleNamespace(grid={"score": ladder, "mask": ladder}, start={"big": (0.0, 0.0)})
    trials: Any = [Chance(seed) for seed in range(4)]
    images: Any = [TuningImage(None, str(n), "big", None) for n in range(4)]  # type: ignore[arg-type]
    tuner = Tuner(space, images, trials, ["big"], QUICK.model_copy(update={"trials": 60}))
    fold = np.array([0, 1, 0, 1])
    by_fold, chosen = tuner.in_folds(fold, Monitor())
    held_out = [trial.score([by_fold[f]["big"]]) for trial, f in zip(trials, fold, strict=True)]
    assert np.mean(tuner.scores(chosen)) > np.mean(held_out) + 0.1
    assert tuner.trials_made > 60 * 3 / 2


def test_networks_look_once(models: Path, tmp_path: Path, data: CocoDataset) -> None:
    """Stopped and started again, tuned again with another aim, or under another name."""
    bundle, network = glow_bundle(models / "tiny"), GlowDetector()
    with pytest.raises(Cancelled):
        tune(bundle, data, QUICK, Listener(0.4), cache=tmp_path, network=network)
    first = network.looks
    assert 1 <= first < 4
    result = tune(bundle, data, QUICK, cache=tmp_path, network=network)
    assert network.looks == 4 and result.figures.looks == 4 - first
    assert result.figures.cache_bytes > 0
    other = QUICK.model_copy(update={"variant": "t4e", "trials": 2})
    renamed = ModelBundle(bundle.card.with_changes(name="other"), bundle.path)
    tune(renamed, data, other, cache=tmp_path, network=network)
    assert network.looks == 4
    # A damaged file is looked at again.
    file = next(tmp_path.rglob("*.npz"))
    file.write_bytes(file.read_bytes()[:200])
    again = tune(bundle, data, QUICK, cache=tmp_path, network=network)
    assert network.looks == 5 and again.figures.tuned == result.figures.tuned


def test_views_are_measured_as_they_are_used(
    models: Path, tmp_path: Path, data: CocoDataset
) -> None:
    """A limit in the network changes means over views, so figures come from the real thing."""
    bundle = glow_bundle(models / "tiny")
    config = QUICK.model_copy(update={"preset": "balanced", "trials": 5})
    result = tune(bundle, data, config, cache=tmp_path, network=GlowDetector())
    assert result.figures.before["all"] == pytest.approx(
        np.mean(real_scores(bundle.card, data, "balanced"))
    )
    assert result.figures.tuned["all"] == pytest.approx(
        np.mean(real_scores(result.card, data, "balanced"))
    )


def test_search_finds_the_top_and_prefers_what_there_is() -> None:
    grid = {"a": tuple(range(30)), "b": tuple(range(30))}

    def hill(choice: Choice) -> float:
        return -((choice[0] - 21) ** 2) - (choice[1] - 4.5) ** 2

    found, score = search(hill, grid, (3.0, 17.5), 20, 1, Monitor())
    assert found in {(21, 4), (21, 5)} and score == -0.25
    assert search(hill, grid, (3.0, 17.5), 20, 1, Monitor()) == (found, score)
    assert search(lambda _: 0.5, grid, (3.0, 17.5), 20, 1, Monitor()) == ((3.0, 17.5), 0.5)


def test_what_cannot_be_tuned_is_one_sentence(
    models: Path, tmp_path: Path, data: CocoDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = glow_bundle(models / "tiny")

    def attempt(dataset: CocoDataset, **changes: Any) -> TuningResult:
        config = QUICK.model_copy(update=changes)
        return tune(bundle, dataset, config, cache=tmp_path, network=GlowDetector())

    with pytest.raises(UserError, match="4 images in 4 groups cannot be parted into 5 folds"):
        attempt(data, folds=5)
    others = write_glow(tmp_path, [BIG], ["cell", "dirt"])
    with pytest.raises(UserError, match="show 'cell', but the model tiny finds big, small"):
        attempt(others)
    empty = replace(data, instances={k: v[:0] for k, v in data.instances.items()})
    with pytest.raises(UserError, match="no image has an annotated object"):
        attempt(empty)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r"napari-sartorius\[all\]"):
        attempt(data)


def test_thresholds_of_one_category_models_go_by_no_name(models: Path, tmp_path: Path) -> None:
    """A model for cells is tuned with whatever the annotations call them."""
    from napari_sartorius.zoo import CategoryCard
    from tiny_models import tiny_architecture

    data = write_glow(tmp_path, [BIG, BIG], ["neuron"])
    limits = {"cell": Thresholds(score=0.15, mask=0.5, nms=0.9, min_size=0)}
    card = glow_bundle(models / "tiny").card.with_changes(
        categories=[CategoryCard(name="cell", colour="#e69f00").model_dump()],
        thresholds={k: v.model_dump() for k, v in limits.items()},
        architecture=tiny_architecture(1),
    )
    bundle = ModelBundle(card, models / "tiny")
    result = tune(bundle, data, QUICK, cache=tmp_path, network=GlowDetector())
    assert result.figures.after == {"cell": 1.0, "all": 1.0}


def test_limit_of_a_second_level(models: Path, tmp_path: Path) -> None:
    """Where the preset uses a second level, its limit is tuned, and the thresholds stay."""
    from napari_sartorius.postprocess.second_level.rescorer import FitSettings, fit_rescorer
    from napari_sartorius.zoo.rescorer_card import RescorerCard
    from napari_sartorius.zoo.rescorer_files import put_rescorer

    # Expects of an object as much as it scores, and the true ones score 0.59 or more.
    score = np.linspace(0, 1, 300)
    table = {"box_score": score, "mask_area": np.arange(300.0) % 7}
    rescorer = fit_rescorer(table, score, FitSettings(trees=80, learning_rate=0.3))
    data_ = rescorer.to_bytes()
    entry = RescorerCard(sha256=hashlib.sha256(data_).hexdigest(), min_predicted_iou={})
    fair = Thresholds(score=0.15, mask=TRUE_MASK, nms=0.3, min_size=100)
    bundle = glow_bundle(models / "tiny", thresholds=dict.fromkeys(NAMES, fair))
    judging = put_rescorer(bundle, data_, entry, {})
    data = write_glow(tmp_path, [BIG, BIG])
    config = QUICK.model_copy(update={"preset": "best"})
    result = tune(judging, data, config, cache=tmp_path, network=GlowDetector())
    assert result.figures.before["all"] < 0.7 and result.figures.after["all"] == 1.0
    assert result.figures.tuned["all"] == 1.0
    assert list(result.figures.new["big"]) == ["min_predicted_iou"]
    copy = result.save("copy")
    assert copy.card.rescorer is not None and copy.card.thresholds == judging.card.thresholds
    assert 0.42 <= copy.card.rescorer.min_predicted_iou["big"] <= 0.6
    assert copy.read_rescorer() == data_


@pytest.mark.parametrize("strategy", ["mean_of_looks", "weighted_segments"])
def test_ensembles(tmp_path: Path, strategy: str) -> None:
    """Each pass gets its own thresholds, also where a strategy fuses finished masks."""
    members = [
        member_card(name, categories=categories(*NAMES), thresholds={}, one_category_per_image=True)
        for name in "abc"
    ]
    poor = dict.fromkeys(NAMES, Thresholds(score=0.15, mask=0.5, nms=0.9, min_size=0))
    passes = (
        one_pass("a", "b", fusion={"strategy": strategy}, thresholds=poor),
        one_pass("c", cell_types=("small",), thresholds=poor),
    )
    card = ensemble_of(
        *members, passes=passes, cell_type={"by": "majority"}, categories=categories(*NAMES),
        thresholds=poor,
    )  # fmt: skip
    data = write_glow(tmp_path, [BIG, SMALL, BIG, SMALL])
    networks = {name: GlowDetector() for name in "abc"}
    config = QUICK.model_copy(update={"preset": "best"})
    result = tune(bundle_of(card), data, config, cache=tmp_path, network=networks)
    general, special = result.card.passes  # type: ignore[union-attr]
    assert general.thresholds["small"] == poor["small"]
    assert 0.24 < special.thresholds["small"].score < 0.39
    assert special.thresholds["small"].mask == TRUE_MASK
    assert result.figures.after["small"] == result.figures.tuned["small"] == 1.0
    assert result.figures.tuned["big"] > result.figures.before["big"] + 0.1
    real = EnsembleSegmenter(
        EnsembleBundle(result.card, tmp_path),  # type: ignore[arg-type]
        SegmentConfig(preset="best", device="cpu"),
        {name: GlowDetector() for name in "abc"},  # type: ignore[misc]
    )
    scores = [
        competition_score(
            data.instances[record.id], real.segment(read_annotated(data, record)).instances
        ).score
        for record in data.images
    ]
    assert np.mean(scores) == pytest.approx(result.figures.tuned["all"])
