"""Turn a finished training run into a bundle that ships: tune thresholds, measure, write the card.

    python scripts/finish_model.py models/neurons runs/neurons annotations.json \
        src/napari_sartorius/zoo/bundled/neurons

Thresholds are tuned per category on the validation split with the default preset, then the split
is segmented again exactly as a user would, and those figures go into the card. They are therefore
slightly optimistic: thresholds and figures share their images. ``tuning_score_after`` is not; it is
the competition score of each fold with thresholds that were tuned on the others.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from napari_sartorius.core.progress import Monitor
from napari_sartorius.evaluation.dataset import evaluate_dataset
from napari_sartorius.evaluation.result_text import as_text
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.segmenter import Segmenter
from napari_sartorius.io.coco import CocoDataset, CocoImage, read_coco
from napari_sartorius.io.images import planes, read_image
from napari_sartorius.training.config import TrainConfig
from napari_sartorius.training.tuning.config import TuningConfig
from napari_sartorius.training.tuning.tuning import tune
from napari_sartorius.zoo import ModelBundle, ModelCard, save_bundle

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.training.tuning.tuning import TuningResult


def main() -> None:
    """Read the arguments and run the three steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "recipe", type=Path, help="folder with card.json, and train.json or recipe.yaml"
    )
    parser.add_argument("run", type=Path, help="folder of the training run")
    parser.add_argument("data", type=Path, help="COCO JSON with a val split")
    parser.add_argument("bundle", type=Path, help="folder to write")
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--masks", type=float, nargs="+", default=[0.35, 0.4, 0.45, 0.5])
    parser.add_argument("--overlaps", type=float, nargs="+", default=[0.1, 0.2, 0.3, 0.5])
    parser.add_argument("--trials", type=int, default=150, help="combinations per category, fold")
    parser.add_argument("--images", type=int, default=None, help="tune on this many images only")
    arguments = parser.parse_args()
    bundle = _bundle(arguments.recipe, arguments.run, arguments.bundle)
    truth = read_coco(arguments.data).split("val")
    if arguments.images:
        step = max(1, len(truth) // arguments.images)
        keep = {image.id for image in truth.images[::step]}
        truth = truth.select(lambda image: image.id in keep)
    result = _tune(bundle, truth, arguments)
    card = result.card
    assert isinstance(card, ModelCard)
    weights = _weights(arguments.run)
    bundle = save_bundle(arguments.bundle, card, weights)
    metrics = _measure(bundle, truth, arguments.preset)
    metrics["tuning_score_after"] = round(result.figures.expected, 4)
    save_bundle(arguments.bundle, card.with_changes(metrics=metrics), weights)
    _say(json.dumps({"thresholds": result.figures.new, **metrics}, indent=1))


def _bundle(recipe: Path, run: Path, folder: Path) -> ModelBundle:
    config = TrainConfig.read(run / "config.json")
    progress = torch.load(run / "last.pt", map_location="cpu", weights_only=True)["progress"]
    schedule = (
        f"{progress['best_step']} of {config.steps} steps of {config.batch_size} crops of "
        f"{config.crop} px, {config.optimiser}, running average of the weights; "
        f"see {recipe.as_posix()}"
    )
    fields = {"schedule": schedule} | json.loads((recipe / "card.json").read_text())
    architecture, written = config.architecture, recipe / "train.json"
    if written.exists():  # its tree may ask for more when detecting than training needed
        architecture = TrainConfig.read(written).architecture
    card = ModelCard(**fields, architecture=architecture, normalisation=config.normalisation)
    return save_bundle(folder, card, _weights(run))


def _weights(run: Path) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = torch.load(
        run / "best.pt", map_location="cpu", weights_only=True
    )
    return weights


def _tune(bundle: ModelBundle, truth: CocoDataset, arguments: argparse.Namespace) -> TuningResult:
    """Best thresholds per category, and what they are worth on images they were not tuned on."""
    config = TuningConfig(
        preset=arguments.preset,
        masks=tuple(arguments.masks),
        overlaps=tuple(arguments.overlaps),
        trials=arguments.trials,
    )
    result = tune(bundle, truth, config, cache=arguments.run / "looks")
    _say(result.figures.to_text())
    return result


def _measure(bundle: ModelBundle, truth: CocoDataset, preset: str) -> dict[str, float]:
    """Figures of the finished bundle on the same images, cell type decided by the model."""
    config = SegmentConfig.model_validate({"preset": preset})
    segmenter = Segmenter(bundle, config)
    began = time.perf_counter()
    instances = {
        image.id: segmenter.segment(_pixels(truth, image)).instances for image in truth.images
    }
    seconds = (time.perf_counter() - began) / max(1, len(truth))
    predicted = replace(truth, instances=instances)
    result = evaluate_dataset(truth, predicted, monitor=Monitor())
    _say(as_text(result))
    _say(f"{seconds:.2f} s per image")
    return _figures(result.to_dict())


def _figures(report: dict[str, Any]) -> dict[str, float]:
    """Overall and per-category figures, flat and rounded."""
    figures = {
        "competition mAP": report["competition_score"],
        "COCO AP": report["ap"],
        "COCO AP50": report["ap50"],
    }
    for name, category in report["categories"].items():
        figures[f"competition mAP {name}"] = category["competition_score"]
    return {key: round(value, 4) for key, value in figures.items() if value is not None}


def _pixels(dataset: CocoDataset, image: CocoImage) -> NDArray[Any]:
    return next(iter(planes(read_image(dataset.image_path(image)))))[1]


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
