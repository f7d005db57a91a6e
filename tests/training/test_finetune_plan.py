"""Zoom, pace and provenance of a fine-tuning."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.progress import Monitor
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.rescale import choose_scale
from napari_sartorius.io.coco import CocoDataset, CocoImage
from napari_sartorius.nn.build import build_network
from napari_sartorius.training.finetune_plan import InTime, Plan, Stopwatch, make_plan
from napari_sartorius.training.fit import Trainer
from napari_sartorius.training.new_kinds import most_alike
from napari_sartorius.training.pace import FEWEST_STEPS, Pace, fitted, measure_pace
from napari_sartorius.training.provenance import (
    annotations_sha256,
    corrected_cells,
    learnt_images,
    total_corrected,
)
from napari_sartorius.training.zoom import choose_zoom, zoomed
from napari_sartorius.zoo import ModelCard
from napari_sartorius.zoo.cost import default_scale
from tiny_models import tiny_card

from .conftest import disc_image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_sartorius.training.config import TrainConfig
    from napari_sartorius.training.images import AnnotatedImage


@pytest.mark.parametrize("zoom", [0.6, 1.6])
def test_masks_stay_on_their_cells_at_another_zoom(
    discs: list[AnnotatedImage], zoom: float
) -> None:
    image = discs[0]
    other = zoomed(image, zoom)
    side = round(96 * zoom)
    assert other.pixels.shape == (side, side, 1)
    assert other.masks.image_size == (side, side)
    np.testing.assert_allclose(other.masks.area(), image.masks.area() * zoom**2, rtol=0.12)
    for i in range(len(image.masks)):
        before = image.pixels[image.masks.full(i)].mean()
        after = other.pixels[other.masks.full(i)].mean()
        assert abs(before - after) < 0.25  # cells and background are 1 or more apart


def test_the_zoom_that_the_start_does_best_at_is_chosen(discs: list[AnnotatedImage]) -> None:
    def score(images: Sequence[AnnotatedImage]) -> float:
        return 0.6 if images[0].pixels.shape[0] == round(96 * 1.6) else 0.5

    assert choose_zoom(discs[:2], 12.0, score) == 1.6
    assert choose_zoom(discs[:2], 12.0, lambda _: 0.5) == 1.0  # no zoom without need
    # Where nothing is found the difference is chance.
    assert choose_zoom(discs[:2], 12.0, lambda images: score(images) / 10) == 1.0


def test_an_unknown_kind_is_brought_to_the_models_size(discs: list[AnnotatedImage]) -> None:
    areas = np.concatenate([image.masks.area() for image in discs])
    diameter = float(np.sqrt(np.median(areas) * 4 / np.pi))
    assert choose_zoom(discs, diameter * 1.5, None) == 1.0
    assert choose_zoom(discs, diameter * 2.5, None) == pytest.approx(2.5, abs=0.01)


class Stages(Monitor):
    """Remembers what is said of the progress."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float]] = []

    def progress(self, stage: str, fraction: float) -> None:
        self.told.append((stage, fraction))


def _all_looks(total: int) -> list[tuple[str, float]]:
    return [(f"looking at the images, {n} of {total}", n / total) for n in range(total + 1)]


def test_looks_at_images_before_the_first_step_are_counted(
    tmp_path: Path, tiny_config: TrainConfig, discs: list[AnnotatedImage]
) -> None:
    network, heard = build_network(tiny_config.architecture).eval(), Stages()
    config = tiny_config.model_copy(update={"validate_first": True})
    watch = Stopwatch(None, lambda: 0.0)
    # Two images at three zooms and at that of cells as large as the model's, one kept apart.
    card = tiny_card(cell_diameter=12.0)
    make_plan(tmp_path, card, network, config, discs[:2], discs[2:3], watch, heard)
    assert heard.told == _all_looks(4 * 2 + 1)
    # What the model cannot be measured on is not looked at.
    heard = Stages()
    unknown = config.model_copy(update={"validate_first": False})
    make_plan(tmp_path, card, network, unknown, discs[:2], discs[2:3], watch, heard)
    assert heard.told == [("looking at the images", 0.0)]
    heard, cpu = Stages(), torch.device("cpu")
    most_alike(network, discs[:3], 2, 2, heard, cpu, torch.float32)
    assert heard.told == _all_looks(3)


def test_the_start_is_measured_with_its_images_counted_and_later_steps_are_not(
    tmp_path: Path, tiny_config: TrainConfig, discs: list[AnnotatedImage]
) -> None:
    heard = Stages()
    config = tiny_config.model_copy(
        update={"validate_first": True, "steps": 2, "validate_every": 1, "device": "cpu"}
    )
    Trainer(config, discs[:2], discs[2:5], tmp_path, heard).fit()
    assert heard.told == [
        *_all_looks(3),
        ("training, step 1 of 2", 0.5),
        ("training, step 2 of 2", 1),
    ]


