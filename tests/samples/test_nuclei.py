"""Generated pictures of nuclei: the truth lies on them, and a seed is a picture."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sartorius.samples.nuclei import LOOKS, Look, nuclei_scene


@pytest.mark.parametrize("look", LOOKS)
def test_the_truth_lies_on_the_nuclei(look: Look) -> None:
    image, truth = nuclei_scene(look, (96, 128), seed=3)
    assert image.dtype == np.uint8
    assert image.shape == ((96, 128, 3) if "stained" in look else (96, 128))
    assert len(truth) >= 3
    covered = sum(truth.masks.full(i).astype(int) for i in range(len(truth)))
    assert np.max(covered) == 1  # none overlapping
    grey = image.mean(axis=-1) if image.ndim == 3 else image.astype(float)
    inside, outside = grey[covered > 0].mean(), grey[covered == 0].mean()
    assert inside > outside + 5 if look == "fluorescence" else inside < outside - 20


def test_a_seed_is_a_picture() -> None:
    first, again = (nuclei_scene("stained", (64, 64), seed=5)[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, nuclei_scene("stained", (64, 64), seed=6)[0])


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="32 x 32"):
        nuclei_scene("smear", (20, 200))
    with pytest.raises(ValueError, match="no look 'x'"):
        nuclei_scene("x")  # type: ignore[arg-type]


def test_immunostained_nuclei_are_bluer_than_the_cells_around_them() -> None:
    differences, brown = [], 0.0
    for seed in range(12):
        image, truth = nuclei_scene("immunostained", (128, 128), seed)
        inside = truth.masks.to_labels() > 0
        blueness = image[..., 2].astype(int) - image[..., 0]
        differences.append(blueness[inside].mean() - blueness[~inside].mean())
        brown = max(brown, float((blueness < -40).mean()))
    assert min(differences) > 5
    assert np.mean(differences) > 25
    assert brown > 0.4
