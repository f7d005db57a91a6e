"""Which of several processes of a run this is, as whoever started them says. Knows no torch."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sartorius.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Place:
    """Which of how many processes this is.

    Attributes
    ----------
    rank, size
        Number of this process, from 0, and how many there are.
    local_rank
        Number of this process on its computer, which is the number of its graphics card.
    address, port
        Where the first process listens.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    address: str = "127.0.0.1"
    port: int = 29500

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Place:
        """As ``torchrun`` says it, else as SLURM's ``srun`` does, else alone.

        Parameters
        ----------
        environment
            Variables; those of this process when None.

        Raises
        ------
        UserError
            When a variable is not a number.
        """
        known = os.environ if environment is None else environment
        if "RANK" in known and "WORLD_SIZE" in known:
            place = cls(
                _number(known, "RANK"), _number(known, "WORLD_SIZE"), _number(known, "LOCAL_RANK")
            )
        elif _in_slurm_step(known):
            tasks = "SLURM_STEP_NUM_TASKS" if "SLURM_STEP_NUM_TASKS" in known else "SLURM_NTASKS"
            place = cls(
                _number(known, "SLURM_PROCID"),
                _number(known, tasks),
                _number(known, "SLURM_LOCALID"),
                _first_host(known.get("SLURM_STEP_NODELIST", known.get("SLURM_JOB_NODELIST", ""))),
                # Jobs that share a computer must not share a port.
                20000 + _number(known, "SLURM_JOB_ID") % 20000,
            )
        else:
            return cls()
        if place.size < 2:
            return cls()
        address = known.get("MASTER_ADDR", place.address)
        port = _number(known, "MASTER_PORT") if "MASTER_PORT" in known else place.port
        return cls(place.rank, place.size, place.local_rank, address, port)


def _number(known: Mapping[str, str], name: str) -> int:
    try:
        return int(known.get(name, "0"))
    except ValueError:
        raise UserError(
            f"the environment variable {name} is {known[name]!r}, expected a number: start the "
            "processes with torchrun or srun"
        ) from None


def _in_slurm_step(known: Mapping[str, str]) -> bool:
    """Whether ``srun`` started this; a batch script itself has the same variables but no step."""
    started = {"SLURM_STEP_ID", "SLURM_STEPID", "SLURM_STEP_NUM_TASKS", "MASTER_ADDR"}
    return {"SLURM_PROCID", "SLURM_NTASKS"} <= set(known) and not started.isdisjoint(known)


def _first_host(hosts: str) -> str:
    """First of a list as SLURM writes it, such as ``node[07-09,12],other3``."""
    parts = re.match(r"([^\[,]+)(?:\[([^\],-]+)[^\]]*\]([^,\[]*))?", hosts)
    return "".join(part or "" for part in parts.groups()) if parts else "127.0.0.1"
