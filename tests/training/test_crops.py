"""Crops show the right pixels, boxes and masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.normalise import Normalisation
from napari_sartorius.nn.targets import mask_targets
from napari_sartorius.training.config import AugmentConfig
from napari_sartorius.training.crops import CropSampler
from napari_sartorius.training.images import pack_image, sampling_weights
from napari_sartorius.training.sampling import FixedSampling

if TYPE_CHECKING:
    from napari_sartorius.training.images import AnnotatedImage

PLAIN = AugmentConfig(scale=(1, 1), contrast=0, brightness=0, gamma=1, noise=0)


def _even(images: list[AnnotatedImage]) -> FixedSampling:
    return FixedSampling(np.ones(len(images)))


def test_same_step_same_batch(discs: list[AnnotatedImage]) -> None:
    sampler = CropSampler(discs, _even(discs), 64, AugmentConfig(), seed=5)
    first, again, other = sampler.batch(3, 2), sampler.batch(3, 2), sampler.batch(4, 2)
    torch.testing.assert_close(first[0], again[0], rtol=0, atol=0)
    torch.testing.assert_close(first[1][0].boxes, again[1][0].boxes, rtol=0, atol=0)
    assert not torch.equal(first[0], other[0])


def test_masks_follow_the_pixels_through_flips_turns_and_crops(
    discs: list[AnnotatedImage],
) -> None:
    # Bright discs are above, dark squares below the grey of the background.
    sampler = CropSampler(discs, _even(discs), 64, PLAIN, seed=1)
    checked = 0
    for step in range(12):
        image, target = sampler.draw(np.random.default_rng(step))
        for i, (x0, y0, x1, y1) in enumerate(target.bitmap_boxes.tolist()):
            start = int(target.offsets[i])
            bits = target.bits[start : start + (y1 - y0) * (x1 - x0)].reshape(y1 - y0, x1 - x0)
            inside = image[0, y0:y1, x0:x1][bits.bool()]
            assert (inside.mean() > 0.7) == (target.labels[i] == 0)
            assert bits.any(dim=0)[[0, -1]].all()
            assert bits.any(dim=1)[[0, -1]].all()
            checked += 1
    assert checked > 20


def test_zoom_moves_boxes_with_the_pixels(discs: list[AnnotatedImage]) -> None:
    config = PLAIN.model_copy(update={"scale": (2.0, 2.0)})
    sampler = CropSampler(discs, _even(discs), 96, config, seed=1)
    image, target = sampler.draw(np.random.default_rng(0))
    assert image.shape == (1, 96, 96)
    assert target.scale == (2.0, 2.0)
    torch.testing.assert_close(target.boxes, target.bitmap_boxes.float() * 2)


def test_a_window_larger_than_the_image_is_padded(discs: list[AnnotatedImage]) -> None:
    sampler = CropSampler(discs, _even(discs), 128, PLAIN, seed=1)
    image, target = sampler.draw(np.random.default_rng(0))
    assert image.shape == (1, 128, 128)
    assert not image[:, 96:].any()
    assert len(target.boxes) == 7


def test_an_image_without_objects_gives_an_empty_truth() -> None:
    empty = pack_image(
        "empty",
        np.arange(96 * 96).reshape(96, 96),
        CropMasks.empty((96, 96)),
        np.zeros(0, np.int64),
        Normalisation(),
        1,
    )
    _, target = CropSampler([empty], FixedSampling(np.ones(1)), 64, PLAIN, 0).draw(
        np.random.default_rng(0)
    )
    assert target.boxes.shape == (0, 4)
    found = mask_targets(target, target.boxes, torch.zeros(0, dtype=torch.long), 28)
    assert found.shape == (0, 28, 28)


def test_doubled_annotations_are_dropped() -> None:
    mask = np.zeros((2, 32, 32), bool)
    mask[:, 4:12, 4:12] = True
    image = pack_image(
        "doubled",
        np.arange(1024).reshape(32, 32),
        CropMasks.from_full(mask),
        np.zeros(2, np.int64),
        Normalisation(),
        1,
    )
    assert len(image.masks) == 1


def test_mask_targets_equal_a_dense_reference(discs: list[AnnotatedImage]) -> None:
    config = PLAIN.model_copy(update={"scale": (1.4, 1.4)})
    _, target = CropSampler(discs, _even(discs), 96, config, 1).draw(np.random.default_rng(3))
    rng = np.random.default_rng(0)
    objects = torch.from_numpy(rng.integers(0, len(target.boxes), 30))
    boxes = target.boxes[objects] + torch.from_numpy(rng.uniform(-4, 4, (30, 4)).astype(np.float32))
    boxes[:, 2:] = torch.maximum(boxes[:, 2:], boxes[:, :2] + 2)
    found = mask_targets(target, boxes, objects, 14).numpy()
    for i, (obj, box) in enumerate(zip(objects.tolist(), boxes.numpy(), strict=True)):
        x0, y0, x1, y1 = target.bitmap_boxes[obj].tolist()
        full = np.zeros((140, 140))
        start = int(target.offsets[obj])
        bits = target.bits[start : start + (y1 - y0) * (x1 - x0)]
        full[y0 + 20 : y1 + 20, x0 + 20 : x1 + 20] = bits.reshape(y1 - y0, x1 - x0)
        for row in range(14):
            for column in range(14):
                x = (box[0] + (box[2] - box[0]) * (column + 0.5) / 14) / target.scale[0] - 0.5 + 20
                y = (box[1] + (box[3] - box[1]) * (row + 0.5) / 14) / target.scale[1] - 0.5 + 20
                xi, yi = int(np.floor(x)), int(np.floor(y))
                fx, fy = x - xi, y - yi
                value = (full[yi, xi] * (1 - fx) + full[yi, xi + 1] * fx) * (1 - fy)
                value += (full[yi + 1, xi] * (1 - fx) + full[yi + 1, xi + 1] * fx) * fy
                if abs(value - 0.5) > 1e-4:
                    assert found[i, row, column] == (value >= 0.5)


def test_balance_gives_rare_categories_their_share(discs: list[AnnotatedImage]) -> None:
    weights = sampling_weights(discs[:3], "group", "group", 2)
    # Groups are 0, 1, 0: the lone image of group 1 weighs as much as both others.
    np.testing.assert_allclose(weights, [0.25, 0.5, 0.25])


def test_colour_mixing_moves_colours_and_leaves_grey() -> None:
    mask = np.zeros((1, 64, 64), bool)
    mask[0, 10:30, 10:30] = True
    ramp = np.linspace(0, 255, 64 * 64).reshape(64, 64)
    grey = np.repeat(ramp[..., None], 3, 2)
    red = np.stack([ramp, np.full_like(ramp, 30), np.full_like(ramp, 30)], -1)
    config = PLAIN.model_copy(update={"colour": 1.0})
    for pixels, moves in ((grey, False), (red, True)):
        image = pack_image(
            "x", pixels, CropMasks.from_full(mask), np.zeros(1, np.int64), Normalisation(), 3
        )
        sampler = CropSampler([image], FixedSampling(np.ones(1)), 64, config, 0)
        plain = CropSampler([image], FixedSampling(np.ones(1)), 64, PLAIN, 0)
        drawn = [
            float(s.draw(np.random.default_rng(1))[0].std(dim=(1, 2))[0]) for s in (sampler, plain)
        ]
        assert (abs(drawn[0] - drawn[1]) > 0.05) == moves
