"""Every option by itself and all together: valid truth, finite pixels, the same from one seed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from napari_sartorius.training.augment.blur import (
    box_blur,
    gaussian_blur,
    median_blur,
    motion_blur,
)
from napari_sartorius.training.augment.config import AugmentConfig, MosaicConfig
from napari_sartorius.training.augment.edges import emboss, equalise_locally, sharpen
from napari_sartorius.training.augment.intensity import bend
from napari_sartorius.training.config import TrainConfig
from napari_sartorius.training.crops import CropSampler
from napari_sartorius.training.sampling import FixedSampling

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sartorius.nn.targets import Target
    from napari_sartorius.training.images import AnnotatedImage

PLAIN: dict[str, Any] = {"scale": (1, 1), "contrast": 0, "brightness": 0, "gamma": 1, "noise": 0}
OPTIONS: dict[str, dict[str, Any]] = {
    "short edges": {"short_edges": (80, 120)},
    "relative crop": {"relative_crop": 0.8},
    "rotate": {"rotate": 180},
    "visibility": {"min_visibility": 0.5},
    "intensity": {"contrast": 0.5, "brightness": 1, "gamma": 2, "noise": 0.5, "invert": 0.5},
    "blur": {"blur": 1},
    "gaussian blur": {"gaussian_blur": 1},
    "median blur": {"median_blur": 1},
    "motion blur": {"motion_blur": 1},
    "clahe": {"clahe": 1},
    "sharpen": {"sharpen": 1},
    "emboss": {"emboss": 1},
    "fixed mosaic": {"mosaic": {"fixed": 1}},
    "random mosaic": {"mosaic": {"random": 1}},
    "mixup": {"mixup": {"probability": 1}},
    "flip-paste": {"flip_paste": {"probability": 1}},
    "copy-paste": {"copy_paste": {"probability": 1}},
}
EVERYTHING: dict[str, Any] = {"scale": (0.7, 1.4)}
for _option in list(OPTIONS.values())[2:]:
    EVERYTHING |= _option
EVERYTHING["mosaic"] = {"fixed": 0.3, "random": 0.3}


def sampler(images: list[AnnotatedImage], seed: int = 0, **options: Any) -> CropSampler:
    config = AugmentConfig.model_validate({**PLAIN, **options})
    return CropSampler(images, FixedSampling(np.ones(len(images))), 64, config, seed)


def areas_of(target: Target) -> list[int]:
    """Pixels of each object."""
    sides = target.bitmap_boxes[:, 2:] - target.bitmap_boxes[:, :2]
    sizes = (sides[:, 0] * sides[:, 1]).tolist()
    return [
        int(target.bits[start : start + size].sum())
        for start, size in zip(target.offsets.tolist(), sizes, strict=True)
    ]


@pytest.mark.parametrize("options", [*OPTIONS.values(), EVERYTHING], ids=[*OPTIONS, "everything"])
def test_each_option_gives_valid_truth_changes_something_and_follows_the_seed(
    discs: list[AnnotatedImage], options: dict[str, Any]
) -> None:
    drawn = sampler(discs, **options)
    pixels, targets = drawn.batch(3, 6)
    assert pixels.shape == (6, 1, 64, 64)
    assert pixels.dtype == torch.float32
    assert torch.isfinite(pixels).all()
    assert sum(len(target.boxes) for target in targets) > 6
    for target in targets:
        boxes = target.boxes
        assert (boxes[:, 2:] - boxes[:, :2] >= 0.7).all()
        assert (boxes >= 0).all()
        assert (boxes <= 64 + 1e-3).all()
        place = target.bitmap_boxes
        sizes = (place[:, 2] - place[:, 0]) * (place[:, 3] - place[:, 1])
        assert int(sizes.sum()) == len(target.bits)
        assert target.offsets.tolist() == (sizes.cumsum(0) - sizes).tolist()
        for start, (x0, y0, x1, y1) in zip(target.offsets.tolist(), place.tolist(), strict=True):
            bitmap = target.bits[start : start + (x1 - x0) * (y1 - y0)].view(y1 - y0, x1 - x0)
            assert int(bitmap.sum()) >= 12
            # Tight, so that the boxes are those of the objects.
            assert bitmap.any(0)[[0, -1]].all()
            assert bitmap.any(1)[[0, -1]].all()
    again, same = sampler(discs, **options).batch(3, 6)
    torch.testing.assert_close(pixels, again, rtol=0, atol=0)
    for target, other in zip(targets, same, strict=True):
        assert torch.equal(target.bits, other.bits)
        assert torch.equal(target.boxes, other.boxes)
    if options != OPTIONS["visibility"]:
        assert not torch.equal(pixels, sampler(discs).batch(3, 6)[0])


def test_a_later_step_does_not_depend_on_the_earlier_ones(discs: list[AnnotatedImage]) -> None:
    through = sampler(discs, **EVERYTHING)
    for step in range(4):
        last = through.batch(step, 2)[0]
    torch.testing.assert_close(sampler(discs, **EVERYTHING).batch(3, 2)[0], last, rtol=0, atol=0)


def test_what_the_authors_found_harmful_is_off() -> None:
    config = AugmentConfig()
    for name in ("blur", "gaussian_blur", "median_blur", "motion_blur", "clahe", "sharpen"):
        assert getattr(config, name) == 0
    assert config.emboss == config.rotate == config.invert == 0
    assert config.mosaic.fixed == config.mosaic.random == 0
    assert config.mixup.probability == 0
    assert config.flip_paste.probability == config.copy_paste.probability == 0


def test_settings_of_older_runs_are_read_as_they_were(tiny_config: TrainConfig) -> None:
    saved = json.loads(tiny_config.model_dump_json())
    saved["augment"] = {
        "scale": [0.5, 2.0], "contrast": 0.1, "brightness": 0.2, "gamma": 1.5, "noise": 0.05,
        "colour": 0.3, "invert": 0.5,
    }  # fmt: skip
    augment = TrainConfig.model_validate(saved).augment
    assert augment.model_dump(include=set(saved["augment"])) == {
        **saved["augment"], "scale": (0.5, 2.0),
    }  # fmt: skip
    assert augment.mosaic == MosaicConfig()


@pytest.mark.parametrize(
    "wrong",
    [
        {"short_edges": (640,), "relative_crop": 0.5},
        {"short_edges": (8,)},
        {"scale": (1.2, 0.8)},
        {"mosaic": {"fixed": 0.7, "random": 0.7}},
        {"blur": 1.5},
        {"blurr": 1},
    ],
)
def test_settings_that_contradict_each_other_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AugmentConfig.model_validate(wrong)


def test_objects_cut_by_the_crop_are_left_out_below_the_least_visibility(
    discs: list[AnnotatedImage],
) -> None:
    whole = {int(area) for image in discs for area in image.masks.area()}
    areas = {
        least: [
            area
            for step in range(8)
            for target in sampler(discs, min_visibility=least).batch(step, 2)[1]
            for area in areas_of(target)
        ]
        for least in (0.0, 1.0)
    }
    assert set(areas[1.0]) <= whole
    assert not set(areas[0.0]) <= whole
    assert len(areas[1.0]) < len(areas[0.0])


def test_flip_paste_changes_crops_of_its_categories_only(discs: list[AnnotatedImage]) -> None:
    option = {"flip_paste": {"probability": 1, "categories": (0,)}}
    others = {"flip_paste": {"probability": 1, "categories": (5,)}}
    unchanged = sampler(discs).batch(1, 1)[0]
    torch.testing.assert_close(sampler(discs, **others).batch(1, 1)[0], unchanged)
    single = [
        type(image)(image.name, image.pixels, image.masks[::2], image.categories[::2])
        for image in discs
    ]
    assert {int(c) for image in single for c in image.categories} == {0}
    mirrored = sampler(single, **option).batch(1, 4)[1]
    plain = sampler(single).batch(1, 4)[1]
    assert sum(len(t.boxes) for t in mirrored) > 1.5 * sum(len(t.boxes) for t in plain)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: box_blur(x, 5),
        lambda x: gaussian_blur(x, 1.5),
        lambda x: median_blur(x, 5),
        lambda x: motion_blur(x, 7, 30.0),
        lambda x: sharpen(x, 0.5, 1.0),
        lambda x: emboss(x, 0.5, 0.5),
    ],
)
def test_filters_leave_even_grey_as_it_is_and_change_edges(
    change: Callable[[np.ndarray], np.ndarray],
) -> None:
    even = np.full((24, 30, 3), 1.5, np.float32)
    np.testing.assert_allclose(change(even), even, atol=1e-5)
    step = np.zeros((24, 30, 1), np.float32)
    step[8:14, 10:20] = 2
    changed = change(step)
    assert changed.dtype == np.float32
    assert abs(changed - step).max() > 0.1
    # Far from the square nothing moves.
    np.testing.assert_allclose(changed[20:, 26:], 0, atol=1e-5)


def test_motion_blur_spreads_along_its_line_and_keeps_the_light() -> None:
    dot = np.zeros((31, 31, 1), np.float32)
    dot[15, 15] = 1
    across = motion_blur(dot, 7, 0.0)[..., 0]
    np.testing.assert_allclose(across[15, 12:19], 1 / 7, rtol=1e-5)
    assert across.sum() == pytest.approx(1, rel=1e-5)
    down = motion_blur(dot, 7, 90.0)[..., 0]
    np.testing.assert_allclose(down, across.T, atol=1e-6)


def test_local_equalisation_stretches_a_faint_picture() -> None:
    rng = np.random.default_rng(0)
    faint = rng.normal(0, 0.1, (64, 64, 1)).astype(np.float32)
    equal = equalise_locally(faint, 4.0)
    assert equal.std() > 1.5 * faint.std()
    assert np.corrcoef(equal.ravel(), faint.ravel())[0, 1] > 0.9


def test_the_bend_keeps_middle_grey_and_the_order() -> None:
    grey = np.linspace(-4, 4, 81, dtype=np.float32).reshape(9, 9, 1)
    for exponent in (0.7, 1.0, 1.4):
        bent = bend(grey, exponent).ravel()
        assert bent.dtype == np.float32
        assert bent[40] == pytest.approx(0, abs=1e-6)
        assert (np.diff(bent) > 0).all()
    np.testing.assert_allclose(bend(grey, 1.0), grey, atol=1e-5)
