"""How long a step takes here: a few are made on a network of the same form, and thrown away."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch

from napari_sartorius.nn.build import build_network
from napari_sartorius.training.crops import CropSampler
from napari_sartorius.training.images import sampling_weights
from napari_sartorius.training.optimiser import make_optimiser
from napari_sartorius.training.sampling import FixedSampling
from napari_sartorius.training.step import arithmetic

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.training.config import TrainConfig
    from napari_sartorius.training.images import AnnotatedImage

_MOST_STEPS, _ENOUGH_S = 4, 2.0


def time_step(
    config: TrainConfig,
    images: Sequence[AnnotatedImage],
    device: str,
    monitor: Monitor,
    clock: Callable[[], float] = time.perf_counter,
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
    clock
        Seconds.

    Raises
    ------
    UserError
        When the device cannot compute in the precision that is asked for.
    """
    place, dtype = torch.device(device), arithmetic(config.precision, device)
    if config.threads:
        torch.set_num_threads(config.threads)
    network = build_network(config.architecture).to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.train()
    optimiser = make_optimiser(network, config)
    weights = sampling_weights(
        images, config.balance, config.balance_field, config.architecture.num_classes
    )
    sampler = CropSampler(images, FixedSampling(weights), config.crop, config.augment, config.seed)
    began = spent = 0.0
    for number in range(_MOST_STEPS + 1):
        monitor.check()
        monitor.progress("timing a step", number / (_MOST_STEPS + 1))
        if number == 1:  # the first one also prepares kernels and memory
            began = clock()
        for part in range(config.accumulate):
            batch, targets = sampler.batch(number * config.accumulate + part, config.batch_size)
            batch = batch.to(place, memory_format=torch.channels_last)
            targets = [target.to(place) for target in targets]
            with torch.autocast(place.type, dtype, enabled=dtype != torch.float32):
                losses = network.losses(batch, targets)
            torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        if place.type == "cuda":
            torch.cuda.synchronize(place)
        if number:
            spent = clock() - began
            if spent > _ENOUGH_S:
                break
    return spent / number
