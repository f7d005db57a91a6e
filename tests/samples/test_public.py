"""Real sample images and what napari gets of all samples."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sartorius.core.errors import UserError
from napari_sartorius.samples import demo, napari_samples, public


def test_the_shipped_micrograph_needs_no_internet(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("tried to connect")

    monkeypatch.setattr("socket.socket.connect", refuse)
    image = public.immunohistochemistry()
    assert image.shape == (512, 512, 3)
    assert image.dtype == np.uint8


@pytest.mark.parametrize(
    ("function", "loader"),
    [(public.human_mitosis, "human_mitosis"), (public.nuclei_stack, "cells3d")],
)
def test_no_internet_is_one_sentence_with_a_remedy(monkeypatch, function, loader):
    def fail():
        raise ConnectionError("no route")

    monkeypatch.setattr(f"skimage.data.{loader}", fail)
    with pytest.raises(UserError, match="connect to the internet"):
        function()


def test_the_stack_is_its_nuclear_channel(monkeypatch):
    stack = np.zeros((4, 2, 8, 8), np.uint16)
    stack[:, 1] = 7
    monkeypatch.setattr("skimage.data.cells3d", lambda: stack)
    (layer,) = napari_samples.nuclei_stack()
    assert layer[0].shape == (4, 8, 8)
    assert (layer[0] == 7).all()
    assert len(layer[1]["scale"]) == len(layer[1]["units"]) == 3


@pytest.mark.parametrize(
    "sample", [napari_samples.phase_contrast, napari_samples.crowded_phase_contrast]
)
def test_truth_layer_has_a_row_for_every_label(sample):
    image, truth = sample()
    assert image[2] == "image"
    assert truth[2] == "labels"
    assert image[0].shape == truth[0].shape
    features = truth[1]["features"]
    assert next(iter(features)) == "index"
    np.testing.assert_array_equal(features["index"], np.unique(truth[0])[1:])
    assert set(features["category"]) == {"cort"}
    assert "score" not in features  # with scores it would be offered as what a model found


def test_layers_open_in_napari():
    layers = pytest.importorskip("napari.layers")
    for data, keywords, kind in napari_samples.phase_contrast():
        layer = layers.Layer.create(data, keywords, kind)
        assert layer.data.shape == (520, 704)
    (tissue,) = napari_samples.immunohistochemistry()
    assert layers.Layer.create(*tissue).rgb


def test_demo_covers_both_bundled_models():
    images = demo.demo_images()
    assert [image.model for image in images] == ["nuclei", "neurons"]
    assert images[0].truth is None
    assert len(images[1].truth) > 30
