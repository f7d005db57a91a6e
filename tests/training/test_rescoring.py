"""Teaching a second level: folds, samples, figures, and the model that has it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generated_dataset import write_generated
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.progress import Cancelled, Monitor
from napari_sartorius.inference.selection import Selection
from napari_sartorius.io.coco import read_coco
from napari_sartorius.training.folds import assign_folds
from napari_sartorius.training.held_out import choose_images
from napari_sartorius.training.rescoring.config import RescoreConfig
from napari_sartorius.training.rescoring.fitting import teach_on_samples, teach_rescorer
from napari_sartorius.training.rescoring.measuring import measure
from napari_sartorius.training.rescoring.samples import (
    ImageSample,
    best_iou,
    collect_samples,
    segment_config,
)
from napari_sartorius.zoo import find_bundle
from tiny_models import tiny_card

if TYPE_CHECKING:
    from pathlib import Path

QUICK = RescoreConfig(preset="fast", device="cpu", folds=2, trees=30, learning_rate=0.2)


class _Listener(Monitor):
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


@given(st.data(), st.integers(2, 4))
def test_folds_keep_groups_and_share_categories(data: st.DataObject, folds: int) -> None:
    groups = data.draw(st.lists(st.integers(0, 12), min_size=1, max_size=40).map(sorted))
    names = [str(g) for g in groups]
    kinds = ["even" if g % 2 == 0 else "odd" for g in groups]
    if len(set(names)) < folds:
        with pytest.raises(UserError, match="cannot be parted"):
            assign_folds(names, kinds, folds)
        return
    fold = assign_folds(names, kinds, folds, seed=3)
    assert set(fold.tolist()) == set(range(folds))
    for group in set(names):
        assert len({f for f, n in zip(fold.tolist(), names, strict=True) if n == group}) == 1
    largest = max(names.count(name) for name in names)
    for kind in set(kinds):
        counts = np.bincount(
            [f for f, k in zip(fold.tolist(), kinds, strict=True) if k == kind], minlength=folds
        )
        assert counts.max() - counts.min() <= largest


def bars(*spans: tuple[int, int]) -> CropMasks:
    stack = np.zeros((len(spans), 4, 40), np.bool_)
    for mask, (a, b) in zip(stack, spans, strict=True):
        mask[:, a:b] = True
    return CropMasks.from_full(stack)


def test_what_is_to_be_predicted() -> None:
    truth = Instances.from_masks(bars((0, 10), (10, 20)))
    found = Instances.from_masks(bars((0, 10), (5, 20), (30, 40)))
    np.testing.assert_allclose(best_iou(found, truth), [1, 10 / 15, 0])
    assert best_iou(found[[]], truth).shape == (0,)
    np.testing.assert_array_equal(best_iou(found, truth[[]]), np.zeros(3))


def one_sample() -> ImageSample:
    """Two true bars; one object fits, one does not and takes pixels of the third."""
    truth = Instances.from_masks(bars((0, 10), (20, 30)))
    found = Instances.from_masks(bars((0, 10), (14, 26), (20, 30)), [0.9, 0.8, 0.7])
    selection = Selection.of(tiny_card(), segment_config(find_bundle("neurons"), QUICK))
    return ImageSample("a", "a", "big", truth, found, {}, best_iou(found, truth), selection)


def test_figures() -> None:
    sample, names = one_sample(), ["big", "small"]
    predicted = [np.array([0.9, 0.1, 0.95], np.float32)]
    config = RescoreConfig(folds=2, min_predicted_iou={"big": 0.3, "small": 0.0})
    figures = measure([sample], predicted, names, config)
    assert (figures.objects, figures.dropped, figures.dropped_false, figures.false) == (3, 1, 1, 1)
    assert figures.drop_precision == 1
    truth = sample.iou
    assert figures.mae == pytest.approx(np.abs(predicted[0] - truth).mean(), abs=1e-6)
    # Before: the first fits at all ten thresholds; what is left of the third is too small.
    assert figures.before["big"] == pytest.approx(1 / 3)
    assert {rank: after["all"] for rank, after in figures.after.items()} == pytest.approx(
        dict.fromkeys(("score", "predicted_iou", "product"), 1.0)
    )
    no_drop = RescoreConfig(folds=2, min_predicted_iou=0.0)
    figures = measure([sample], predicted, names, no_drop)
    assert figures.dropped == 0 and np.isnan(figures.drop_precision)
    # Ranked, the better one takes the pixels; what is left of the false one costs a third.
    assert figures.after["predicted_iou"]["big"] == pytest.approx(2 / 3)
    assert figures.after["score"]["big"] == pytest.approx(1 / 3)
    assert json.loads(json.dumps(figures.to_dict()))["drop_precision"] is None
    assert "*product" in figures.to_text("product")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_generated(tmp_path_factory.mktemp("generated"), 4)


@pytest.fixture(scope="module")
def samples(data: Path) -> list[ImageSample]:
    return collect_samples(find_bundle("neurons"), read_coco(data), QUICK)


def test_samples_are_of_all_images(samples: list[ImageSample]) -> None:
    assert [sample.name for sample in samples] == ["1.png", "2.png", "3.png", "4.png"]
    for sample in samples:
        assert sample.category == "cort" and sample.area_factor == 1.0
        assert len(sample.found) == len(sample.iou) == len(sample.table["box_score"])
        assert np.isfinite(sample.table["mean_pixel_score"]).all()
        assert np.isfinite(sample.table["im_mean_pixel"]).all()
    assert sum(len(sample.found) for sample in samples) > 8
    assert max(sample.iou.max(initial=0) for sample in samples) > 0.5


def test_taught_and_saved(
    samples: list[ImageSample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SARTORIUS_MODELS", str(tmp_path / "models"))
    bundle, listener = find_bundle("neurons"), _Listener()
    taught = teach_on_samples(bundle, samples, QUICK, listener)  # type: ignore[arg-type]
    assert listener.fractions == sorted(listener.fractions) and listener.fractions[-1] == 1.0
    assert taught.rescorer.facts["config"]["trees"] == 30
    with pytest.raises(UserError, match="ships with napari-sartorius"):
        taught.save(bundle)
    saved = taught.save(bundle, "better")
    card = find_bundle("better").card
    assert card.rescorer is not None and card.rescorer.min_predicted_iou["cort"] == 0.3
    assert card.metrics["rescorer_score_before"] == taught.figures.before["all"]
    assert saved.read_rescorer() == taught.rescorer.to_bytes()
    # Once more, into the user's own model.
    changed = QUICK.model_copy(update={"rank": "product"})
    again = teach_on_samples(saved, samples, changed, Monitor()).save(saved)  # type: ignore[arg-type]
    assert again.card.rescorer is not None and again.card.rescorer.rank == "product"
    # Same data, same seed: the same regressor, and a checksum of the data that says so.
    facts = [taught.rescorer.facts[key] for key in ("data_sha256", "model_sha256")]
    second = teach_on_samples(bundle, samples, QUICK, Monitor())  # type: ignore[arg-type]
    assert [second.rescorer.facts[key] for key in ("data_sha256", "model_sha256")] == facts
    np.testing.assert_array_equal(
        second.rescorer.predict(samples[0].table), taught.rescorer.predict(samples[0].table)
    )


def test_cancelled_between_images(data: Path) -> None:
    with pytest.raises(Cancelled):
        teach_rescorer(find_bundle("neurons"), read_coco(data), QUICK, _Listener(0.3))  # type: ignore[arg-type]


def test_which_images_are_used(tmp_path: Path, data: Path) -> None:
    listener = _Listener()
    assert len(choose_images(read_coco(data), "val", listener)) == 4
    assert not listener.notices
    with pytest.raises(UserError, match="choose from val"):
        choose_images(read_coco(data), "test", listener)
    plain = read_coco(write_generated(tmp_path, 1, split=None))
    assert len(choose_images(plain, "val", listener)) == 1
    assert "must not have been trained on them" in listener.notices.pop()
    train = read_coco(write_generated(tmp_path, 2, split="train"))
    for split in ("train", None):
        assert len(choose_images(train, split, listener)) == 2
        assert "trusts it too much" in listener.notices.pop()
    nothing: Any = plain.select(lambda _: False)
    with pytest.raises(UserError, match="no annotated image"):
        choose_images(nothing, None, listener)


@pytest.mark.slow
def test_a_run_folder_keeps_what_was_found_and_how_it_was_learnt(tmp_path: Path) -> None:
    data = read_coco(write_generated(tmp_path, 4))
    bundle, run = find_bundle("neurons"), tmp_path / "run"
    with pytest.raises(Cancelled):
        teach_rescorer(bundle, data, QUICK, _Listener(stop_at=0.5), run)
    done = {path.name for path in (run / "samples").iterdir()}
    assert 0 < len(done) < 4
    listener = _Listener()
    taught = teach_rescorer(bundle, data, QUICK, listener, run)
    assert f"{len(done)} of 4 images had been segmented before" in listener.notices
    assert taught.figures == teach_rescorer(bundle, data, QUICK, None, run).figures
    plain = teach_rescorer(bundle, data, QUICK)
    assert taught.figures == plain.figures
    assert (run / "figures.txt").read_text() == plain.figures.to_text("score") + "\n"
    assert RescoreConfig.model_validate_json((run / "config.json").read_text()) == QUICK
    header, *rows = (run / "curve.csv").read_text().splitlines()
    assert header == "trees,rmse"
    numbers = [(int(row.split(",")[0]), float(row.split(",")[1])) for row in rows]
    assert [trees for trees, _ in numbers] == list(range(1, 31))
    assert numbers[0][1] > numbers[-1][1]

    # A damaged memory is no obstacle.
    victim = next((run / "samples").iterdir())
    victim.write_bytes(victim.read_bytes()[:100])
    assert teach_rescorer(bundle, data, QUICK, None, run).figures == plain.figures
