"""Further images: how often they come, in which categories, at which size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from annotated_discs import dataset_of_masks, discs
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.normalise import Normalisation
from napari_sartorius.training.images import pack_image
from napari_sartorius.training.mixture import (
    MixtureSampling,
    constant_share,
    counted_share,
    image_counts,
    in_categories_of,
    linear_share,
)
from napari_sartorius.training.recipes.parts import Mixture
from napari_sartorius.training.resizing import resize_masks, resized
from napari_sartorius.zoo.card import InputSize

if TYPE_CHECKING:
    from pathlib import Path


def test_the_11th_places_counts() -> None:
    # As published for 20 epochs and more than 800 further images.
    tail = [600, 450, 350, 250, 150, 50, 0, 0, 0]
    assert image_counts(20, 2000) == [800] * 11 + tail
    assert image_counts(20, 500)[:12] == [500] * 12


def test_shares_fall_as_they_should() -> None:
    share = linear_share(0.5, 100, until=0.5)
    assert [share(0), share(25), share(50), share(99)] == [0.5, 0.25, 0, 0]
    counted = counted_share(20, 2000, own=200, further=2000)
    assert counted(0) == pytest.approx(800 / 1000)
    assert counted(1999) == 0
    assert counted(1100) == pytest.approx(600 / 800)  # the twelfth epoch
    with pytest.raises(ValueError, match="share to begin with"):
        Mixture(images="pretrain", decay="linear")


def test_every_set_has_its_share_and_the_rest_is_by_images() -> None:
    own = np.array([1.0, 3.0])
    plain = MixtureSampling(own, [(2, None)]).probabilities(0)
    np.testing.assert_allclose(plain, [0.125, 0.375, 0.25, 0.25])
    mixed = MixtureSampling(own, [(4, constant_share(0.2)), (2, None)]).probabilities(5)
    assert mixed.sum() == pytest.approx(1)
    np.testing.assert_allclose(mixed[2:6], 0.05)
    np.testing.assert_allclose(mixed[:2].sum(), 0.4)
    falling = MixtureSampling(own, [(4, linear_share(0.5, 10))])
    assert falling.probabilities(0)[2:].sum() == pytest.approx(0.5)
    assert falling.probabilities(10)[2:].sum() == 0


def test_images_of_other_categories_stay_out(tmp_path: Path) -> None:
    dataset = dataset_of_masks(tmp_path, [discs(), discs(), discs()], names=("a", "b", "c"))
    kept = in_categories_of(dataset, ["x", "b"], {"a": "x"})
    assert kept.category_names == ["x", "b"]
    assert [image.id for image in kept.images] == [1, 2]
    assert set(kept.instances[1].categories.tolist()) == {0}
    assert set(kept.instances[2].categories.tolist()) == {1}


def test_images_are_brought_to_a_size_with_their_masks() -> None:
    masks = CropMasks.from_full(np.stack(discs()))
    grey = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    image = pack_image("a", grey, masks, np.zeros(6, np.int64), Normalisation(), 1)
    large = resized(image, InputSize(short_edge=128, long_edge=256))
    assert large.pixels.shape == (128, 128, 1) and large.masks.image_size == (128, 128)
    np.testing.assert_allclose(large.masks.area(), image.masks.area() * 4)
    np.testing.assert_allclose(large.masks.boxes, image.masks.boxes * 2)
    assert resized(image, InputSize(short_edge=64)) is image
    small = resize_masks(masks, (32, 32))
    np.testing.assert_allclose(small.area(), masks.area() / 4, rtol=0.2)
    centre = [bitmap.mean() for bitmap in small]
    assert min(centre) > 0.5
