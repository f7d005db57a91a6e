"""A classifier of whole images: learns, resumes, reads types from names, decides in an ensemble."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.ensemble_segmenter import EnsembleSegmenter
from napari_sartorius.io.importing import images_in
from napari_sartorius.io.sources import read_dataset
from napari_sartorius.nn.classifier import ImageClassifier
from napari_sartorius.nn.config import ClassifierTrunkConfig, ImageClassifierConfig
from napari_sartorius.training.classifier.config import ClassifierConfig
from napari_sartorius.training.classifier.data import (
    TypedImage,
    TypedSampler,
    type_names,
    typed_by_name,
)
from napari_sartorius.training.classifier.fit import ClassifierTrainer
from napari_sartorius.training.classifier.run import train_classifier
from napari_sartorius.zoo.combine import combine_bundles
from tiny_ensembles import categories
from tiny_models import save_tiny_bundle
from typed_pictures import picture, write_typed, write_unlabelled

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.zoo import ModelBundle

NAMES = ["astro", "cort"]
SMALL = ClassifierConfig(
    architecture=ImageClassifierConfig(
        num_classes=2, trunk=ClassifierTrunkConfig(name="resnet10t"), image_size=(48, 48)
    ),
    batch_size=4,
    steps=24,
    warmup_steps=2,
    ema=0.8,
    validate_every=8,
    checkpoint_every=8,
    device="cpu",
    threads=1,
    precision="float32",
)


class Listener(Monitor):
    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, message: str) -> None:
        self.notices.append(message)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    folder = tmp_path_factory.mktemp("classifier")
    data = read_dataset(write_typed(folder / "data", NAMES, 6))
    listener = Listener()
    result = train_classifier(data, folder / "run", SMALL, listener)
    assert result.judgement is not None and result.judgement.accuracy == 1.0
    assert "100.0% of 4 validation images right" in result.text()
    assert result.text().splitlines()[2].split() == ["astro", "2", "0"]
    assert "images: 6 astro, 6 cort" in listener.notices
    return result.bundle


def test_a_classifier_learns_and_its_run_has_the_usual_files(taught: ModelBundle) -> None:
    run = taught.path.parent
    assert {"config.json", "curve.csv", "last.pt", "best.pt", "model"} <= {
        path.name for path in run.iterdir()
    }
    with (run / "curve.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["step"]) for row in rows] == [8, 16, 24]
    assert float(rows[-1]["validation_loss"]) < 0.6
    card = taught.card
    assert card.is_classifier and card.category_names == NAMES
    assert card.metrics["validation accuracy"] == 1.0
    assert "none was mistaken" in card.description
    assert 12 < card.cell_diameter < 22


def test_a_run_goes_on_with_its_own_images_only(taught: ModelBundle) -> None:
    run = taught.path.parent
    data = read_dataset(run.parent / "data" / "annotations.json")
    fewer = data.select(lambda image: image.id != data.images[0].id)
    with pytest.raises(UserError, match=r"other images in --data \(12 images.*now 11 images"):
        train_classifier(fewer, run, SMALL)
    with pytest.raises(UserError, match="began without --unlabelled"):
        train_classifier(data, run, SMALL, unlabelled=data)


def test_a_stopped_run_goes_on_as_if_it_never_had(taught: ModelBundle, tmp_path: Path) -> None:
    data = read_dataset(taught.path.parent.parent / "data" / "annotations.json")
    run = tmp_path / "run"
    (run).mkdir()
    (run / "stop").touch()
    short = train_classifier(data, run, SMALL)
    assert "1 of 24 steps" in short.bundle.card.schedule
    assert not (run / "stop").exists()
    with pytest.raises(UserError, match="already holds a run"):
        train_classifier(data, run, SMALL, resume=False)
    listener = Listener()
    whole = train_classifier(data, run, SMALL, listener)
    assert "resumed at step 1 of 24" in listener.notices
    ours, theirs = (one.load_network().state_dict() for one in (whole.bundle, taught))
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=2e-3, atol=2e-3)


def _typed(name: str, label: int, fill: float | None = None) -> TypedImage:
    rng = np.random.default_rng(label)
    pixels = rng.normal(label, 0.3, (1, 48, 48)) if fill is None else np.full((1, 48, 48), fill)
    return TypedImage(name, pixels.astype(np.float16), label)


ONE_CHANNEL = SMALL.model_copy(
    update={
        "architecture": ImageClassifierConfig(
            num_classes=2,
            trunk=ClassifierTrunkConfig(name="resnet10t", in_channels=1),
            image_size=(48, 48),
        ),
        "balance": "image",
    }
)


def test_an_image_without_numbers_is_left_out_or_ends_the_run_with_its_name(
    tmp_path: Path,
) -> None:
    good = [_typed(f"{n}.png", n % 2) for n in range(12)]
    broken = _typed("broken.png", 1, float("nan"))
    config = ONE_CHANNEL.model_copy(update={"batch_size": 2, "steps": 12})
    listener = Listener()
    trainer = ClassifierTrainer(config, [*good, broken], good, tmp_path / "once", listener)
    trainer.fit()
    told = [line for line in listener.notices if "left out" in line]
    assert 0 < len(told) < 12 and all("broken.png" in line for line in told)
    weights = torch.load(tmp_path / "once" / "best.pt")
    assert all(torch.isfinite(value).all() for value in weights.values())
    # where every step shows one, it ends after a few
    trainer = ClassifierTrainer(config, [broken, broken], good, tmp_path / "always", Monitor())
    with pytest.raises(UserError, match=r"not a number in steps 1 to 5, .* broken.png; .*no weigh"):
        trainer.fit()


def test_without_memory_fewer_images_at_a_time_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, sizes = ImageClassifier.losses, []

    def hungry(self: ImageClassifier, batch: torch.Tensor, targets: Any) -> Any:
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return usual(self, batch, targets)

    monkeypatch.setattr(ImageClassifier, "losses", hungry)
    good = [_typed(f"{n}.png", n % 2) for n in range(4)]
    listener = Listener()
    config = ONE_CHANNEL.model_copy(update={"steps": 2})
    ClassifierTrainer(config, good, good, tmp_path, listener).fit()
    assert sizes == [4, 2, 2, 2, 2]
    assert any("accumulates 2 times instead of 1" in line for line in listener.notices)


def test_validation_images_that_do_not_fit_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("napari_sartorius.training.classifier.fit.judge", full)
    good = [_typed(f"{n}.png", n % 2) for n in range(4)]
    config = ONE_CHANNEL.model_copy(update={"steps": 1})
    with pytest.raises(UserError, match="validation images do not fit into the memory of cpu"):
        ClassifierTrainer(config, good, good, tmp_path, Monitor()).fit()


def test_types_come_from_file_names(tmp_path: Path) -> None:
    folder = write_unlabelled(tmp_path / "u", ["astro", "cort"], 2)
    Image.fromarray(picture(0, 7)[0]).save(folder / "astros[cereb]_D1-1_Vessel-1.png")
    Image.fromarray(picture(0, 8)[0]).save(folder / "unknown_1.png")
    images = images_in(folder)
    known = typed_by_name(images, SMALL.name_pattern, NAMES, "cell_type")
    assert len(known) == 5
    types = {image.stem: image.extra["cell_type"] for image in known.images}
    assert types["astros[cereb]_D1-1_Vessel-1"] == "astro"
    wells = {image.extra["plate_well"] for image in known.images}
    assert "astros[cereb]_D1" in wells and "cort[plate]_C0" in wells
    # Without types to choose from, the plural is the same as the singular.
    free = typed_by_name(images, SMALL.name_pattern, None, "cell_type")
    assert type_names(free, "cell_type") == ["astro", "cort", "unknown"]
    wells_as_types = typed_by_name(images, r"_([A-Z])\d", ["C", "D"], "cell_type")
    assert {image.extra["cell_type"] for image in wells_as_types.images} == {"C", "D"}
    for pattern, fault in (("(", "cannot be read"), ("^astro", "needs a group")):
        with pytest.raises(UserError, match=fault):
            typed_by_name(images, pattern, NAMES, "cell_type")
    with pytest.raises(UserError, match="no file name tells one of x, y"):
        typed_by_name(images, SMALL.name_pattern, ["x", "y"], "cell_type")


def test_names_alone_are_enough_and_wells_stay_together(tmp_path: Path) -> None:
    folder = write_unlabelled(tmp_path / "u", NAMES, 4)
    config = SMALL.model_copy(update={"steps": 1, "validate_every": 1})
    result = train_classifier(None, tmp_path / "run", config, unlabelled=images_in(folder))
    assert result.names == NAMES
    assert result.judgement is not None and result.judgement.confusion.sum() == 2
    assert result.bundle.card.training_data == "6 images"


def test_names_that_tell_no_types_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "u"
    folder.mkdir()
    for number in range(9):
        Image.fromarray(picture(number % 2, number)[0]).save(folder / f"img{number}.png")
    with pytest.raises(
        UserError,
        match=r"9 of the 9 types that the file names tell have a single image, such as img0, .* "
        "give --name-pattern",
    ):
        train_classifier(None, tmp_path / "run", SMALL, unlabelled=images_in(folder))
    assert not (tmp_path / "run").exists()


def test_every_type_is_learnt_from_where_each_has_two_images(tmp_path: Path) -> None:
    names = ["astro", "cort", "shsy5y"]
    images = images_in(write_unlabelled(tmp_path / "u", names, 2))
    for seed in range(6):
        config = SMALL.model_copy(update={"steps": 1, "validate_every": 1, "seed": seed})
        listener = Listener()
        result = train_classifier(None, tmp_path / str(seed), config, listener, unlabelled=images)
        assert result.bundle.card.training_data == "4 images"
        assert not any("no image of the type" in line for line in listener.notices)


@pytest.mark.parametrize("sides", ["train train val test test", "train train train test test"])
def test_marks_of_few_images_are_kept_as_they_are(tmp_path: Path, sides: str) -> None:
    data = read_dataset(write_typed(tmp_path / "d", ["astro", "cort", "b", "c", "d"], 1))
    for image, side in zip(data.images, sides.split(), strict=True):
        image.extra["split"] = side
    listener = Listener()
    config = SMALL.model_copy(update={"steps": 1, "validate_every": 1})
    result = train_classifier(data, tmp_path / "run", config, listener)
    assert (result.judgement is None) == ("val" not in sides)
    assert ("only 3 images: all are learnt from and none measures it" in listener.notices) == (
        "val" not in sides
    )
    assert not any("quarter" in line for line in listener.notices)


def test_one_type_is_none_to_tell_apart(tmp_path: Path) -> None:
    data = read_dataset(write_typed(tmp_path / "d", ["cort"], 6))
    with pytest.raises(UserError, match="two types or more"):
        train_classifier(data, tmp_path / "run", SMALL)


def _labels(sampler: TypedSampler) -> torch.Tensor:
    return torch.cat([target.labels for step in range(4) for target in sampler.batch(step)[1]])


def test_rare_types_are_shown_as_often_as_others() -> None:
    pixels = np.zeros((1, 48, 48), np.float16)
    images = [TypedImage("a", pixels, 0)] * 9 + [TypedImage("b", pixels, 1)]
    config = SMALL.model_copy(update={"batch_size": 64})
    labels = _labels(TypedSampler(images, config))
    assert 0.35 < labels.float().mean() < 0.65
    plain = config.model_copy(update={"balance": "image"})
    labels = _labels(TypedSampler(images, plain))
    assert labels.float().mean() < 0.25
    first, again = (TypedSampler(images, config).batch(3)[0] for _ in range(2))
    torch.testing.assert_close(first, again)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_it_decides_the_cell_type_in_an_ensemble(
    taught: ModelBundle, tmp_path: Path, precision: str
) -> None:
    detector = save_tiny_bundle(
        tmp_path / "detector",
        name="detector",
        categories=categories("cort", "astro"),
        thresholds={},
    )
    bundle = combine_bundles(
        [detector], tmp_path / "both", classifier=taught, measure=False, name="both"
    )
    config = SegmentConfig(model="both", device="cpu", preset="fast", precision=precision)
    segmenter = EnsembleSegmenter(bundle, config)
    for kind, name in enumerate(NAMES):
        result = segmenter.segment(picture(kind, 70)[0])
        assert result.cell_type == name and result.type_by == "classifier"


def test_weights_of_a_file_are_the_start(taught: ModelBundle, tmp_path: Path) -> None:
    data = read_dataset(taught.path.parent.parent / "data" / "annotations.json")
    body = taught.load_network().body
    torch.save({"state_dict": body.state_dict()}, tmp_path / "timm.pth")
    config = SMALL.model_copy(
        update={
            "initial_weights": str(tmp_path / "timm.pth"),
            "steps": 1,
            "learning_rate": 1e-9,
            "ema": 0.0,
        }
    )
    result = train_classifier(data, tmp_path / "run", config)
    assert result.judgement is not None and result.judgement.accuracy == 1.0
    assert result.bundle.card.parent == "timm.pth"
    (tmp_path / "bad.pth").write_bytes(b"no weights")
    bad = config.model_copy(update={"initial_weights": str(tmp_path / "bad.pth")})
    with pytest.raises(UserError, match=r"bad\.pth holds no weights"):
        train_classifier(data, tmp_path / "b", bad)
