"""Two processes do what one does with a batch of twice the size; and who starts them is heard."""

from __future__ import annotations

import csv
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Cancelled
from napari_sartorius.training import distributed
from napari_sartorius.training.distributed import Group, join
from napari_sartorius.training.place import Place
from two_processes import exact_config, fit, usual_config

if TYPE_CHECKING:
    from napari_sartorius.training.config import TrainConfig
    from napari_sartorius.training.fit import Trainer


def test_torchrun_is_understood() -> None:
    environment = {
        "RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1",
        "MASTER_ADDR": "node7", "MASTER_PORT": "1234",
        "SLURM_PROCID": "0", "SLURM_NTASKS": "2", "SLURM_STEP_ID": "0",
    }  # fmt: skip
    assert Place.from_environment(environment) == Place(5, 8, 1, "node7", 1234)


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("node[07-09,12]", "node07"),
        ("a1,b2", "a1"),
        ("gpu[3,5]-ib", "gpu3-ib"),
        ("rack2-n004", "rack2-n004"),
    ],
)
def test_slurm_is_understood(nodes: str, first: str) -> None:
    environment = {
        "SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_LOCALID": "1", "SLURM_STEP_ID": "0",
        "SLURM_JOB_NODELIST": nodes, "SLURM_JOB_ID": "4242",
    }  # fmt: skip
    assert Place.from_environment(environment) == Place(3, 4, 1, first, 24242)
    chosen = environment | {"MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29501"}
    assert Place.from_environment(chosen) == Place(3, 4, 1, "10.0.0.1", 29501)


def test_a_program_on_its_own_is_alone() -> None:
    batch_script = {"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_LOCALID": "0"}
    one_task = {"RANK": "0", "WORLD_SIZE": "1"}
    for environment in ({}, batch_script, one_task):
        assert Place.from_environment(environment) == Place()
    group = join()
    assert (group.rank, group.size, group.is_first) == (0, 1, True)
    with pytest.raises(UserError, match="WORLD_SIZE is 'two', expected a number"):
        Place.from_environment({"RANK": "0", "WORLD_SIZE": "two"})


def test_alone_a_group_changes_nothing() -> None:
    group = Group()
    losses = torch.tensor([1.0, 2.0])
    assert group.add_up([], [], losses) is losses
    assert group.any(True)
    assert not group.any(False)
    assert group.decide(lambda: True)
    assert group.share("thing") == "thing"
    assert group.first_does(lambda: 1, lambda: 2) == 1
    assert group.device("auto") == "auto"

    def cancelled() -> bool:
        raise Cancelled

    with pytest.raises(Cancelled):
        group.decide(cancelled)


def test_a_process_that_finds_no_others_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "_TO_START", timedelta(seconds=1))
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "9")  # where nobody listens
    with pytest.raises(UserError, match="process 1 of 2 did not find the others at 127"):
        join(Place(1, 2, 1, "127.0.0.1", 9))


def _curve(folder: Path) -> list[dict[str, float]]:
    with (folder / "curve.csv").open(newline="") as stream:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(stream)]


@pytest.mark.skipif(sys.platform == "win32", reason="torchrun needs libuv there")
def test_two_processes_are_one_with_twice_the_batch(tmp_path: Path) -> None:
    program = Path(__file__).parents[1] / "two_processes.py"
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*launcher, "--nproc-per-node", "2", str(program), str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # A cancel in the first process ended both, and the run went on to its end later.
    assert (tmp_path / "end-0.txt").read_text() == "2 cancelled"
    assert (tmp_path / "end-1.txt").read_text() == "2 cancelled"
    assert _curve(tmp_path / "resumed") == _without_seconds(tmp_path)

    def alone(config: TrainConfig) -> Trainer:
        doubled = config.model_copy(update={"batch_size": 2 * config.batch_size})
        return fit(doubled, tmp_path / f"alone-{config.steps}")

    # Where nothing is drawn at random in the network, only the order of sums differs.
    one = alone(exact_config())
    _assert_close(one.progress.rows, _curve(tmp_path / "exact"), 1e-3)
    for name in ("exact-0.pt", "exact-1.pt"):
        torch.testing.assert_close(
            torch.load(tmp_path / name), one.network.state_dict(), rtol=1e-3, atol=1e-4
        )
    # One process without memory lets all take smaller portions, with the same result.
    _assert_close(one.progress.rows, _curve(tmp_path / "memory"), 1e-2)
    assert "1 at a time" in (tmp_path / "memory-0.txt").read_text()
    # As networks usually learn, each process samples its own boxes and normalises its own crops.
    usual = alone(usual_config())
    for ours, theirs in zip(usual.progress.rows, _curve(tmp_path / "usual"), strict=True):
        total, wanted = (
            sum(v for k, v in r.items() if k.startswith("loss_")) for r in (theirs, ours)
        )
        assert total == pytest.approx(wanted, rel=0.03)
    # Statistics are averaged too, and only the first process talks.
    states = [torch.load(tmp_path / f"usual-{rank}.pt") for rank in (0, 1)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert (tmp_path / "usual-0.txt").exists()
    assert not (tmp_path / "usual-1.txt").exists()


def _total(row: dict[str, float]) -> float:
    return sum(value for name, value in row.items() if name.startswith("loss_"))


def _without_seconds(folder: Path) -> list[dict[str, float]]:
    """The curve of the run that nobody cancelled, with the seconds of the one that was."""
    rows = zip(_curve(folder / "usual"), _curve(folder / "resumed"), strict=True)
    return [row | {"seconds_per_step": other["seconds_per_step"]} for row, other in rows]


def _assert_close(
    ours: list[dict[str, float]], theirs: list[dict[str, float]], tolerance: float
) -> None:
    for one, other in zip(ours, theirs, strict=True):
        for name in (name for name in one if name.startswith("loss_")):
            assert other[name] == pytest.approx(one[name], rel=tolerance), (one["step"], name)
