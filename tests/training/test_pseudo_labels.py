"""Models label images that nobody has labelled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Cancelled, Monitor
from napari_sartorius.io.coco import CocoDataset, read_coco, write_coco
from napari_sartorius.io.importing import images_in
from napari_sartorius.io.rebasing import rebased
from napari_sartorius.nn.config import ProposalConfig
from napari_sartorius.training.pseudo_labels import PseudoLabelConfig, label_images
from napari_sartorius.zoo import ModelBundle
from tiny_models import save_tiny_bundle, tiny_architecture
from typed_pictures import write_unlabelled

if TYPE_CHECKING:
    from pathlib import Path

CPU = PseudoLabelConfig(device="cpu", preset="fast")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> CocoDataset:
    return images_in(write_unlabelled(tmp_path_factory.mktemp("u"), ["astro", "cort"], 1))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    few = ProposalConfig(pre_nms_topk_test=80, post_nms_topk_test=40, topk_grows=False)
    network = tiny_architecture().model_copy(update={"proposals": few})
    place = tmp_path_factory.mktemp("m") / "one"
    return save_tiny_bundle(place, name="one", architecture=network)


def test_one_model_labels(model: ModelBundle, images: CocoDataset, tmp_path: Path) -> None:
    labelled = label_images([model], images, CPU)
    assert len(labelled) == 2 and labelled.object_count > 0
    assert labelled.category_names == ["big", "small"]
    assert all(image.extra["pseudo"] is True for image in labelled.images)
    write_coco(tmp_path / "labels.json", rebased(labelled, tmp_path))
    again = read_coco(tmp_path / "labels.json")
    assert again.object_count == labelled.object_count
    assert all(again.image_path(image).is_file() for image in again.images)


def test_unsure_objects_and_images_stay_out(model: ModelBundle, images: CocoDataset) -> None:
    every = label_images([model], images, CPU)
    scores = np.concatenate([every.instances[image.id].scores for image in every.images])
    middle = float(np.median(scores))
    any_share = CPU.model_copy(update={"min_share": 0.0})
    surer = label_images([model], images, any_share.model_copy(update={"min_score": middle}))
    kept = np.concatenate([surer.instances[image.id].scores for image in surer.images])
    assert kept.min() >= middle and len(kept) == (scores >= middle).sum()
    named = {"big": 1.0, "small": 0.0}
    small = label_images([model], images, any_share.model_copy(update={"min_score": named}))
    assert all((small.instances[image.id].categories == 1).all() for image in small.images)
    highest = float(np.sort(scores)[-3])
    few = {"min_score": highest, "min_share": 0.5}
    for settings in ({"min_score": 1.0}, {"min_objects": 100_000}, few):
        with pytest.raises(UserError, match="none of 2 unlabelled images"):
            label_images([model], images, CPU.model_copy(update=settings))


def test_several_models_vote(model: ModelBundle, images: CocoDataset) -> None:
    """Two equal models agree on every cell, so nothing changes."""
    twin_card = model.card.with_changes(name="twin")
    twin = ModelBundle(twin_card, model.path)
    vote = PseudoLabelConfig(device="cpu")
    alone = label_images([model], images, CPU)
    both = label_images([model, twin], images, vote)
    first = images.images[0].id
    best = alone.instances[first].scores.max()
    assert both.instances[first].scores.max() == pytest.approx(best, rel=1e-3)
    demanding = vote.model_copy(update={"fusion": vote.fusion.model_copy(update={"min_votes": 2})})
    assert label_images([model, twin], images, demanding).object_count > 0


def test_what_cannot_be_done_is_told(model: ModelBundle, images: CocoDataset) -> None:
    with pytest.raises(UserError, match="nothing to label"):
        label_images([], images, CPU)

    class Impatient(Monitor):
        def check(self) -> None:
            raise Cancelled

    with pytest.raises(Cancelled):
        label_images([model], images, CPU, Impatient())
    assert len(label_images([model], images, CPU.model_copy(update={"largest": 1}))) == 1
