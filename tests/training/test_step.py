"""One step changes the weights once, or leaves no trace at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor
from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.network import Network
from napari_sartorius.training.crops import CropSampler
from napari_sartorius.training.distributed import Group
from napari_sartorius.training.fit import Trainer
from napari_sartorius.training.pull import Pull
from napari_sartorius.training.sampling import FixedSampling
from napari_sartorius.training.step import TrainingStep, arithmetic
from tiny_runs import square_image, squares, tiny_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sartorius.nn.targets import Target
    from napari_sartorius.training.config import TrainConfig

CPU = torch.device("cpu")
FULL = "[enforce fail at alloc_cpu.cpp:1] . DefaultCPUAllocator: can't allocate memory: 12"


class Listener(Monitor):
    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, message: str) -> None:
        self.notices.append(message)


def _step(config: TrainConfig, monitor: Monitor | None = None) -> TrainingStep:
    torch.manual_seed(0)
    network = build_network(config.architecture)
    return TrainingStep(network, config, CPU, torch.float32, Group(), monitor or Monitor())


def _batches(config: TrainConfig, steps: int) -> list[tuple[Tensor, list[Target]]]:
    images = squares(3)
    sampler = CropSampler(images, FixedSampling(np.ones(3)), config.crop, config.augment, 0)
    share = config.batch_size * config.accumulate
    return [sampler.batch(step, share) for step in range(steps)]


def _weights(step: TrainingStep) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in step.network.state_dict().items()}


def _assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def _limited(losses: Callable[..., Any], most: int, seen: list[int]) -> Callable[..., Any]:
    """The same losses where at most so many crops fit into memory, found out after the fact."""

    def limited(batch: Tensor, targets: list[Target]) -> dict[str, Tensor]:
        seen.append(len(batch))
        values: dict[str, Tensor] = losses(batch, targets)  # statistics have changed by now
        if len(batch) > most:
            raise RuntimeError(FULL)
        return values

    return limited


def test_weights_are_pulled_back_after_each_step_that_was_made() -> None:
    config = tiny_run(batch_size=2)
    ((batch, targets),) = _batches(config, 1)
    free, pulled = _step(config), _step(config)
    start = _weights(pulled)
    assert free.run(0, batch, targets).is_finite
    strength = 0.25 / free.optimiser.param_groups[0]["lr"]
    pulled.pull = Pull(start, pulled.network, strength)
    assert pulled.run(0, batch, targets).is_finite
    moved = _weights(free)
    for name, value in pulled.network.named_parameters():
        if value.grad is not None:
            torch.testing.assert_close(value, torch.lerp(moved[name], start[name], 0.25))
    before = _weights(pulled)
    assert not pulled.run(1, batch * torch.nan, targets).is_finite
    _assert_same(_weights(pulled), before)


def test_without_memory_fewer_crops_at_a_time_give_the_weights_they_always_give() -> None:
    wanted = _step(tiny_run(batch_size=1, accumulate=4))
    listener, seen = Listener(), []
    short = _step(tiny_run(batch_size=4), listener)
    short.network.losses = _limited(short.network.losses, 1, seen)  # type: ignore[method-assign]
    for number, (batch, targets) in enumerate(_batches(wanted.config, 2)):
        assert wanted.run(number, batch, targets) == short.run(number, batch, targets)
    assert seen == [4, 2, *[1] * 8]
    _assert_same(_weights(wanted), _weights(short))
    assert [line[:59] for line in listener.notices] == [
        "step 1 did not fit into the memory of cpu with 4 crops at a",
        "step 1 did not fit into the memory of cpu with 2 crops at a",
    ]
    assert (
        "accumulates 4 times instead of 2, so each step still sees 4 crops" in listener.notices[1]
    )
    resumed = _step(tiny_run(batch_size=4))
    resumed.load(short.state())
    assert resumed.portion == 1


def test_one_crop_too_many_is_one_sentence() -> None:
    step = _step(tiny_run())
    step.network.losses = _limited(step.network.losses, 0, [])  # type: ignore[method-assign]
    with pytest.raises(UserError, match="one crop of 64 x 64 pixels does not fit into the memory"):
        step.run(0, *_batches(step.config, 1)[0])


def test_other_errors_are_not_blamed_on_memory() -> None:
    step = _step(tiny_run())

    def broken(batch: Tensor, targets: list[Target]) -> dict[str, Tensor]:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    step.network.losses = broken  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="shapes"):
        step.run(0, *_batches(step.config, 1)[0])


def test_accumulated_gradients_are_those_of_the_whole_batch() -> None:
    """With losses that are means over crops, and no statistics of batches, nothing differs."""
    gradients = []
    for batch_size, accumulate in ((4, 1), (2, 2), (1, 4)):
        config = tiny_run(batch_size=batch_size, accumulate=accumulate, gradient_clip=1e9)
        network = Line()
        step = TrainingStep(network, config, CPU, torch.float32, Group(), Monitor())
        step.run(0, torch.arange(4.0).reshape(4, 1, 1, 1), [])
        assert network.weight.grad is not None
        gradients.append(network.weight.grad)
    torch.testing.assert_close(gradients[0], torch.tensor(1.5))
    torch.testing.assert_close(gradients, [gradients[0]] * 3)


class Line(Network):
    """Loss = weight * mean of the batch."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.weight, self.factor = nn.Parameter(torch.tensor(1.0)), factor

    def losses(self, batch: Tensor, targets: list[Target]) -> dict[str, Tensor]:
        return {"mask": self.weight * batch.mean() * self.factor}


