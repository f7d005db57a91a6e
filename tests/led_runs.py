"""Fine-tuning and a recipe that several processes do together. Usage: FOLDER, in each of them."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from napari_sartorius.core.categories import categories_from_names
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.progress import Cancelled, Monitor
from napari_sartorius.io.coco import CocoDataset, CocoImage, read_coco, write_coco
from napari_sartorius.nn.build import build_network
from napari_sartorius.training.augment.config import AugmentConfig
from napari_sartorius.training.config import FreezeConfig, ReplayConfig
from napari_sartorius.training.distributed import join
from napari_sartorius.training.finetune import finetune
from napari_sartorius.training.recipes.data import RecipeData
from napari_sartorius.training.recipes.reading import recipe_of
from napari_sartorius.training.recipes.running import run_recipe
from napari_sartorius.zoo import CategoryCard, ModelBundle, save_bundle
from tiny_models import tiny_card
from tiny_runs import square_image, tiny_network, tiny_run

if TYPE_CHECKING:
    from napari_sartorius.training.config import TrainConfig
    from napari_sartorius.training.finetune import FineTuned
    from napari_sartorius.zoo import AnyBundle

KINDS = ["astro", "cort"]
STEPS = 3


def write_inputs(folder: Path) -> None:
    """Pictures, old pictures, and a model to start from; once, before the processes begin."""
    _write_squares(folder / "new", range(9))
    _write_squares(folder / "old", range(20, 22))
    torch.manual_seed(0)
    network = exact(1).architecture
    kinds = tuple(CategoryCard(name=name, colour="#e69f00") for name in KINDS)
    card = tiny_card(architecture=network, categories=kinds)
    save_bundle(folder / "start", card, build_network(network).state_dict())


def _write_squares(folder: Path, seeds: range) -> None:
    """Pictures of one kind each; every third one validates. A crop sees all of one, so that every
    process has as many objects to take a mean over.
    """
    folder.mkdir()
    images, instances = [], {}
    for number in seeds:
        square = square_image(number)
        pixels = (square.pixels[..., 0].astype(np.float32) * 25 + 110).clip(0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
        side = "val" if number % 3 == 2 else "train"
        images.append(CocoImage(number, f"{number}.png", 64, 64, {"split": side}))
        kinds = np.full(len(square.masks), number % len(KINDS), np.int64)
        instances[number] = Instances.from_masks(square.masks, categories=kinds)
    dataset = CocoDataset(images, categories_from_names(KINDS), dict(instances))
    write_coco(folder / "annotations.json", dataset)


def _read(folder: Path) -> CocoDataset:
    return read_coco(folder / "annotations.json")


def exact(batch_size: int) -> TrainConfig:
    """Nothing is drawn at random and no statistics are taken: who draws what makes no difference.

    Boxes are positive that are one of the six true ones, so each process has as many of those, too.
    """
    network = tiny_network(sampled=4000)
    head = network.box_head.model_copy(update={"positive_iou": 0.99})
    return tiny_run(
        architecture=network.model_copy(update={"num_classes": len(KINDS), "box_head": head}),
        freeze=FreezeConfig(normalisation=True),
        augment=AugmentConfig(scale=(1.0, 1.0)),
        batch_size=batch_size,
        steps=STEPS,
        validate_every=1,
        validate_images=1,
        checkpoint_every=1,
    )


def fine_tuned(folder: Path, name: str, batch_size: int) -> FineTuned:
    """Fine-tune the model with old images between the new ones and a strong pull to the start."""
    old = str(folder / "old" / "annotations.json")
    replay = ReplayConfig(data=old, generated=0, pull=100, blends=(0.5,))
    config = exact(batch_size).model_copy(update={"validate_first": True, "replay": replay})
    start = ModelBundle.open(folder / "start")
    return finetune(start, _read(folder / "new"), folder / name, name=name, config=config)


def by_recipe(
    folder: Path, name: str, batch_size: int, monitor: Monitor | None = None
) -> AnyBundle | None:
    """Two trainings, the second one with old images between its own; a classifier; both in one."""
    mix = {"images": "pretrain", "share": 0.3, "decay": "linear"}
    epochs = {"total": 2, "validate_every": 1}  # of six images: six steps of two crops
    typed = {
        "architecture": {
            "num_classes": len(KINDS), "trunk": {"name": "resnet10t"}, "image_size": [32, 32]
        },
        "steps": 2, "batch_size": 2, "validate_every": 2, "device": "cpu", "threads": 1,
    }  # fmt: skip
    stages: list[dict[str, Any]] = [
        {"name": "first", "kind": "train"},
        {"name": "second", "kind": "train", "init": "stage:first", "mix": [mix], "epochs": epochs},
        {"name": "types", "kind": "classifier", "settings": typed},
        {
            "name": "both",
            "kind": "ensemble",
            "members": ["stage:second"],
            "classifier": "stage:types",
        },
    ]
    settings = exact(batch_size).model_dump(mode="json", exclude_unset=True)
    facts = {"title": "Tiny", "description": "D", "source": "tests", "settings": settings}
    recipe = recipe_of({**facts, "stages": stages}, "tiny")
    data = RecipeData(_read(folder / "new"), _read(folder / "old"))
    return run_recipe(recipe, data, folder / name, monitor=monitor)


class AtStep(Monitor):
    """Cancels, or kills its process, after a step of the second training."""

    def __init__(self, step: int, *, kill: bool) -> None:
        self.words, self.kill, self.reached = f"second: training, step {step} of", kill, False

    def progress(self, stage: str, fraction: float) -> None:
        if stage.startswith(self.words):
            if self.kill:
                os.kill(os.getpid(), signal.SIGKILL)
            self.reached = True

    def check(self) -> None:
        if self.reached:
            raise Cancelled


def ending(folder: Path, name: str, monitor: Monitor | None = None) -> str:
    """How a recipe ends in this process."""
    try:
        bundle = by_recipe(folder, name, 1, monitor)
    except (UserError, Cancelled) as error:
        return f"{type(error).__name__} {error}".strip()
    return bundle.card.name if bundle is not None else "nothing"


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    rank = join().rank
    result = fine_tuned(folder, "finetuned", 1)
    told = [f"{result.bundle.card.name} {result.after:.6f}"]
    told.append(ending(folder, "recipe", AtStep(2, kill=False)))
    told.append(ending(folder, "recipe"))
    (folder / f"told-{rank}.txt").write_text("\n".join(told))
    if rank == 0:
        # A file where a folder should be: the first process fails between two trainings.
        (folder / "failing").mkdir()
        (folder / "failing" / "second").touch()
    told.append(ending(folder, "failing"))
    (folder / f"told-{rank}.txt").write_text("\n".join(told))
    by_recipe(folder, "killed", 1, AtStep(2, kill=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
