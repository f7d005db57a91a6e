"""Started by torchrun: both processes do the same runs together. Usage: FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from napari_sartorius.core.progress import Cancelled, Monitor
from napari_sartorius.training.config import FreezeConfig
from napari_sartorius.training.distributed import join
from napari_sartorius.training.fit import Trainer
from tiny_runs import squares, tiny_network, tiny_run

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sartorius.nn.targets import Target
    from napari_sartorius.training.config import TrainConfig


def exact_config() -> TrainConfig:
    """Every box is learnt from and no statistics are taken: nothing depends on who draws what."""
    return tiny_run(
        architecture=tiny_network(sampled=4000),
        freeze=FreezeConfig(normalisation=True),
        steps=3,
        validate_every=1,
    )


def usual_config() -> TrainConfig:
    """Boxes are sampled and batches normalised, as networks usually learn."""
    return tiny_run(steps=6, validate_every=3)


class Listener(Monitor):
    """Writes down what is said in its process, and cancels in a step."""

    def __init__(self, place: Path, cancel_after: int = 10**9) -> None:
        self.place, self.left = place, cancel_after

    def notice(self, message: str) -> None:
        with self.place.open("a") as stream:
            stream.write(message + "\n")

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Cancelled


def make(config: TrainConfig, folder: Path, monitor: Monitor | None = None) -> Trainer:
    """The same images in every process; without validation where that takes most of the time."""
    images = squares(5)
    validation = images[4:] if config.validate_every > 1 else []
    return Trainer(config, images[:4], validation, folder, monitor or Monitor())


def fit(config: TrainConfig, folder: Path, monitor: Monitor | None = None) -> Trainer:
    trainer = make(config, folder, monitor)
    trainer.resume()
    trainer.fit()
    return trainer


def short_of_memory(folder: Path, rank: int) -> None:
    """The second process alone has no memory for two crops."""
    trainer = make(exact_config(), folder, Listener(folder.with_name(f"memory-{rank}.txt")))
    losses = trainer.network.losses

    def limited(batch: Tensor, targets: list[Target]) -> dict[str, Tensor]:
        if rank == 1 and len(batch) > 1:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        return losses(batch, targets)

    trainer.network.losses = limited  # type: ignore[method-assign]
    trainer.fit()
    assert trainer.step.portion == 1


def cancelled(folder: Path) -> str:
    """The first process is cancelled after some steps, the second one hears of it."""
    try:
        fit(usual_config(), folder, Listener(folder.with_name("cancelled.txt"), 6))
    except Cancelled:
        return "cancelled"
    return "finished"


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    group = join()
    exact = fit(exact_config(), folder / "exact")
    torch.save(exact.network.state_dict(), folder / f"exact-{group.rank}.pt")
    usual = fit(usual_config(), folder / "usual", Listener(folder / f"usual-{group.rank}.txt"))
    torch.save(usual.network.state_dict(), folder / f"usual-{group.rank}.pt")
    short_of_memory(folder / "memory", group.rank)
    outcome = cancelled(folder / "resumed")
    fit(usual_config(), folder / "resumed")
    (folder / f"end-{group.rank}.txt").write_text(f"{group.size} {outcome}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
