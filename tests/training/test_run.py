"""From annotated files on disk to a bundle that segments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

from napari_sartorius.core.categories import Category
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.normalise import Normalisation
from napari_sartorius.core.progress import Monitor
from napari_sartorius.io.coco import CocoDataset, CocoImage, write_coco
from napari_sartorius.io.sources import read_dataset
from napari_sartorius.training.data import (
    pack_dataset,
    sides_of,
    split_dataset,
    train_and_validation,
)
from napari_sartorius.training.finetune_images import new_images
from napari_sartorius.training.run import train
from napari_sartorius.zoo.checkpoints.partial import describe_checkpoint
from tiny_centermask import tiny_checkpoint, write_tiny

from .conftest import disc_image

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.training.config import TrainConfig


def _write(folder: Path, count: int, splits: bool = False) -> Path:
    images, instances = [], {}
    for i in range(count):
        pixels, masks, categories = disc_image(i)
        Image.fromarray(pixels).save(folder / f"{i}.png")
        extra = {"split": "train" if i < count - 2 else "val"} if splits else {}
        images.append(CocoImage(i + 1, f"{i}.png", 96, 96, extra))
        instances[i + 1] = Instances.from_masks(masks, categories=categories)
    categories_ = [Category(1, "disc", "#ff0000"), Category(2, "square", "#0000ff")]
    write_coco(folder / "data.json", CocoDataset(images, categories_, instances, folder=folder))
    return folder / "data.json"


def _marked(folder: Path, sides: str) -> CocoDataset:
    marks = sides.split()
    data = read_dataset(_write(folder, len(marks)))
    for image, side in zip(data.images, marks, strict=True):
        image.extra["split"] = side
    return data


class Listener(Monitor):
    def __init__(self) -> None:
        super().__init__()
        self.notices: list[str] = []

    def notice(self, message: str) -> None:
        self.notices.append(message)


def test_train_writes_a_bundle_that_loads(tiny_config: TrainConfig, tmp_path: Path) -> None:
    data = _write(tmp_path, 6, splits=True)
    bundle = train(data, tmp_path / "run", tiny_config)
    assert bundle.card.category_names == ["disc", "square"]
    assert bundle.card.name == "run"
    assert 8 < bundle.card.cell_diameter < 20
    assert not bundle.card.one_category_per_image
    bundle.load_network()
    listener = Listener()
    train(data, tmp_path / "run", tiny_config, listener)
    assert "resumed at step 6 of 6" in listener.notices
    with pytest.raises(UserError, match="already holds a run"):
        train(data, tmp_path / "run", tiny_config, resume=False)


def test_training_starts_from_what_fits_of_a_checkpoint(
    tiny_config: TrainConfig, tmp_path: Path
) -> None:
    data = _write(tmp_path, 3)
    checkpoint, _ = write_tiny(tmp_path)
    network = describe_checkpoint(checkpoint).architecture
    fcos = network.fcos.model_copy(update={"level_limits": (32.0, 64.0, 128.0, 256.0)})
    config = tiny_config.model_copy(
        update={
            "architecture": network.model_copy(update={"fcos": fcos}),
            "normalisation": Normalisation(),
            "initial_weights": str(checkpoint),
            "steps": 1,
            "learning_rate": 1e-9,
            "batch_size": 1,
        }
    )
    listener = Listener()
    bundle = train(data, tmp_path / "run", config, listener)
    trunk = [line for line in listener.notices if line.startswith("trunk: ")]
    assert len(trunk) == 1
    assert bundle.card.parent == "model_final.pth"
    given = tiny_checkpoint()["backbone.fpn_output4.weight"]
    kept = bundle.load_network().state_dict()["pyramid.output.1.0.weight"]
    torch.testing.assert_close(kept, given, rtol=1e-3, atol=1e-3)


def test_validation_is_one_in_five_and_never_one_by_accident(
    tiny_config: TrainConfig, tmp_path: Path
) -> None:
    from napari_sartorius.io.coco import read_coco

    for count, expected in ((5, 2), (6, 2), (20, 4)):
        folder = tmp_path / str(count)
        folder.mkdir()
        training, validation = split_dataset(
            read_coco(_write(folder, count)), tiny_config, Monitor()
        )
        assert len(validation) == expected
        assert len(training) == count - expected
        ids = {image.id for image in training.images}
        assert not ids & {image.id for image in validation.images}


def test_too_few_images_are_said(tiny_config: TrainConfig, tmp_path: Path) -> None:
    from napari_sartorius.io.coco import read_coco

    listener = Listener()
    training, validation = split_dataset(read_coco(_write(tmp_path, 3)), tiny_config, listener)
    assert (len(training), len(validation)) == (3, 0)
    assert "annotate at least five" in listener.notices[0]


def test_of_few_images_a_strip_of_each_validates(tiny_config: TrainConfig, tmp_path: Path) -> None:
    listener = Listener()
    data = read_dataset(_write(tmp_path, 3))
    training, validation = train_and_validation(data, tiny_config, listener)
    assert [image.pixels.shape[:2] for image in training] == [(96, 72)] * 3
    assert [image.pixels.shape[:2] for image in validation] == [(96, 24)] * 3
    assert "a quarter of each is kept apart" in listener.notices[0]


@pytest.mark.parametrize("sides", ["train train train", "train train val", "train val val val"])
def test_with_few_images_marks_do_not_count(
    tiny_config: TrainConfig, tmp_path: Path, sides: str
) -> None:
    data = _marked(tmp_path, sides)
    listener = Listener()
    train(data, tmp_path / "run", tiny_config, listener)
    count = len(data)
    assert listener.notices[0].startswith(f"only {count} annotated images, so whether they are ")
    assert "a quarter of each is kept apart to measure the result" in listener.notices[0]
    assert not any("nothing" in line or "no validation" in line for line in listener.notices)
    training, validation = train_and_validation(data, tiny_config, listener)
    assert [image.pixels.shape[:2] for image in training] == [(96, 72)] * count
    assert [image.pixels.shape[:2] for image in validation] == [(96, 24)] * count


def test_images_of_other_splits_are_neither_counted_nor_used(
    tiny_config: TrainConfig, tmp_path: Path
) -> None:
    data = _marked(tmp_path, "train train val test test")
    sides = sides_of(data, tiny_config, Monitor())
    assert sides.strips
    assert [image.id for image in sides.training.images] == [1, 2, 3]
    data = _marked(tmp_path, "train train train train train test")
    training, validation = split_dataset(data, tiny_config, Monitor())
    assert (len(training), len(validation)) == (3, 2)
    assert 6 not in {image.id for part in (training, validation) for image in part.images}


def test_fine_tuning_keeps_strips_apart_of_few_images_among_many_of_other_splits(
    tiny_config: TrainConfig, tmp_path: Path
) -> None:
    data = _marked(tmp_path, "train train val" + 6 * " test")
    found = new_images(data, tiny_config, Monitor())
    assert [image.pixels.shape[:2] for image in found.validation] == [(96, 24)] * 3
    assert [image.pixels.shape[:2] for image in found.training] == [(96, 72)] * 3
    assert found.ids == (frozenset({1, 2, 3}), frozenset({1, 2, 3}))


def test_where_no_image_is_marked_for_validation_some_validate(
    tiny_config: TrainConfig, tmp_path: Path
) -> None:
    data = _marked(tmp_path, "train " * 5)
    listener = Listener()
    bundle = train(data, tmp_path / "run", tiny_config, listener)
    assert "validation" in bundle.card.metrics
    (told,) = [line for line in listener.notices if "marked 'val'" in line]
    assert told.startswith("no image is marked 'val': one in five of those marked 'train' measures")
    assert not any("nothing" in line or "no validation" in line for line in listener.notices)


@pytest.mark.parametrize("count", [3, 5])
def test_whoever_wants_no_validation_gets_none(
    tiny_config: TrainConfig, tmp_path: Path, count: int
) -> None:
    config = tiny_config.model_copy(update={"validation_split": None})
    listener = Listener()
    sides = sides_of(_marked(tmp_path, "train " * count), config, listener)
    assert (len(sides.training), len(sides.validation), sides.strips) == (count, 0, False)
    assert listener.notices == []


def test_every_kind_is_trained_on_though_all_are_of_one_group(
    tiny_config: TrainConfig, tmp_path: Path
) -> None:
    data = read_dataset(_write(tmp_path, 6))
    for n, image in enumerate(data.images):
        image.extra.update(group="one", cell_type="abc"[n // 2])
    for seed in range(6):
        config = tiny_config.model_copy(update={"seed": seed})
        training, validation = split_dataset(data, config, Monitor())
        assert {image.extra["cell_type"] for image in training.images} == set("abc")
        assert len(validation) == 2


def test_a_category_that_only_validates_is_told(tiny_config: TrainConfig, tmp_path: Path) -> None:
    data = _marked(tmp_path, "train train train val val")
    for image in data.split("train").images:
        data.instances[image.id].categories[:] = 0
    listener = Listener()
    config = tiny_config.model_copy(update={"steps": 1})
    train(data, tmp_path / "run", config, listener)
    (told,) = [line for line in listener.notices if "square" in line]
    assert told.startswith("no cell that is trained on is square, though others are")


def test_without_marks_whole_groups_validate(tiny_config: TrainConfig, tmp_path: Path) -> None:
    data = read_dataset(_write(tmp_path, 10))
    for n, image in enumerate(data.images):
        image.extra["group"] = n // 2
    training, validation = split_dataset(data, tiny_config, Monitor())
    assert len(validation) == 2
    groups = {image.extra["group"] for image in training.images}
    assert not groups & {image.extra["group"] for image in validation.images}

    for image in data.images:
        image.extra["group"] = "one"
    listener = Listener()
    assert len(split_dataset(data, tiny_config, listener)[1]) == 2
    assert "all images are of one group" in listener.notices[0]


def test_different_bit_depths_are_told(tiny_config: TrainConfig, tmp_path: Path) -> None:
    data = read_dataset(_write(tmp_path, 2))
    pixels = np.asarray(Image.open(tmp_path / "1.png")).astype(np.uint16) * 256
    Image.fromarray(pixels).save(tmp_path / "1.png")
    listener = Listener()
    pack_dataset(data, tiny_config, listener)
    assert "different bit depths (uint16, uint8)" in listener.notices[0]


def test_crowds_are_no_cells_to_learn(tiny_config: TrainConfig, tmp_path: Path) -> None:
    class Listener(Monitor):
        def notice(self, message: str) -> None:
            told.append(message)

    told: list[str] = []
    data = read_dataset(_write(tmp_path, 2))
    objects = data.instances[data.images[0].id]
    whole = pack_dataset(data, tiny_config, Listener())
    crowd = np.arange(len(objects)) == 0
    objects.columns["iscrowd"] = crowd.astype(np.int64)
    packed = pack_dataset(data, tiny_config, Listener())
    assert len(packed[0].masks) == len(packed[0].categories) == len(objects) - 1
    np.testing.assert_array_equal(packed[0].masks.area(), whole[0].masks.area()[~crowd])
    assert len(packed[1].masks) == len(whole[1].masks)
    assert [one for one in told if "crowd" in one] == [
        "regions marked as a crowd (iscrowd) are no single cells, left out: 1"
    ]


def test_doubled_category_names_stop_a_training(tiny_config: TrainConfig, tmp_path: Path) -> None:
    path = _write(tmp_path, 5)
    path.write_text(path.read_text().replace('"square"', '"disc"'))
    with pytest.raises(UserError, match="2 categories are called 'disc'; --fix makes them one"):
        train(path, tmp_path / "run", tiny_config)
    assert not (tmp_path / "run").exists()


def test_a_wrong_split_name_lists_the_right_ones(tiny_config: TrainConfig, tmp_path: Path) -> None:
    from napari_sartorius.io.coco import read_coco

    config = tiny_config.model_copy(update={"train_split": "training"})
    with pytest.raises(UserError, match="it has train, val"):
        split_dataset(read_coco(_write(tmp_path, 5, splits=True)), config, Monitor())


def test_an_image_of_another_size_is_named(tiny_config: TrainConfig, tmp_path: Path) -> None:
    from napari_sartorius.io.coco import read_coco

    data = read_coco(_write(tmp_path, 5))
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(tmp_path / "3.png")
    with pytest.raises(UserError, match=r"3\.png is 8 x 8 pixels"):
        pack_dataset(data, tiny_config, Monitor())


def test_categories_must_fit_the_network(tiny_config: TrainConfig, tmp_path: Path) -> None:
    architecture = tiny_config.architecture.model_copy(update={"num_classes": 3})
    config = tiny_config.model_copy(update={"architecture": architecture})
    with pytest.raises(UserError, match="2 categories"):
        train(_write(tmp_path, 5), tmp_path / "run", config)
