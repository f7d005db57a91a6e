"""The one call that teaches a classifier: images of known type in, a model bundle out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_sartorius.core.categories import categories_from_names
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor
from napari_sartorius.core.wording import agree, plural
from napari_sartorius.training.classifier.config import ClassifierConfig
from napari_sartorius.training.classifier.data import (
    pack_typed,
    type_names,
    typed_by_name,
    types_of,
)
from napari_sartorius.training.classifier.fit import ClassifierTrainer, Judgement, judge
from napari_sartorius.training.data import split_dataset
from napari_sartorius.training.leading import by_the_first
from napari_sartorius.training.recipes.fingerprint import hold_to_images
from napari_sartorius.training.run_files import LAST_FILE, MODEL_FOLDER
from napari_sartorius.training.splitting import FEWEST_IMAGES
from napari_sartorius.zoo import CategoryCard, ModelBundle, ModelCard, find_single, save_bundle
from napari_sartorius.zoo.naming import model_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from napari_sartorius.core.categories import Category
    from napari_sartorius.io.coco import CocoDataset
    from napari_sartorius.training.classifier.data import TypedImage


@dataclass(frozen=True, eq=False)
class TaughtClassifier:
    """A finished classifier.

    Attributes
    ----------
    bundle
        The model.
    names
        Types in its order.
    judgement
        On the validation images; None where there are none.
    """

    bundle: ModelBundle
    names: list[str]
    judgement: Judgement | None

    def text(self) -> str:
        """Accuracy and table of confusions for the terminal."""
        if self.judgement is None:
            return "No images were kept apart, so nobody knows how good it is."
        return confusion_text(self.judgement, self.names)


@by_the_first
def train_classifier(
    data: CocoDataset | None,
    folder: Path,
    config: ClassifierConfig | None = None,
    monitor: Monitor | None = None,
    resume: bool = True,
    *,
    unlabelled: CocoDataset | None = None,
    card: Mapping[str, Any] | None = None,
) -> TaughtClassifier:
    """Teach a classifier and write the best weights as a bundle.

    Parameters
    ----------
    data
        Images whose records or objects tell the type. Its split, or one made for it, validates.
    folder
        Run folder with the files of every run; the model is made in its folder ``model``.
    config
        The whole configuration; the defaults when None.
    monitor
        Progress, notices, cancel.
    resume
        False refuses a folder that already holds a run.
    unlabelled
        Further images, whose file names tell the type; without `data` all there are.
    card
        Fields of the model's card that the caller knows better.

    Raises
    ------
    UserError
        When fewer than two types are known, an image cannot be read, the folder is taken, or its
        run began with other images.
    """
    monitor = monitor or Monitor()
    config = config or ClassifierConfig()
    if not resume and (folder / LAST_FILE).exists():
        raise UserError(f"{folder} already holds a run; resume it or choose another folder")
    names, main, further = _images(data, unlabelled, config)
    monitor.notice(_counts(names, [main, *further], config))
    hold_to_images(folder, (folder / LAST_FILE).exists(), target=data, unlabelled=unlabelled)
    tree = config.architecture.model_copy(update={"num_classes": len(names)})
    config = config.model_copy(update={"architecture": tree})
    training, validation = _split(main, config, monitor)
    packed = [
        image for part in (training, *further) for image in _pack(part, names, config, monitor)
    ]
    held_out = _pack(validation, names, config, monitor)
    if not packed:
        raise UserError("there is no image of known type to learn from; check the split names")
    unseen = [name for i, name in enumerate(names) if all(image.label != i for image in packed)]
    if unseen:
        monitor.notice(f"no image of the type {', '.join(unseen)} is learnt from")
    initial = _initial_weights(config.initial_weights)
    trainer = ClassifierTrainer(config, packed, held_out, folder, monitor, initial)
    if trainer.resume():
        monitor.notice(f"resumed at step {trainer.progress.step} of {config.steps}")
    best = trainer.fit()
    weights = torch.load(best, map_location="cpu", weights_only=True)
    trainer.network.load_state_dict(weights)
    judgement = (
        judge(trainer.network, held_out, trainer.device, trainer.dtype) if held_out else None
    )
    made = _card(folder.name, config, names, main, len(packed), judgement, trainer)
    bundle = save_bundle(folder / MODEL_FOLDER, made.with_changes(**dict(card or {})), weights)
    return TaughtClassifier(bundle, names, judgement)


def confusion_text(judgement: Judgement, names: Sequence[str]) -> str:
    """Accuracy and the table of confusions."""
    count = int(judgement.confusion.sum())
    corner = "is, taken for:"
    width = max(len(corner), *(len(name) for name in names)) + 1
    lines = [f"{judgement.accuracy:.1%} of {plural(count, 'validation image')} right"]
    lines.append(f"{corner:<{width}}" + "".join(f"{name:>10}" for name in names))
    for name, row in zip(names, judgement.confusion.tolist(), strict=True):
        lines.append(f"{name:<{width}}" + "".join(f"{number:>10}" for number in row))
    return "\n".join(lines)


def _images(
    data: CocoDataset | None, unlabelled: CocoDataset | None, config: ClassifierConfig
) -> tuple[list[str], CocoDataset, list[CocoDataset]]:
    """Types, the images that are split, and those that are only learnt from."""
    field = config.type_field
    names = type_names(data, field) if data is not None else None
    named = (
        typed_by_name(unlabelled, config.name_pattern, names, field)
        if unlabelled is not None
        else None
    )
    if names is None:
        names = type_names(named, field) if named is not None else []
    if len(names) < 2:
        raise UserError(
            f"a classifier needs images of two types or more, and these show "
            f"{names[0] if names else 'none'}; give records a {field}, objects categories, or "
            "files names that tell the type"
        )
    if data is None:
        assert named is not None
        return names, named, []
    return names, data, [named] if named is not None else []


def _counts(names: list[str], parts: Sequence[CocoDataset], config: ClassifierConfig) -> str:
    found = [name for part in parts for name in types_of(part, config.type_field)]
    return "images: " + ", ".join(f"{found.count(name)} {name}" for name in names)


def _split(
    dataset: CocoDataset, config: ClassifierConfig, monitor: Monitor
) -> tuple[CocoDataset, CocoDataset]:
    names = (config.train_split, config.validation_split)
    marks = {image.extra["split"] for image in dataset.images if "split" in image.extra}
    few = dataset.select(lambda image: image.extra.get("split") in names) if marks else dataset
    if len(few) < FEWEST_IMAGES and (not marks or names[0] in marks):
        # A strip does not show what a whole image does: those that are marked measure, or none.
        training = few.split(names[0]) if marks else few
        if len(training) == len(few):
            are = agree(len(few), "it is", "all are")
            told = f"only {plural(len(few), 'image')}: {are} learnt from and none measures it"
            monitor.notice(told)
        return training, few.split(names[1])
    splits = {"train_split": names[0], "validation_split": names[1]}
    return split_dataset(dataset, config.train_config().model_copy(update=splits), monitor)


def _pack(
    dataset: CocoDataset, names: list[str], config: ClassifierConfig, monitor: Monitor
) -> list[TypedImage]:
    return pack_typed(dataset, names, config, monitor) if len(dataset) else []


def _initial_weights(start: str | None) -> dict[str, Tensor] | None:
    """Weights by our names, of a model of ours or of timm."""
    if start is None:
        return None
    path = Path(start)
    if not path.is_file() or path.suffix.lower() == ".zip":
        return dict(find_single(start).load_network().state_dict())
    weights: Any
    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            weights = load_file(path)
        else:
            weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(
            f"{path} holds no weights that can be read safely ({type(error).__name__}); give a "
            ".safetensors or .pth file with the weights of the timm network"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(weights, dict) and isinstance(weights.get(key), dict):
            weights = weights[key]
    return {
        f"body.{name.removeprefix('module.')}": value
        for name, value in weights.items()
        if isinstance(value, torch.Tensor)
    }


def _card(
    name: str,
    config: ClassifierConfig,
    names: list[str],
    dataset: CocoDataset,
    learnt: int,
    judgement: Judgement | None,
    trainer: ClassifierTrainer,
) -> ModelCard:
    kinds: dict[str, Category] = {kind.name: kind for kind in dataset.categories}
    plain = {kind.name: kind for kind in categories_from_names(names)}
    metrics = {}
    text = f"Tells of a whole image whether it shows {', '.join(names[:-1])} or {names[-1]}."
    if judgement is not None:
        metrics["validation accuracy"] = round(judgement.accuracy, 4)
        for kind, one in enumerate(names):
            if judgement.confusion[kind].any():
                metrics[f"validation accuracy {one}"] = round(judgement.recall(kind), 4)
        wrong = [
            f"{int(judgement.confusion[i, j])} {names[i]} taken for {names[j]}"
            for i, j in np.argwhere(judgement.confusion).tolist()
            if i != j
        ]
        text += (
            f" Of {plural(int(judgement.confusion.sum()), 'validation image')} "
            + (", ".join(wrong) if wrong else "none was mistaken")
            + "."
        )
    areas = [dataset.instances[image.id].masks.area() for image in dataset.images]
    known = np.concatenate(areas) if areas else np.zeros(0)
    diameter = float(np.sqrt(np.median(known) * 4 / np.pi)) if len(known) else 16.0
    progress = trainer.progress
    return ModelCard(
        name=model_name(name, "classifier"),
        title=f"Cell types: {', '.join(names)}",
        description=text,
        categories=tuple(
            CategoryCard(name=one, colour=kinds.get(one, plain[one]).colour) for one in names
        ),
        cell_diameter=max(1.0, round(diameter, 1)),
        architecture=config.architecture.model_dump(mode="json"),
        normalisation=config.normalisation,
        one_category_per_image=True,
        licence="as its training data",
        training_data=plural(learnt, "image"),
        schedule=f"{progress.best_step} of {plural(config.steps, 'step')} of "
        f"{plural(config.batch_size, 'image')}",
        metrics=metrics,
        parent=None if config.initial_weights is None else Path(config.initial_weights).name,
    )
