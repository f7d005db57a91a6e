"""The stock networks trained on generated cells: weights whose masks can be compared.

With random weights every mask hangs on the last bit of the arithmetic; what matters is whether the
masks of a network that has learnt something stay the same.

python benchmarks/stock_trained.py [--steps 600] [--deep-steps 100]

writes ``runs/stock-50`` and ``runs/stock-101`` (an hour or two on two cores; goes on where it was
stopped), which `bench_networks.py` then takes. The deeper network starts from the other one with
the further blocks passing through what they get, so that it needs few steps.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sartorius.cli.console import ConsoleMonitor
from napari_sartorius.core.categories import Category
from napari_sartorius.core.normalise import Normalisation
from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.stock import stock_mask_rcnn
from napari_sartorius.samples.annotated_folder import write_annotated_folder
from napari_sartorius.samples.phase_contrast import CATEGORIES, phase_contrast_scene
from napari_sartorius.training.config import AugmentConfig, TrainConfig
from napari_sartorius.training.run import train
from napari_sartorius.zoo import find_single, save_bundle

if TYPE_CHECKING:
    import torch
    from yardsticks import Depth

RUNS = Path(__file__).resolve().parents[1] / "runs"
TRAINED_CLASSES, TRAINED_CELLS = len(CATEGORIES), 150
"""Kinds of cells that the networks tell apart, and cells of a picture like theirs."""
_SCENES = 12
# The benchmark gives both programs 0..255 less the means of ImageNet, not divided by anything.
_STD = 64.0


def trained_state(depth: Depth) -> dict[str, torch.Tensor] | None:
    """Weights that read 0..255 less the means; None when they have not been trained here."""
    model = RUNS / f"stock-{depth}" / "model"
    if not model.is_dir():
        return None
    state = dict(find_single(str(model)).load_network().state_dict())
    first = next(name for name, value in state.items() if value.ndim == 4)
    state[first] = state[first] / _STD
    return state


def write_scenes(folder: Path) -> Path:
    """Generated fields of cells and their truth; the last two validate."""
    scenes = (
        (
            *phase_contrast_scene(seed=number, cells=TRAINED_CELLS),
            "val" if number > _SCENES - 2 else "train",
        )
        for number in range(1, _SCENES + 1)
    )
    kinds = [Category(n, name) for n, name in enumerate(CATEGORIES, 1)]
    return write_annotated_folder(folder, scenes, kinds)


def configuration(depth: Depth, steps: int, initial: str | None) -> TrainConfig:
    """Crops shown at the sizes at which the benchmark shows whole images, and around."""
    tree = stock_mask_rcnn(depth, len(CATEGORIES))
    # Fewer samples of each crop than the original's 512: that is what a processor can train with.
    heads = {
        "box_head": tree.box_head.model_copy(update={"batch_per_image": 64}),
        "mask_head": tree.mask_head.model_copy(update={"batch_per_image": 16}),
    }
    return TrainConfig(
        architecture=tree.model_copy(update=heads),
        normalisation=Normalisation(method="fixed", mean=115.0, std=_STD),
        augment=AugmentConfig(scale=(0.9, 1.8)),
        batch_size=2,
        steps=steps,
        learning_rate=3e-4,
        ema=0.99,
        balance="image",
        validate_every=100,
        validate_images=2,
        checkpoint_every=50,
        initial_weights=initial,
    )


def deepened(shallow: Path, folder: Path) -> Path:
    """A bundle of the deeper network that computes what the shallower one does."""
    start = find_single(str(shallow))
    tree = configuration(101, 1, None).architecture
    state = build_network(tree).state_dict() | start.load_network().state_dict()
    for name, value in state.items():
        # Blocks 6 to 22 of the third stage are new: their last normalisation adds nothing.
        if re.search(r"layer3\.(?:[6-9]|1\d|2\d)\.bn3\.(weight|bias)$", name):
            value.zero_()
    changed = {"name": "deepened", "architecture": tree.model_dump(mode="json"), "sha256": ""}
    save_bundle(folder, start.card.with_changes(**changed), state)
    return folder


def main() -> None:
    """Train one after the other."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--deep-steps", type=int, default=100)
    options = parser.parse_args()
    data = write_scenes(RUNS / "stock-scenes")
    with ConsoleMonitor() as monitor:
        train(data, RUNS / "stock-50", configuration(50, options.steps, None), monitor)
        start = deepened(RUNS / "stock-50" / "model", RUNS / "stock-101-start")
        train(data, RUNS / "stock-101", configuration(101, options.deep_steps, str(start)), monitor)


if __name__ == "__main__":
    main()
