"""The fit loop: steps, running average, validation, checkpoints, early stopping, resume."""

from __future__ import annotations

import csv
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from napari_sartorius.core.errors import UserError
from napari_sartorius.inference.device import choose_device, choose_precision
from napari_sartorius.io.atomic import atomic_write, remove_leftovers, write_text
from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.network import Network
from napari_sartorius.training.average import WeightAverage
from napari_sartorius.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from napari_sartorius.training.crops import CropSampler
from napari_sartorius.training.images import AnnotatedImage, sampling_weights
from napari_sartorius.training.optimiser import learning_rate, make_optimiser
from napari_sartorius.training.run_files import STOP_FILE
from napari_sartorius.training.sampling import FixedSampling
from napari_sartorius.training.validate import ValidationResult, validate
from napari_sartorius.training.weights import transfer_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.nn.targets import Target
    from napari_sartorius.training.config import TrainConfig
    from napari_sartorius.training.sampling import Sampling

_MOST_BAD_STEPS = 20


@dataclass(frozen=True)
class FitResult:
    """Where the best weights are, at which step, their validation score, steps done in all."""

    best: Path
    best_step: int
    best_score: float
    steps: int
    stopped_early: bool


@dataclass(frozen=True)
class ValidationEvent:
    """What a validation found, told when the checkpoint that holds it is on the disk.

    Attributes
    ----------
    step
        Steps done.
    row
        The row of the curve.
    is_best
        Whether these weights are the best so far.
    network
        The averaged weights that were validated, in evaluation mode.
    result
        Predictions and figures; None when there are no validation images.
    """

    step: int
    row: dict[str, float]
    is_best: bool
    network: Network
    result: ValidationResult | None


