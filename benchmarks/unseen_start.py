"""A model of nuclei that has never seen stained tissue: the start of learning it from a few images.

The bundled ``nuclei`` has learnt from every kind of image of its data, so nothing in them is new to
it. This one has learnt from images of fluorescence only: a smaller trunk, fewer steps, the rest as
the bundled model.

    python benchmarks/unseen_start.py ../shared/data [--steps 1000]

writes ``runs/fluorescence`` (a quarter of an hour on one core; goes on where it was stopped).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sartorius.cli.console import ConsoleMonitor
from napari_sartorius.io.coco import read_coco
from napari_sartorius.training.config import TrainConfig
from napari_sartorius.training.run import train

if TYPE_CHECKING:
    from napari_sartorius.io.coco import CocoImage

ROOT = Path(__file__).resolve().parents[1]
FLUORESCENCE = ROOT / "runs" / "fluorescence" / "model"
"""Where the model is."""


def is_fluorescence(image: CocoImage) -> bool:
    """Whether an image of ``dsb2018`` is of fluorescence: bright nuclei on black."""
    return image.extra.get("cluster") in ("a", "f")


def configuration(steps: int) -> TrainConfig:
    """That of the bundled model but for the trunk, from random weights."""
    told = json.loads((ROOT / "models" / "nuclei" / "train.json").read_text())
    told["architecture"]["trunk"]["name"] = "resnet18"
    told |= {"initial_weights": None, "steps": steps, "batch_size": 2, "ema": 0.995}
    told |= {"validate_every": 250, "validate_images": 12, "threads": 1}
    return TrainConfig.model_validate(told)


def main() -> None:
    """Train, or go on."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with dsb2018")
    parser.add_argument("--steps", type=int, default=1000)
    options = parser.parse_args()
    images = read_coco(options.data / "dsb2018" / "annotations.json").select(is_fluorescence)
    with ConsoleMonitor() as monitor:
        train(images, FLUORESCENCE.parent, configuration(options.steps), monitor)


if __name__ == "__main__":
    main()
