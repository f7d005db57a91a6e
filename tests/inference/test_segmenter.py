"""The whole way from an image to instances, with a detector whose answer is known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Cancelled, Monitor
from napari_sartorius.inference import memory
from napari_sartorius.inference import segmenter as segmenter_module
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.device import DeviceChoice
from napari_sartorius.inference.result import STAGES, SegmentResult
from napari_sartorius.inference.segmenter import Segmenter
from napari_sartorius.zoo.card import Thresholds


class Listener(Monitor):
    """Remembers what it hears and may cancel after some checks."""

    def __init__(self, cancel_after: int | None = None) -> None:
        self.fractions: list[float] = []
        self.stages: list[str] = []
        self.notices: list[str] = []
        self.checks_left = cancel_after

    def progress(self, stage: str, fraction: float) -> None:
        self.stages.append(stage)
        self.fractions.append(fraction)

    def notice(self, message: str) -> None:
        self.notices.append(message)

    def check(self) -> None:
        if self.checks_left is not None:
            self.checks_left -= 1
            if self.checks_left < 0:
                raise Cancelled


def make(card: Any, detector: Any, **config: Any) -> Segmenter:
    config = {"device": "cpu", "precision": "float32", "preset": "fast"} | config
    bundle = cast("Any", SimpleNamespace(card=card))
    return Segmenter(bundle, SegmentConfig.model_validate(config), detector)


@pytest.fixture(scope="module")
def scene(discs: Any, scattered: Any) -> Any:
    """About 190 discs: a third bright (category 1), on a field of 420 x 560."""
    size = (420, 560)
    centres, radii = scattered(size, 35, (6, 13), 1)
    values = np.where(np.arange(len(radii)) % 3 == 0, 2.0, 1.0)
    return discs(size, centres, radii, values)


def _pairs(one: SegmentResult, two: SegmentResult) -> int:
    """Number of objects of `one` with a counterpart of nearly the same pixels in `two`."""
    rows, columns, shared = one.instances.masks.overlaps(two.instances.masks)
    area_one, area_two = one.instances.masks.area(), two.instances.masks.area()
    same = shared / (area_one[rows] + area_two[columns] - shared) > 0.8
    return len(set(rows[same]))


def test_finds_every_disc(card: Any, disc_detector: Any, scene: Any) -> None:
    listener = Listener()
    segmenter = make(card, disc_detector())
    result = segmenter.segment(scene, monitor=listener)
    np.testing.assert_array_equal(result.instances.masks.to_labels() > 0, scene > 0.5)
    assert set(segmenter.segment(scene).timings) == set(STAGES)
    assert result.instances.image_size == scene.shape
    assert (np.diff(result.instances.scores) <= 0).all()
    bright = result.instances.categories == 1
    at_centre = [scene[int(y), int(x)] for x, y in _centres(result)]
    np.testing.assert_array_equal(bright, np.array(at_centre) > 1.5)
    assert result.categories == ["dim", "bright"]
    assert result.cell_type == "all"
    assert set(result.timings) == {"load", *STAGES}
    assert all(seconds >= 0 for seconds in result.timings.values())
    assert result.notices == listener.notices == []
    assert listener.fractions == sorted(listener.fractions)
    assert listener.fractions[-1] == 1.0


def _centres(result: SegmentResult) -> Any:
    boxes = result.instances.boxes
    return (boxes[:, :2] + boxes[:, 2:]) / 2


@pytest.mark.parametrize("preset", ["fast", "best"])
def test_tiled_equals_whole(card: Any, disc_detector: Any, scene: Any, preset: str) -> None:
    whole = make(card, disc_detector(), tile="off", preset=preset).segment(scene)
    tiled = make(card, disc_detector(), tile=256, preset=preset).segment(scene)
    assert whole.tiles == 1
    assert tiled.tiles > 4
    assert abs(len(tiled.instances) - len(whole.instances)) <= 0.01 * len(whole.instances)
    assert _pairs(whole, tiled) >= 0.99 * len(whole.instances)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_scale_comes_back_in_image_pixels(
    card: Any, disc_detector: Any, scene: Any, factor: float
) -> None:
    detector = disc_detector()
    result = make(card, detector, diameter=20.0 / factor, tile="off").segment(scene)
    assert result.scale == pytest.approx(factor)
    assert detector.batches[0][2] == pytest.approx(420 * factor, abs=16)
    plain = make(card, disc_detector()).segment(scene)
    assert _pairs(plain, result) >= 0.95 * len(plain.instances)


def test_scaled_and_tiled(card: Any, disc_detector: Any, scene: Any) -> None:
    result = make(card, disc_detector(), diameter=10.0, tile=128).segment(scene)
    plain = make(card, disc_detector(), diameter=10.0, tile="off").segment(scene)
    assert result.tiles > 4
    assert abs(len(result.instances) - len(plain.instances)) <= 2
    assert _pairs(plain, result) >= 0.98 * len(plain.instances)


def test_agreement_of_views(card: Any, disc_detector: Any, scene: Any) -> None:
    detector = disc_detector()
    result = make(card, detector, preset="best").segment(scene)
    assert len(detector.batches) == 4
    assert (result.instances.columns["agreement"] == 1).all()
    assert "agreement" not in make(card, disc_detector()).segment(scene).instances.columns


def test_fixed_cell_type(card: Any, disc_detector: Any, scene: Any) -> None:
    result = make(card, disc_detector(), cell_type="bright").segment(scene)
    np.testing.assert_array_equal(result.instances.masks.to_labels() > 0, scene > 1.5)
    assert result.cell_type == "bright"


def test_majority_decides_the_cell_type(card: Any, disc_detector: Any, scene: Any) -> None:
    exclusive = SimpleNamespace(**(vars(card) | {"one_category_per_image": True}))
    result = make(exclusive, disc_detector()).segment(scene)
    assert result.cell_type == "dim"
    assert set(result.instances.categories.tolist()) == {0}


def _learnt_anew(card: Any, vote: float) -> Any:
    """The card of a model to which the many dim discs are a new kind."""
    own = {"dim": vote, "bright": 1.0}
    return SimpleNamespace(
        **vars(card)
        | {
            "one_category_per_image": True,
            "thresholds_of": lambda name: Thresholds(
                score=0.3, nms=0.5, min_size=5, vote=own[name]
            ),
        }
    )


def test_a_new_kind_yields_to_an_old_one(card: Any, disc_detector: Any, scene: Any) -> None:
    everything = make(card, disc_detector()).segment(scene).instances
    result = make(_learnt_anew(card, 0.05), disc_detector()).segment(scene)
    assert result.cell_type == "bright"
    assert set(result.instances.categories.tolist()) == {1}
    assert len(result.instances) == len(everything)  # found all the same
    clear = make(_learnt_anew(card, 0.9), disc_detector()).segment(scene)
    assert clear.cell_type == "dim"
    assert len(clear.instances) == np.count_nonzero(everything.categories == 0)


def test_a_new_kind_yields_to_the_cell_type_that_the_user_names(
    card: Any, disc_detector: Any, scene: Any
) -> None:
    everything = make(card, disc_detector()).segment(scene).instances
    learnt = _learnt_anew(card, 0.9)
    old = make(learnt, disc_detector(), cell_type="bright").segment(scene)
    assert old.cell_type == "bright"
    assert len(old.instances) == len(everything)
    new = make(learnt, disc_detector(), cell_type="dim").segment(scene)
    assert len(new.instances) == np.count_nonzero(everything.categories == 0)


def test_thresholds_hold_for_what_objects_count_as(
    card: Any, disc_detector: Any, scene: Any
) -> None:
    learnt = _learnt_anew(card, 0.05)
    everything = make(card, disc_detector()).segment(scene).instances
    limit = float(np.median(everything.scores))
    strict = make(learnt, disc_detector(), score_thresholds={"bright": limit}).segment(scene)
    assert strict.cell_type == "bright"
    assert len(strict.instances) == np.count_nonzero(everything.scores >= limit)


def test_unknown_cell_type_lists_the_known(card: Any, disc_detector: Any) -> None:
    with pytest.raises(UserError, match="dim, bright"):
        make(card, disc_detector(), cell_type="astro")
    with pytest.raises(UserError, match="'astro'"):
        make(card, disc_detector(), score_thresholds={"astro": 0.5})


def test_score_and_size_limits(card: Any, disc_detector: Any, scene: Any) -> None:
    everything = make(card, disc_detector()).segment(scene).instances
    median = float(np.median(everything.scores))
    strict = make(card, disc_detector(), min_score=median).segment(scene).instances
    assert len(strict) == np.count_nonzero(everything.scores >= median)
    own = make(card, disc_detector(), score_thresholds={"dim": 1.0}).segment(scene).instances
    assert len(own) == np.count_nonzero(everything.categories == 1)
    large = make(card, disc_detector(), min_size=300).segment(scene).instances
    assert len(large) == np.count_nonzero(everything.masks.area() >= 300)


@pytest.mark.parametrize("tile", ["off", 600])
def test_top_k_is_reported(card: Any, disc_detector: Any, scene: Any, tile: Any) -> None:
    listener = Listener()
    result = make(card, disc_detector(), max_objects_per_tile=50, tile=tile).segment(
        scene, monitor=listener
    )
    assert len(result.instances) == 50
    assert "max_objects_per_tile is 50" in listener.notices[0]
    assert "choose smaller tiles" in listener.notices[0]
    assert result.notices == listener.notices


@pytest.mark.parametrize("preset", ["fast", "best"])
def test_a_tile_with_too_many_objects_is_split(
    card: Any, disc_detector: Any, scene: Any, preset: str
) -> None:
    whole = make(card, disc_detector(), preset=preset).segment(scene)
    count = len(whole.instances)
    listener, detector = Listener(), disc_detector()
    result = make(card, detector, max_objects_per_tile=count // 2, preset=preset).segment(
        scene, monitor=listener
    )
    assert whole.tiles == 1
    assert result.tiles == 4
    assert result.notices == []
    assert len(result.instances) == count
    np.testing.assert_array_equal(result.instances.masks.to_labels() > 0, scene > 0.5)
    assert listener.fractions == sorted(listener.fractions)
    assert max(max(batch[2:]) for batch in detector.batches[-4:]) < 560


def test_only_the_dense_part_of_an_image_is_split(
    card: Any, disc_detector: Any, discs: Any, scattered: Any
) -> None:
    size = (1100, 1100)
    centres, radii = scattered(size, 40, (8, 14), 3)
    dense = (centres < 620).all(axis=1)
    sparse = ~dense & (np.arange(len(centres)) % 4 == 0)
    image = discs(size, centres[dense | sparse], radii[dense | sparse])
    plain = make(card, disc_detector()).segment(image)
    assert plain.tiles == 4
    result = make(card, disc_detector(), max_objects_per_tile=200).segment(image)
    # The tile of the dense corner becomes four; the others stay.
    assert result.tiles == 7
    assert result.notices == []
    assert len(result.instances) == len(plain.instances) == np.count_nonzero(dense | sparse)
    np.testing.assert_array_equal(
        result.instances.masks.to_labels() > 0, plain.instances.masks.to_labels() > 0
    )


def test_a_cap_in_the_smallest_tiles_is_reported(card: Any, disc_detector: Any, scene: Any) -> None:
    detector = disc_detector(capped=True)
    result = make(card, detector).segment(scene)
    # 420 x 560 becomes 4 tiles of 272 x 336; parts of those would be smaller than 256.
    assert result.tiles == 4
    assert len(result.notices) == 1
    assert "4 of 4 tiles" in result.notices[0]
    assert "as small as is sensible" in result.notices[0]
    np.testing.assert_array_equal(result.instances.masks.to_labels() > 0, scene > 0.5)


def test_only_wanted_objects_count_for_a_cap(card: Any, disc_detector: Any, scene: Any) -> None:
    detector = disc_detector()
    make(card, detector, score_thresholds={"dim": 0.4}, min_score=0.6).segment(scene)
    np.testing.assert_allclose(detector.limits[0].wanted, [0.4, 0.6])
    make(card, detector, cell_type="bright").segment(scene)
    np.testing.assert_allclose(detector.limits[-1].wanted, [np.inf, 0.3])


def test_same_input_same_result(card: Any, disc_detector: Any, scene: Any) -> None:
    one, two = (
        make(card, disc_detector(), tile=256, preset="balanced").segment(scene).instances
        for _ in range(2)
    )
    np.testing.assert_array_equal(one.masks.bits, two.masks.bits)
    np.testing.assert_array_equal(one.boxes, two.boxes)
    np.testing.assert_array_equal(one.scores, two.scores)


def test_cancel_between_tiles(card: Any, disc_detector: Any, scene: Any) -> None:
    detector = disc_detector()
    with pytest.raises(Cancelled):
        make(card, detector, tile=256).segment(scene, monitor=Listener(cancel_after=3))
    assert len(detector.batches) == 2


def test_equal_tiles_share_batches(
    card: Any, disc_detector: Any, scene: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_batch", lambda tiles, budget, effort: 4)
    detector = disc_detector()
    result = make(card, detector, tile=256).segment(scene)
    assert [batch[0] for batch in detector.batches][:-1] == [4] * (result.tiles // 4)
    assert len({batch[1:] for batch in detector.batches}) == 1
    single = make(card, disc_detector(), tile="off").segment(scene)
    assert len(result.instances) == len(single.instances)


def _on_pretended_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch's data-less device stands in for a card; the detector fails before reading."""
    monkeypatch.setattr(
        segmenter_module, "choose_device", lambda request: DeviceChoice("meta", "pretended")
    )


