"""How long a step takes here: a few are made on a network of the same form, and thrown away."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch

from napari_sartorius.inference.device import choose_precision
from napari_sartorius.nn.build import build_network
from napari_sartorius.training.crops import CropSampler
from napari_sartorius.training.images import sampling_weights
from napari_sartorius.training.optimiser import make_optimiser
from napari_sartorius.training.sampling import FixedSampling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.training.config import TrainConfig
    from napari_sartorius.training.images import AnnotatedImage

_MOST_STEPS, _ENOUGH_S = 4, 2.0


def time_step(
    config: TrainConfig, images: Sequence[AnnotatedImage], device: str, monitor: Monitor
) -> float:
    """Seconds of one optimiser step.

    Parameters
    ----------
    config
        Of the run.
    images
        Packed images that crops are cut from.
    device
        As torch names it.
    monitor
        May cancel between two steps.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    network = build_network(config.architecture).to(device).train()
    optimiser = make_optimiser(network, config)
    weights = sampling_weights(
        images, config.balance, config.balance_field, config.architecture.num_classes
    )
    sampler = CropSampler(images, FixedSampling(weights), config.crop, config.augment, config.seed)
    mixed = config.precision == "float16" or (
        choose_precision(config.precision, device) == "bfloat16"
    )
    began = spent = 0.0
    for number in range(_MOST_STEPS + 1):
        monitor.check()
        monitor.progress("timing a step", number / (_MOST_STEPS + 1))
        if number == 1:  # the first one also prepares kernels and memory
            began = time.perf_counter()
        for part in range(config.accumulate):
            batch, targets = sampler.batch(number * config.accumulate + part, config.batch_size)
            targets = [target.to(torch.device(device)) for target in targets]
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=mixed):
                losses = network.losses(
                    batch.to(device, memory_format=torch.channels_last), targets
                )
            torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        if number:
            spent = time.perf_counter() - began
            if spent > _ENOUGH_S:
                break
    return spent / number
