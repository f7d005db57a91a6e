"""Preview pictures show what a run sees, in grey levels a person knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.normalise import Normalisation, normalise
from napari_sartorius.training.augment.config import AugmentConfig
from napari_sartorius.training.augment.preview import display_levels, preview_crops

if TYPE_CHECKING:
    from napari_sartorius.training.config import TrainConfig
    from napari_sartorius.training.images import AnnotatedImage


def test_pictures_have_the_shapes_and_types_and_follow_the_seed(
    discs: list[AnnotatedImage], tiny_config: TrainConfig
) -> None:
    first = preview_crops(discs, tiny_config, 3, seed=7)
    again = preview_crops(discs, tiny_config, 3, seed=7)
    assert len(first) == 3
    for one, other in zip(first, again, strict=True):
        assert one.pixels.shape == (96, 96, 3)
        assert one.pixels.dtype == np.uint8
        assert one.labels.shape == (96, 96)
        assert one.labels.dtype == np.uint16
        np.testing.assert_array_equal(one.pixels, other.pixels)
        np.testing.assert_array_equal(one.labels, other.labels)


def test_labels_lie_on_the_objects_also_after_a_zoom(
    discs: list[AnnotatedImage], tiny_config: TrainConfig
) -> None:
    plain = AugmentConfig(scale=(1.5, 1.5), contrast=0, brightness=0, gamma=1, noise=0)
    config = tiny_config.model_copy(update={"augment": plain})
    looked_at = 0
    for picture in preview_crops(discs, config, 6, seed=1):
        grey = picture.pixels[..., 0].astype(int)
        background = np.median(grey[picture.labels == 0])
        for label in np.unique(picture.labels[picture.labels > 0]):
            inside = grey[picture.labels == label]
            # Discs are far brighter, squares far darker than the background.
            assert abs(np.median(inside) - background) > 40
            looked_at += 1
    assert looked_at > 12


def test_display_takes_a_normalisation_back() -> None:
    image = np.arange(0, 250, dtype=np.uint8).reshape(10, 25, 1).repeat(3, 2)
    image[..., 0] //= 2
    fixed = Normalisation(
        method="fixed", mean=(128.0, 100.0, 90.0), std=(64.0, 10.0, 30.0), channel_order="BGR"
    )
    crop = normalise(image, fixed).transpose(2, 0, 1)
    np.testing.assert_array_equal(display_levels(crop, fixed), image)
    stretched = Normalisation(low=0, high=100)
    grey = normalise(image[..., 1:2], stretched).transpose(2, 0, 1)
    shown = display_levels(grey, stretched)
    assert shown.min() == 0
    assert shown.max() == 255