class Trainer:
    """One run in one folder.

    Parameters
    ----------
    config
        The whole configuration; written to ``config.json`` in the folder.
    training, validation
        Packed images.
    folder
        Holds ``last.pt`` (resume), ``best.pt`` (averaged weights of the best validation) and
        ``curve.csv`` (one row per report). A file ``stop`` in it ends the run.
    monitor
        Progress, notices and cancel.
    initial
        Weights to start from where they fit.
    sampling
        Probability of each training image at any step; as `config.balance` says when None.
    on_validated
        Called after each validation.
    """

    def __init__(
        self,
        config: TrainConfig,
        training: Sequence[AnnotatedImage],
        validation: Sequence[AnnotatedImage],
        folder: Path,
        monitor: Monitor,
        initial: dict[str, Tensor] | None = None,
        sampling: Sampling | None = None,
        on_validated: Callable[[ValidationEvent], None] | None = None,
    ) -> None:
        if not training:
            raise UserError("there is no annotated image to train on; check the split names")
        self.config, self.folder, self.monitor = config, folder, monitor
        self.validation, self._on_validated = validation, on_validated
        folder.mkdir(parents=True, exist_ok=True)
        for place in (folder, folder / "model"):
            remove_leftovers(place)
        if config.threads:
            torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        choice = choose_device(config.device)
        if choice.fallback:
            monitor.notice(choice.reason)
        self.device = torch.device(choice.device)
        self.dtype = _dtype(config, choice.device)
        self.network: Network = build_network(config.architecture)
        if initial is not None:
            monitor.notice(transfer_weights(self.network, initial).sentence())
        self.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = WeightAverage(self.network, config.ema)
        self.optimiser = make_optimiser(self.network, config)
        sampling = sampling or FixedSampling(
            sampling_weights(
                training, config.balance, config.balance_field, config.architecture.num_classes
            )
        )
        self.sampler = CropSampler(training, sampling, config.crop, config.augment, config.seed)
        self.progress = Progress()

    def resume(self) -> bool:
        """Continue from ``last.pt`` when it is there."""
        path = self.folder / "last.pt"
        if not path.exists():
            return False
        self.progress = load_checkpoint(path, self.network, self.average, self.optimiser)
        return True

    def fit(self) -> FitResult:
        """Train to the last step or until validation stops improving."""
        config, progress = self.config, self.progress
        write_text(self.folder / "config.json", config.model_dump_json(indent=1))
        if config.validate_first and not progress.rows:
            self._validate()
        bad_steps = 0
        stopped_early = progress.validations_since_best >= config.patience
        with ThreadPoolExecutor(1) as prefetch:
            ahead = prefetch.submit(self.sampler.batch, progress.step, config.batch_size)
            while progress.step < config.steps and not stopped_early:
                began = time.perf_counter()
                self.monitor.check()
                batch, targets = ahead.result()
                ahead = prefetch.submit(self.sampler.batch, progress.step + 1, config.batch_size)
                losses = self._step(batch, targets)
                bad_steps = bad_steps + 1 if losses is None else 0
                if bad_steps >= _MOST_BAD_STEPS:
                    raise UserError(
                        f"the loss was not a number {bad_steps} times in a row; lower the "
                        "learning rate or use float32 precision, then resume"
                    )
                progress.add_step(losses or {}, time.perf_counter() - began)
                words = f"training, step {progress.step} of {config.steps}"
                self.monitor.progress(words, progress.step / config.steps)
                asked_to_stop = (self.folder / STOP_FILE).exists()
                at_end = progress.step == config.steps or asked_to_stop
                if progress.step % config.validate_every == 0 or at_end:
                    stopped_early = self._validate() or asked_to_stop
                if progress.step % config.checkpoint_every == 0 or at_end or stopped_early:
                    self._save()
        return FitResult(
            self.folder / "best.pt",
            progress.best_step,
            progress.best_score,
            progress.step,
            stopped_early,
        )

    def _step(self, batch: Tensor, targets: list[Target]) -> dict[str, float] | None:
        """One optimiser step; None when the loss was not finite and nothing was changed."""
        self.network.train()
        rate = learning_rate(self.progress.step, self.config)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        batch = batch.to(self.device, memory_format=torch.channels_last)
        targets = [target.to(self.device) for target in targets]
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            losses = self.network.losses(batch, targets)
        total = torch.stack(list(losses.values())).sum()
        if not torch.isfinite(total):
            return None
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), self.config.gradient_clip)
        self.optimiser.step()
        self.average.update(self.network, self.progress.step)
        return {name: float(value.detach()) for name, value in losses.items()}

    def _validate(self) -> bool:
        """Score the averaged weights, keep the best; True when it is time to stop."""
        progress = self.progress
        row = {"step": float(progress.step), **progress.take_means()}
        row["learning_rate"] = learning_rate(max(progress.step - 1, 0), self.config)
        result = None
        if self.validation:
            result = validate(
                self.average.network, self.validation, self.monitor, self.device, self.dtype
            )
            row["score"] = result.score
            row |= {f"score_{k}": v for k, v in result.per_category.items()}
            row |= {f"threshold_{k}": v for k, v in result.thresholds.items()}
            improved = result.score > progress.best_score
        else:
            improved = True
        progress.rows.append(row)
        _write_curve(self.folder / "curve.csv", progress.rows)
        if improved:
            progress.best_score = row.get("score", 0.0)
            progress.best_step = progress.step
            progress.validations_since_best = 0
            with atomic_write(self.folder / "best.pt") as temporary:
                torch.save(self.average.network.state_dict(), temporary)
        else:
            progress.validations_since_best += 1
        self.monitor.notice(f"step {progress.step}: " + json.dumps(_rounded(row)))
        if self._on_validated is not None:
            self._save()
            self._on_validated(
                ValidationEvent(progress.step, row, improved, self.average.network, result)
            )
        return progress.validations_since_best >= self.config.patience

    def _save(self) -> None:
        save_checkpoint(
            self.folder / "last.pt", self.network, self.average, self.optimiser, self.progress
        )


def _dtype(config: TrainConfig, device: str) -> torch.dtype:
    """Arithmetic of a step."""
    if config.precision == "float16":
        return torch.float16
    precision = choose_precision(config.precision, device)
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def _rounded(row: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.4g}") for name, value in row.items()}


def _write_curve(path: Path, rows: list[dict[str, float]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    with atomic_write(path) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, names)
        writer.writeheader()
        writer.writerows(rows)
