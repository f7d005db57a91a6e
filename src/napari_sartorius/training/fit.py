"""The fit loop: steps, validation, checkpoints, early stopping, resume."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import torch

from napari_sartorius.core.errors import UserError
from napari_sartorius.inference.device import choose_device
from napari_sartorius.inference.memory import is_out_of_memory
from napari_sartorius.io.atomic import remove_leftovers, write_text
from napari_sartorius.nn.build import build_network
from napari_sartorius.training.bad_steps import BadSteps
from napari_sartorius.training.checkpoint import BROKEN, Checkpoints, Progress
from napari_sartorius.training.crops import CropSampler
from napari_sartorius.training.curve_file import FIGURES, in_words, write_curve
from napari_sartorius.training.distributed import heard, join
from napari_sartorius.training.fit_results import FitResult, ValidationEvent
from napari_sartorius.training.images import AnnotatedImage, sampling_weights
from napari_sartorius.training.optimiser import learning_rate
from napari_sartorius.training.requests import Requests
from napari_sartorius.training.run_files import BEST_FILE, CONFIG_FILE, CURVE_FILE
from napari_sartorius.training.sampling import FixedSampling
from napari_sartorius.training.step import TrainingStep, arithmetic
from napari_sartorius.training.validate import Looks, ValidationResult, validate
from napari_sartorius.training.weights import transfer_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import Tensor

    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.nn.network import Network
    from napari_sartorius.nn.targets import Target
    from napari_sartorius.training.config import TrainConfig
    from napari_sartorius.training.sampling import Sampling
    from napari_sartorius.training.step import StepOutcome


class Trainer:
    """One run in one folder, alone or as one of several processes (see `distributed.join`).

    Parameters
    ----------
    config
        The whole configuration; written to ``config.json`` in the folder.
    training, validation
        Packed images.
    folder
        Holds ``last.pt`` (resume), ``best.pt`` (averaged weights of the best validation) and
        ``curve.csv`` (one row per validation). A file ``stop`` in it ends the run, a file ``pause``
        lets it wait.
    monitor
        Progress, notices and cancel.
    initial
        Weights to start from where they fit.
    sampling
        Probability of each training image at any step; as `config.balance` says when None.
    on_validated
        Called after each validation, in the first process.
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
        self.group = join()
        self.config, self.folder = config, folder
        self.monitor = monitor = heard(monitor)
        self.validation, self._on_validated = validation, on_validated
        if self.group.is_first:
            folder.mkdir(parents=True, exist_ok=True)
            for place in (folder, folder / "model"):
                remove_leftovers(place)
        if config.threads:
            torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        choice = choose_device(self.group.device(config.device))
        if choice.fallback:
            monitor.notice(choice.reason)
        self.device = torch.device(choice.device)
        self.dtype = arithmetic(config.precision, choice.device)
        self.network: Network = build_network(config.architecture)
        if initial is not None:
            monitor.notice(transfer_weights(self.network, initial).sentence())
        self.group.same_weights(self.network)
        self.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.step = TrainingStep(self.network, config, self.device, self.dtype, self.group, monitor)
        self.average, self.optimiser = self.step.average, self.step.optimiser
        sampling = sampling or FixedSampling(
            sampling_weights(
                training, config.balance, config.balance_field, config.architecture.num_classes
            )
        )
        self.sampler = CropSampler(training, sampling, config.crop, config.augment, config.seed)
        self.progress = Progress()
        self._saved: int | None = None
        self._share = config.batch_size * config.accumulate
        self._bad_steps = BadSteps(self._image_names, monitor)
        self._checkpoints = Checkpoints(folder, monitor)
        self._requests = Requests(folder, monitor)

    def resume(self) -> bool:
        """Continue from ``last.pt`` when it is there.

        Raises
        ------
        UserError
            When it is damaged or belongs to another architecture.
        """
        state = self.group.share(self.group.first_does(self._checkpoints.load, lambda: None))
        if state is None:
            return False
        try:
            self.step.load(state)
            self.progress = Progress(**state["progress"])
        except BROKEN as error:
            raise self.group.shared(self._checkpoints.unusable(error)) from error
        self._saved = self.progress.step
        # The run may have been told to go by another figure since then.
        best = self.progress.row_of_best()
        self.progress.best_score = best.get(self._figure, self.progress.best_score)
        return True

    def fit(self) -> FitResult:
        """Train to the last step or until validation stops improving."""
        config, progress = self.config, self.progress
        stopped = self.group.decide(self._begin)
        with ThreadPoolExecutor(1) as prefetch:
            ahead = prefetch.submit(self._draw, progress.step)
            while progress.step < config.steps and not stopped:
                began = time.perf_counter()
                batch, targets = ahead.result()
                if progress.step + 1 < config.steps:
                    ahead = prefetch.submit(self._draw, progress.step + 1)
                outcome = self.step.run(progress.step, batch, targets)
                progress.add_step(outcome.losses, time.perf_counter() - began)
                stopped = self.group.decide(partial(self._after_step, outcome))
        self.group.decide(self._end)
        best = self.folder / BEST_FILE
        return FitResult(best, progress.best_step, progress.best_score, progress.step, stopped)

    def _begin(self) -> bool:
        """Write what a run begins with; True when it had already ended."""
        self.monitor.check()
        write_text(self.folder / CONFIG_FILE, self.config.model_dump_json(indent=1))
        if not self.validation:
            self.monitor.notice(
                "there are no validation images: the last weights are kept, not the best ones"
            )
        if self.progress.rows:
            self._write_curve()
        elif self.config.validate_first:
            self._validate()
        return self.progress.validations_since_best >= self.config.patience

    def _end(self) -> bool:
        self._checkpoints.finish()
        self._requests.forget_stop()
        return True

    def _draw(self, step: int) -> tuple[Tensor, list[Target]]:
        """Crops of this process for a step."""
        return self.sampler.batch(step, self._share, self._share * self.group.rank)

    def _image_names(self, step: int) -> list[str]:
        return self.sampler.names(step, self._share * self.group.size)

    def _after_step(self, outcome: StepOutcome) -> bool:
        """All that the first process does between two steps; True when it is time to stop."""
        config, step = self.config, self.progress.step
        self._bad_steps.note(step - 1, outcome, self._saved)
        self.monitor.progress(f"training, step {step} of {config.steps}", step / config.steps)
        if step == config.steps:
            return self._validate()
        if self._routine(step):
            return True
        self._requests.wait_while_paused(step, self._save)
        if not self._requests.stop_asked():
            self.monitor.check()
            return False
        if not self.progress.rows or self.progress.rows[-1]["step"] < step:
            self._validate()
        return True

    def _routine(self, step: int) -> bool:
        """Validate or save when it is time to; True when nothing improves any more."""
        if self._bad_steps.in_doubt:
            return False  # what is on the disk stays the place to go on from
        if step % self.config.validate_every == 0:
            return self._validate()
        if step % self.config.checkpoint_every == 0:
            self._save()
        return False

    @property
    def _figure(self) -> str:
        """Column of the curve that says what is best."""
        return FIGURES[self.config.select_by]

    def _validate(self) -> bool:
        """Score the averaged weights, keep the best; True when it is time to stop."""
        progress = self.progress
        row = {"step": float(progress.step), **progress.take_means()}
        row["learning_rate"] = learning_rate(max(progress.step - 1, 0), self.config)
        result = self._measured() if self.validation else None
        if result is not None:
            row |= {"score": result.score, "ap50": result.ap50, "ap": result.ap}
            row |= {f"score_{k}": v for k, v in result.per_category.items()}
            row |= {f"threshold_{k}": v for k, v in result.thresholds.items()}
        is_best = result is None or row[self._figure] > progress.best_score
        progress.rows.append(row)
        if is_best:
            progress.best_score = row.get(self._figure, 0.0)
            progress.best_step = progress.step
            progress.validations_since_best = 0
        else:
            progress.validations_since_best += 1
        self._write_curve()
        self._save(is_best=is_best)
        self.monitor.notice(in_words(row, self._figure, progress.row_of_best()))
        if self._on_validated is not None:
            self._on_validated(
                ValidationEvent(progress.step, row, is_best, self.average.network, result)
            )
        return progress.validations_since_best >= self.config.patience

    def _measured(self) -> ValidationResult:
        try:
            return validate(
                self.average.network,
                self.validation,
                self.monitor,
                self.device,
                self.dtype,
                # Later ones are part of the steps' time.
                None if self.progress.step else Looks(len(self.validation), self.monitor),
            )
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise UserError(
                f"the validation images do not fit into the memory of {self.device}: cut them "
                "into smaller ones or close other programs, then resume"
            ) from error

    def _save(self, is_best: bool = False) -> None:
        state, network = self.step.state(), self.average.network
        if self._checkpoints.save(state, self.progress, network, is_best=is_best):
            self._saved = self.progress.step

    def _write_curve(self) -> None:
        try:
            write_curve(self.folder / CURVE_FILE, self.progress.rows)
        except UserError as error:
            self.monitor.notice(f"{error} Training goes on.")