def test_a_card_can_say_which_size_its_images_have() -> None:
    card = tiny_card(cell_diameter=20.0, image_diameter=10.0)
    assert choose_scale(card, SegmentConfig()).factor == 2
    assert choose_scale(card, SegmentConfig(diameter=40)).factor == 0.5
    assert default_scale(card) == 2
    with pytest.raises(ValueError, match="both say"):
        tiny_card(image_diameter=10.0, input_size={"short_edge": 800})


def test_cards_from_before_there_was_provenance_are_read() -> None:
    old = tiny_card().model_dump(mode="json")
    del old["learnt_from"], old["image_diameter"]
    assert ModelCard.model_validate(old).learnt_from is None


def test_steps_fit_into_the_time(tiny_config: TrainConfig) -> None:
    config = tiny_config.model_copy(
        update={"steps": 600, "validate_every": 75, "warmup_steps": 50, "checkpoint_every": 75}
    )
    assert fitted(config, Pace(0.1, 1.0), 900) == config  # a fast computer makes all of them
    slow = fitted(config, Pace(2.0, 10.0), 900, other=4)
    validations = -(-slow.steps // slow.validate_every)
    assert 600 < slow.steps * 2.0 + (validations + 4) * 10.0 <= 900
    assert slow.warmup_steps <= slow.steps // 6
    assert fitted(config, Pace(100.0, 0.0), 900).steps == FEWEST_STEPS
    # Validation is rarer where it takes long.
    rare = fitted(config, Pace(1.0, 60.0), 900)
    assert rare.steps / rare.validate_every <= 5


def test_the_pace_is_measured(tiny_config: TrainConfig, discs: list[AnnotatedImage]) -> None:
    ticks = iter(np.arange(0, 1000, 3.0))
    network = build_network(tiny_config.architecture).eval()
    pace = measure_pace(
        network, tiny_config, discs[:2], discs[:2], Monitor(), lambda: float(next(ticks))
    )
    assert pace == Pace(step=3.0, validation=6.0)  # two images of the size that was timed


def test_a_step_whose_time_is_known_is_not_made(
    tiny_config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_sartorius.training.pace.time_step", lambda *_: 0.75)
    network = build_network(tiny_config.architecture).eval()
    assert measure_pace(network, tiny_config, [], [], Monitor()) == Pace(0.75, 0.0)
    known = measure_pace(network, tiny_config, [], [], Monitor(), step=0.25)
    assert known == Pace(0.25, 0.0)


def test_a_run_ends_when_the_computer_became_slow(tmp_path: Path) -> None:
    heard: list[str] = []

    class Ear(Monitor):
        def notice(self, message: str) -> None:
            heard.append(message)

    now = [0.0]
    watch = InTime(Ear(), Stopwatch(100, lambda: now[0]), tmp_path / "stop")
    now[0] = 110
    watch.progress("training", 0.5)
    assert not (tmp_path / "stop").exists()
    now[0] = 130
    watch.progress("training", 0.5)
    watch.progress("training", 0.6)
    assert (tmp_path / "stop").exists()
    assert len(heard) == 1


def test_crops_are_drawn_at_the_zoom(tiny_config: TrainConfig) -> None:
    plan = Plan(
        zoom=2.0, own_zoom=1.0, before=None, steps=7, validate_every=2, checkpoint_every=2,
        warmup_steps=1,
    )  # fmt: skip
    config = plan.applied_to(tiny_config)
    assert config.augment.scale == (1.8, 2.2)
    assert config.steps == 7


def test_every_image_is_recorded_with_its_corrections(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(name.encode())
    _, masks, categories = disc_image(0)
    cells = Instances.from_masks(masks, categories=categories)
    source = np.array(["model"] * 4 + ["drawn", "edited", "imported"])
    reviewed = np.array([True] + [False] * 6)
    some = replace(cells, columns={"source": source, "reviewed": reviewed})
    images = [CocoImage(1, "deep/a.png", 96, 96), CocoImage(2, "b.png", 96, 96, {"plane": [3]})]
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.png").rename(tmp_path / "deep" / "a.png")
    dataset = CocoDataset(images, [], {1: some, 2: cells}, {}, tmp_path)
    first, second = learnt_images(dataset, {1}, {1, 2}, Monitor())
    assert (first.name, first.used_for, first.cells, first.corrected_cells) == (
        "a.png",
        "both",
        7,
        4,
    )
    assert first.sha256 == hashlib.sha256(b"a.png").hexdigest()
    assert (second.plane, second.used_for, second.corrected_cells) == ((3,), "validation", None)
    assert first.annotations_sha256 == second.annotations_sha256  # the same masks
    assert annotations_sha256(cells[:6]) != first.annotations_sha256
    assert total_corrected([first]) == 4
    assert total_corrected([first, second]) is None
    assert corrected_cells(some[:4]) == 1