def test_a_step_without_numbers_leaves_no_trace() -> None:
    step = _step(tiny_run())
    (batch, targets), (again, its_targets) = _batches(step.config, 2)
    assert step.run(0, batch, targets).is_finite
    before = _weights(step), {k: v.clone() for k, v in step.average.network.state_dict().items()}
    outcome = step.run(1, torch.full_like(again, torch.nan), its_targets)
    assert (outcome.losses, outcome.is_finite, outcome.is_overflow) == ({}, False, False)
    # Running statistics have seen the batch, which must not show.
    _assert_same(before[0], _weights(step))
    _assert_same(before[1], dict(step.average.network.state_dict()))


def test_float16_overflows_shrink_the_scale_until_gradients_fit() -> None:
    config = tiny_run()
    # float16 is a matter of CUDA devices; the loss scale that belongs to it runs everywhere.
    step = TrainingStep(Line(1e3), config, CPU, torch.float16, Group(), Monitor())
    step.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**126)
    batch = torch.ones(2, 1, 1, 1)
    outcomes = [step.run(number, batch, []) for number in range(12)]
    overflows = [outcome.is_overflow for outcome in outcomes]
    assert overflows == sorted(overflows, reverse=True)
    assert 5 < sum(overflows) < 12
    assert outcomes[-1].is_finite
    resumed = TrainingStep(Line(1e3), config, CPU, torch.float16, Group(), Monitor())
    resumed.load(step.state())
    assert resumed.scaler.state_dict() == step.scaler.state_dict()
    assert resumed.scaler.get_scale() == 2.0 ** (126 - sum(overflows))


def test_float16_without_cuda_is_one_sentence() -> None:
    with pytest.raises(UserError, match="float16 precision needs a CUDA device"):
        arithmetic("float16", "cpu")
    assert arithmetic("float16", "cuda:0") == torch.float16
    assert arithmetic("bfloat16", "cpu") == torch.bfloat16


class Late:
    """The first image only up to a step, the second one only from there on."""

    def __init__(self, step: int) -> None:
        self.step = step

    def probabilities(self, step: int) -> NDArray[np.float64]:
        return np.array([1.0, 0.0]) if step < self.step else np.array([0.0, 1.0])


def test_losses_that_stay_no_numbers_end_the_run_and_keep_the_last_good_weights(
    tmp_path: Path,
) -> None:
    good, broken = square_image(1), square_image(2)
    broken.name = "broken.png"
    broken.pixels[:] = np.nan
    config, listener = tiny_run(steps=20, validate_every=7), Listener()
    trainer = Trainer(config, [good, broken], [good], tmp_path, listener, sampling=Late(4))
    with pytest.raises(UserError) as told:
        trainer.fit()
    assert str(told.value).startswith(
        "the loss was not a number in steps 5 to 9, the last with crops of broken.png; the weights "
        "did not change and those of step 4 are kept: look at these images"
    )
    assert sum("left out" in line and "broken.png" in line for line in listener.notices) == 4
    # Neither the checkpoints of steps 6 and 8 nor the validation of step 7 were written over it.
    state = torch.load(tmp_path / "last.pt")
    assert state["progress"]["step"] == 4
    assert all(torch.isfinite(v).all() for v in state["network"].values())
    # Without that image the run goes on.
    later = Trainer(tiny_run(), [good], [good], tmp_path, Monitor())
    assert later.resume()
    assert later.fit().steps == 8


def test_a_bad_batch_now_and_then_is_left_out_and_told(tmp_path: Path) -> None:
    images = squares(4)
    images[3].pixels[:] = np.nan
    listener = Listener()
    trainer = Trainer(tiny_run(batch_size=1, steps=12), images, images[:1], tmp_path, listener)
    result = trainer.fit()
    assert result.steps == 12
    bad = [line for line in listener.notices if "left out" in line]
    assert 0 < len(bad) < 12
    assert all("3.png" in line for line in bad)
    assert all(np.isfinite(v) for row in trainer.progress.rows for v in row.values())
