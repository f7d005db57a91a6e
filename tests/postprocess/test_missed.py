"""Cells without a label are found on the generated scene, where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sartorius.postprocess.missed import MissedConfig, unlabelled_places
from napari_sartorius.samples.phase_contrast import phase_contrast_scene


@pytest.fixture(scope="module")
def scene() -> tuple[np.ndarray, np.ndarray]:
    image, truth = phase_contrast_scene(seed=1)
    return image, np.asarray(truth.masks.to_labels())


@pytest.mark.parametrize("look", ["dark", "bright", "colour", "16 bits"])
def test_cells_without_a_label_are_found_and_nothing_else(scene, look: str) -> None:
    image, truth = scene
    if look == "bright":
        image = 255 - image
    elif look == "colour":
        image = np.stack([image, image // 2, image], axis=2)
    elif look == "16 bits":
        image = image.astype(np.uint16) * 200 + 300
    gone = np.array([3, 9, 14, 21, 27, 33])
    labels = np.where(np.isin(truth, gone), 0, truth)
    found = unlabelled_places(image, labels)
    hit = set()
    for y0, x0, y1, x1 in found.boxes.tolist():
        under = truth[y0:y1, x0:x1]
        under = under[np.isin(under, gone)]
        assert len(under), "a place without a cell"
        hit.add(int(np.bincount(under).argmax()))
    assert len(hit) >= 4
    assert (np.diff(found.likeness) <= 0).all()
    assert found.likeness.min() >= MissedConfig().as_cell_like


def test_where_all_cells_have_labels_nothing_is_found(scene) -> None:
    image, truth = scene
    assert len(unlabelled_places(image, truth).boxes) == 0


def test_large_cells_are_looked_for_in_a_smaller_image(scene) -> None:
    image, truth = (np.kron(one, np.ones((3, 3), one.dtype)) for one in scene)
    gone = np.array([3, 9, 14, 21, 27, 33])
    labels = np.where(np.isin(truth, gone), 0, truth)
    found = unlabelled_places(image[:-2, :-1], labels[:-2, :-1])
    assert len(found.boxes) >= 3
    for y0, x0, y1, x1 in found.boxes.tolist():
        assert np.isin(truth[y0:y1, x0:x1], gone).any()


def test_nothing_to_compare_with() -> None:
    nothing, all_labels = np.zeros((30, 40), np.uint16), np.ones((30, 40), np.uint16)
    image = np.zeros((30, 40))
    assert len(unlabelled_places(image, nothing).boxes) == 0
    assert len(unlabelled_places(image, all_labels, MissedConfig(fewest=1)).boxes) == 0
    with pytest.raises(ValueError, match="differ in size"):
        unlabelled_places(image[1:], nothing)
