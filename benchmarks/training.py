"""How fast crops are drawn, and a training step beside torchvision's Mask R-CNN and usual loop.

    python benchmarks/training.py [--rounds 5] [--threads 1] [--batch 4] [--only crops|steps]

Both sides learn from the same generated fields of cells, 256 px crops, take turns step by step, and
are compared by processor time (all threads), because that is what a busy machine leaves alone; on a
graphics card by the clock.
"""

from __future__ import annotations

import argparse
import statistics
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from parts import now
from report import Row, keep
from stepped_training import SteppedTraining
from usual_training import CellDataset, UsualTraining

from napari_sartorius.core.normalise import Normalisation
from napari_sartorius.inference.device import choose_precision
from napari_sartorius.nn.config import BoxHeadConfig, MaskHeadConfig, PoolerConfig
from napari_sartorius.nn.stock import stock_mask_rcnn
from napari_sartorius.samples.phase_contrast import phase_contrast_scene
from napari_sartorius.training.augment.config import AugmentConfig
from napari_sartorius.training.config import TrainConfig
from napari_sartorius.training.crops import CropSampler
from napari_sartorius.training.images import AnnotatedImage, pack_image
from napari_sartorius.training.sampling import FixedSampling

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_sartorius.core.instances import Instances

CROP = 256
_CELLS = 120  # of a 704 x 520 field, as the Sartorius images have on average
_CROPS_A_SECOND = 200  # promised for one core
_LIMIT, _LIMIT_CUDA = 1 / 1.5, 1 / 2
_EVERYTHING: dict[str, Any] = {
    "scale": (0.7, 1.4),
    "rotate": 180,
    "invert": 0.5,
    "mosaic": {"fixed": 0.2, "random": 0.2},
    "mixup": {"probability": 0.3},
    "flip_paste": {"probability": 0.3},
    "copy_paste": {"probability": 0.3},
    "blur": 0.1,
    "gaussian_blur": 0.1,
    "median_blur": 0.1,
    "motion_blur": 0.1,
    "clahe": 0.1,
    "sharpen": 0.1,
    "emboss": 0.1,
}

Field = tuple["NDArray[np.uint8]", "Instances"]


def fields(count: int) -> list[Field]:
    """Generated phase-contrast pictures with their cells."""
    return [phase_contrast_scene(seed=seed, cells=_CELLS) for seed in range(count)]


def packed(pictures: list[Field], channels: int) -> list[AnnotatedImage]:
    """The pictures as a training run holds them."""
    return [
        pack_image(
            f"{number}", image, truth.masks, truth.categories.astype(np.int64), Normalisation(),
            channels,
        )
        for number, (image, truth) in enumerate(pictures)
    ]  # fmt: skip


def crop_rows(pictures: list[Field]) -> list[Row]:
    """Crops per second of one core, by default, turned, and with every option now and then."""
    images = packed(pictures, 1)
    cases = {
        "as by default": (AugmentConfig(), 1.0),
        "as by default and turned by any angle": (AugmentConfig(rotate=180), None),
        "every option, filters and partners by chance": (
            AugmentConfig.model_validate(_EVERYTHING),
            None,
        ),
    }
    rows = []
    for name, (augment, limit) in cases.items():
        sampler = CropSampler(images, FixedSampling(np.ones(len(images))), CROP, augment, 0)
        sampler.batch(0, 4)
        best = float("inf")
        for turn in range(8):
            start = time.process_time()
            for step in range(turn * 4, turn * 4 + 4):
                sampler.batch(step, 4)
            best = min(best, (time.process_time() - start) / 16)
        rows.append(
            Row(
                f"crops of {CROP} px, one core, {name}",
                f"{1 / best:.0f} / s",
                f"{_CROPS_A_SECOND} / s asked",
                best * _CROPS_A_SECOND,
                limit,
            )
        )
    return rows


