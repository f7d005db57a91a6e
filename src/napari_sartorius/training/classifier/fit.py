"""The loop that teaches an image classifier: steps, average, validation, checkpoints, resume."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from napari_sartorius.core.errors import UserError
from napari_sartorius.inference.device import choose_device
from napari_sartorius.inference.memory import is_out_of_memory
from napari_sartorius.io.atomic import remove_leftovers, write_text
from napari_sartorius.nn.build import build_network
from napari_sartorius.training.bad_steps import BadSteps
from napari_sartorius.training.checkpoint import BROKEN, Checkpoints, Progress
from napari_sartorius.training.classifier.data import TypedSampler
from napari_sartorius.training.curve_file import write_curve
from napari_sartorius.training.distributed import Group
from napari_sartorius.training.optimiser import learning_rate
from napari_sartorius.training.requests import Requests
from napari_sartorius.training.run_files import (
    BEST_FILE,
    CONFIG_FILE,
    CURVE_FILE,
    MODEL_FOLDER,
)
from napari_sartorius.training.step import TrainingStep, arithmetic
from napari_sartorius.training.weights import transfer_weights

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.nn.classifier import ImageClassifier
    from napari_sartorius.training.classifier.config import ClassifierConfig
    from napari_sartorius.training.classifier.data import TypedImage

# Images that validate at once; the result does not depend on it.
_AT_ONCE = 16


@dataclass(frozen=True, eq=False)
class Judgement:
    """How a classifier does on images that it has not learnt from.

    Attributes
    ----------
    confusion
        (K, K) int64 images of true type (row) that are taken for a type (column).
    loss
        Mean cross-entropy.
    """

    confusion: NDArray[np.int64]
    loss: float

    @property
    def accuracy(self) -> float:
        """Share of images whose type is told rightly, 0..1."""
        return float(np.trace(self.confusion) / max(1, self.confusion.sum()))

    def recall(self, kind: int) -> float:
        """Share of the images of one type that is told rightly; not-a-number without any."""
        count = int(self.confusion[kind].sum())
        return float(self.confusion[kind, kind] / count) if count else float("nan")


@torch.inference_mode()
def judge(
    network: ImageClassifier, images: Sequence[TypedImage], device: torch.device, dtype: torch.dtype
) -> Judgement:
    """Compare what a classifier says of images with their types."""
    network.eval()
    classes = network.config.num_classes
    confusion = np.zeros((classes, classes), np.int64)
    loss = 0.0
    for start in range(0, len(images), _AT_ONCE):
        part = images[start : start + _AT_ONCE]
        groups: dict[tuple[int, ...], list[TypedImage]] = {}
        for image in part:
            groups.setdefault(image.pixels.shape, []).append(image)
        for alike in groups.values():
            batch = torch.from_numpy(np.stack([one.pixels for one in alike]).astype(np.float32))
            labels = torch.tensor([one.label for one in alike])
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                logits = network(batch.to(device)).float().cpu()
            loss += float(nn.functional.cross_entropy(logits, labels, reduction="sum"))
            np.add.at(confusion, (labels.numpy(), logits.argmax(dim=1).numpy()), 1)
    return Judgement(confusion, loss / max(1, len(images)))


class ClassifierTrainer:
    """One run in one folder, with the files of every run.

    Parameters
    ----------
    config
        The whole configuration; written to ``config.json``.
    training, validation
        Packed images. Without the second the last weights are the result.
    folder
        Holds ``last.pt``, ``best.pt`` and ``curve.csv``. A file ``stop`` in it ends the run.
    monitor
        Progress, notices and cancel.
    initial
        Weights to start from where they fit.
    """

    def __init__(
        self,
        config: ClassifierConfig,
        training: Sequence[TypedImage],
        validation: Sequence[TypedImage],
        folder: Path,
        monitor: Monitor,
        initial: dict[str, Tensor] | None = None,
    ) -> None:
        self.config, self.folder, self.monitor = config, folder, monitor
        self.validation = validation
        folder.mkdir(parents=True, exist_ok=True)
        for place in (folder, folder / MODEL_FOLDER):
            remove_leftovers(place)
        if config.threads:
            torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        choice = choose_device(config.device)
        if choice.fallback:
            monitor.notice(choice.reason)
        self.device = torch.device(choice.device)
        self.dtype = arithmetic(config.precision, choice.device)
        self.network = cast("ImageClassifier", build_network(config.architecture))
        if initial is not None:
            monitor.notice(transfer_weights(self.network, initial).sentence())
        self.network.to(self.device)
        self._shared = config.train_config()
        self.step = TrainingStep(
            self.network, self._shared, self.device, self.dtype, Group(), monitor
        )
        self.sampler = TypedSampler(training, config)
        self.progress = Progress()
        self._saved: int | None = None
        self._bad_steps = BadSteps(self.sampler.names, monitor)
        self._checkpoints = Checkpoints(folder, monitor)
        self._requests = Requests(folder, monitor)

    def resume(self) -> bool:
        """Continue from ``last.pt`` when it is there.

        Raises
        ------
        UserError
            When it is damaged or belongs to another network.
        """
        state = self._checkpoints.load()
        if state is None:
            return False
        try:
            self.step.load(state)
            self.progress = Progress(**state["progress"])
        except BROKEN as error:
            raise self._checkpoints.unusable(error) from error
        self._saved = self.progress.step
        return True

    def fit(self) -> Path:
        """Teach to the last step or until validation stops improving; gives the best weights."""
        config, progress = self.config, self.progress
        write_text(self.folder / CONFIG_FILE, config.model_dump_json(indent=1))
        stopped = progress.validations_since_best >= config.patience
        while progress.step < config.steps and not stopped:
            self.monitor.check()
            began = time.perf_counter()
            outcome = self.step.run(progress.step, *self.sampler.batch(progress.step))
            progress.add_step(outcome.losses, time.perf_counter() - began)
            self._bad_steps.note(progress.step - 1, outcome, self._saved)
            words = f"training, step {progress.step} of {config.steps}"
            self.monitor.progress(words, progress.step / config.steps)
            self._requests.wait_while_paused(progress.step, self._save)
            asked = self._requests.stop_asked()
            if progress.step == config.steps or asked:
                stopped = self._validate() or asked
            elif self._bad_steps.in_doubt:
                continue  # what is on the disk stays the place to go on from
            elif progress.step % config.validate_every == 0:
                stopped = self._validate()
            elif progress.step % config.checkpoint_every == 0:
                self._save()
        self._checkpoints.finish()
        self._requests.forget_stop()
        return self.folder / BEST_FILE

    def _validate(self) -> bool:
        """Judge the averaged weights, keep the best; True when it is time to stop."""
        progress = self.progress
        row = {"step": float(progress.step), **progress.take_means()}
        row["learning_rate"] = learning_rate(max(progress.step - 1, 0), self._shared)
        improved = True
        if self.validation:
            found = self._judged()
            row |= {"score": found.accuracy, "validation_loss": found.loss}
            best = progress.row_of_best()
            improved = not best or (row["score"], -row["validation_loss"]) > (
                best["score"],
                -best["validation_loss"],
            )
        progress.rows.append(row)
        if improved:
            progress.best_score, progress.best_step = row.get("score", 0.0), progress.step
            progress.validations_since_best = 0
        else:
            progress.validations_since_best += 1
        write_curve(self.folder / CURVE_FILE, progress.rows)
        self._save(is_best=improved)
        if self.validation:
            self.monitor.notice(
                f"step {progress.step}: {row['score']:.1%} of the validation images right, "
                f"loss {row['validation_loss']:.3g}"
            )
        return progress.validations_since_best >= self.config.patience

    def _judged(self) -> Judgement:
        try:
            return judge(self.average, self.validation, self.device, self.dtype)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise UserError(
                f"the validation images do not fit into the memory of {self.device}: choose a "
                "smaller network or close other programs, then resume"
            ) from error

    @property
    def average(self) -> ImageClassifier:
        """The network with averaged weights."""
        return cast("ImageClassifier", self.step.average.network)

    def _save(self, is_best: bool = False) -> None:
        state = self.step.state()
        if self._checkpoints.save(state, self.progress, self.average, is_best=is_best):
            self._saved = self.progress.step
