"""The program as processes of their own: started, stopped in any way, and asked how they ended."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_SOURCE = Path(__file__).resolve().parents[2] / "src"
# A job in the background of a shell ignores Ctrl+C, and so would the processes that it starts.
_CODE = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from napari_sartorius.cli.main import app; app(prog_name='napari-sartorius')"
)


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start the program in a session of its own, on one thread, so that results repeat."""
    environment = {**os.environ, "PYTHONPATH": str(_SOURCE), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", _CODE, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )


def run_in_fork(arguments: list[str], log: str) -> None:
    """Run the program in a process that has imported it already; its output goes to a file."""
    from napari_sartorius.cli.main import app

    with open(log, "ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    app(arguments, prog_name="napari-sartorius")