def run_config(
    steps: int, batch: int, precision: str, device: str, same_regions: bool
) -> TrainConfig:
    """A run of the stock network; with as many regions per image as torchvision's learns from."""
    tree = stock_mask_rcnn(50, 1)
    pooler = PoolerConfig(resolution=7, canonical_size=224.0, sampling_ratio=2)
    boxes: dict[str, Any] = {"pooler": pooler}
    masks: dict[str, Any] = {"pooler": pooler.model_copy(update={"resolution": 14})}
    proposals: dict[str, Any] = {"post_nms_topk_train": 2000}
    if same_regions:
        boxes["batch_per_image"], masks["batch_per_image"] = 512, 128
    else:
        boxes["batch_per_image"] = BoxHeadConfig().batch_per_image
        masks["batch_per_image"] = MaskHeadConfig().batch_per_image
    tree = tree.model_copy(
        update={
            "trunk": tree.trunk.model_copy(update={"stride_in_1x1": False}),
            "proposals": tree.proposals.model_copy(update=proposals),
            "box_head": tree.box_head.model_copy(update=boxes),
            "mask_head": tree.mask_head.model_copy(update=masks),
        }
    )
    return TrainConfig.model_validate(
        {
            "architecture": tree,
            "crop": CROP,
            "batch_size": batch,
            "steps": steps,
            "learning_rate": 1e-4,
            "augment": AugmentConfig(scale=(1, 1)),  # as torchvision's side, whose images are not
            "validate_every": 10**9,
            "checkpoint_every": 10**9,
            "precision": precision,
            "device": device,
        }
    )


def step_rows(
    pictures: list[Field], rounds: int, batch: int, device: str, threads: int
) -> list[Row]:
    """Whole training steps with their data; both sides take turns, the first round is left out."""
    images = packed(pictures, 3)
    arrays = [image for image, _ in pictures], [truth.to_labels()[0] for _, truth in pictures]
    usual = UsualTraining(CellDataset(*arrays, CROP, (rounds + 2) * batch), CROP, batch, device)
    default = choose_precision("auto", device)
    kinds = {
        "float32, as many regions": ("float32", True),
        f"{default} (our default), as many regions": ("auto", True),
        "float32, our default number of regions": ("float32", False),
        f"{default}, our default number of regions": ("auto", False),
    }
    spent: dict[str, list[tuple[float, float]]] = {}
    with ExitStack() as stack:
        sides: dict[str, Callable[[], None]] = {"torchvision": usual.step}
        for name, (precision, same) in kinds.items():
            config = run_config(rounds + 2, batch, precision, device, same)
            sides[name] = stack.enter_context(SteppedTraining(config, images)).step
        torch.set_num_threads(threads)
        for turn in range(rounds + 1):
            for name, step in sides.items():
                used, start = time.process_time(), now()
                step()
                if turn:
                    times = (now() - start, time.process_time() - used)
                    spent.setdefault(name, []).append(times)
    on_card = device != "cpu"
    by = 0 if on_card else 1
    median = {n: statistics.median(one[by] for one in times) for n, times in spent.items()}
    clock = {n: statistics.median(one[0] for one in times) for n, times in spent.items()}
    share = usual.data_seconds / usual.seconds
    theirs = f"{batch / median['torchvision']:.2f} images / s, float32, {share:.0%} for data"
    unit = "" if on_card else " of processor time"
    return [
        Row(
            f"step of {batch} crops, R50-FPN, {name}"
            + (", graphics card" if on_card else f", {threads} thread{'s' * (threads != 1)}"),
            f"{batch / median[name]:.2f} images / s{unit}; {batch / clock[name]:.2f} by the clock",
            f"{theirs}; {batch / clock['torchvision']:.2f} by the clock",
            median[name] / median["torchvision"],
            _LIMIT_CUDA if on_card else _LIMIT,
        )
        for name in kinds
    ]


def main() -> None:
    """Measure what was asked for and write it into the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="steps of each side that count")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--batch", type=int, default=4, help="crops of a step")
    parser.add_argument("--only", choices=("crops", "steps"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    pictures = fields(8)
    rows = []
    if arguments.only != "steps":
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        rows += crop_rows(pictures)
        torch.set_num_threads(threads)
    if arguments.only != "crops":
        devices = ["cpu", "cuda:0"] if torch.cuda.is_available() else ["cpu"]
        for device in devices:
            rows += step_rows(
                pictures, arguments.rounds, arguments.batch, device, arguments.threads
            )
    for row in rows:
        print(f"{row.what}: {row.ours} beside {row.other}, ratio {row.ratio:.2f}")
    if arguments.only is None:
        keep(
            "training",
            "Training beside torchvision",
            "Generated fields of 120 cells, crops of 256 px. Steps hold everything: data, forward "
            "and backward pass, optimiser (ours AdamW with the running average of the weights, "
            "theirs SGD). Torchvision's Mask R-CNN runs in its references' loop. Ratios are of "
            "processor time on the processor. Regions per image: 512 boxes and 128 masks as "
            "torchvision takes, or 128 and 64 as ours by default.",
            rows,
        )


if __name__ == "__main__":
    main()