def test_out_of_memory_halves_batch_then_tile_then_goes_to_the_processor(
    card: Any, disc_detector: Any, scene: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _on_pretended_gpu(monkeypatch)
    monkeypatch.setattr(memory, "_LARGEST_BATCH", 4)
    listener = Listener()
    detector = disc_detector(out_of_memory=4)
    segmenter = make(card, detector, tile=320)
    result = segmenter.segment(scene, monitor=listener)
    words = [
        "2 instead of 4 looks",
        "1 instead of 2 looks",
        "tiles of 256 instead of",
        "processor",
    ]
    assert len(listener.notices) == len(words)
    for notice, expected in zip(listener.notices, words, strict=True):
        assert expected in notice
    assert result.device == detector.device == "cpu"
    assert result.notices == listener.notices
    np.testing.assert_array_equal(result.instances.masks.to_labels() > 0, scene > 0.5)
    # What was learnt is kept for the next image.
    assert segmenter.segment(scene).notices == []


def test_out_of_memory_on_the_processor_too(card: Any, disc_detector: Any, scene: Any) -> None:
    with pytest.raises(UserError, match="memory does not suffice"):
        make(card, disc_detector(out_of_memory=99)).segment(scene)


def test_other_errors_are_not_blamed_on_memory(card: Any, disc_detector: Any, scene: Any) -> None:
    detector = disc_detector(error=RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        make(card, detector).segment(scene)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("x"), True),
        (RuntimeError("MPS backend out of memory (allocated 9 GB)"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("could not create a primitive descriptor for a convolution"), False),
        (RuntimeError("mat1 and mat2 shapes"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_counts_as_out_of_memory(error: Exception, expected: bool) -> None:
    assert memory.is_out_of_memory(error) is expected


def test_fallback_device_is_told(
    card: Any, disc_detector: Any, scene: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice = DeviceChoice("cpu", "The processor is used because cuda:0 cannot be.", fallback=True)
    monkeypatch.setattr(segmenter_module, "choose_device", lambda request: choice)
    assert make(card, disc_detector()).segment(scene).notices == [choice.reason]


def test_nothing_to_find(card: Any, disc_detector: Any) -> None:
    for preset in ("fast", "best"):
        result = make(card, disc_detector(), preset=preset).segment(np.zeros((50, 70), np.uint8))
        assert len(result.instances) == 0
        assert result.instances.image_size == (50, 70)


def test_one_pixel(card: Any, disc_detector: Any) -> None:
    assert len(make(card, disc_detector()).segment(np.zeros((1, 1), np.uint8)).instances) == 0


def test_stack(card: Any, disc_detector: Any, scene: Any) -> None:
    listener = Listener()
    planes = [scene, np.zeros_like(scene), scene]
    results = list(make(card, disc_detector()).segment_stack(planes, monitor=listener))
    assert [len(r.instances) > 0 for r in results] == [True, False, True]
    assert listener.fractions == sorted(listener.fractions)
    assert listener.fractions[-1] == 1.0
    assert "plane 2 of 3: filter" in listener.stages


def test_config_travels_with_the_result(card: Any, disc_detector: Any, scene: Any) -> None:
    segmenter = make(card, disc_detector(), diameter=21.0)
    assert segmenter.segment(scene).config is segmenter.config


def test_a_limit_of_the_card_is_told_but_does_not_split(
    card: Any, disc_detector: Any, discs: Any, scattered: Any
) -> None:
    size = (500, 500)
    centres, radii = scattered(size, 40, (8, 14), 3)
    image = discs(size, centres, radii)
    most = len(centres) // 2
    limited = SimpleNamespace(**(vars(card) | {"max_objects": most}))
    result = make(limited, disc_detector()).segment(image)
    assert result.tiles == 1
    assert len(result.instances) == most
    assert f"own limit of {most} objects" in result.notices[0]
    more = make(limited, disc_detector(), max_objects_per_tile=1000).segment(image)
    assert len(more.instances) == len(centres)
    assert more.notices == []
