"""Runs the benchmarks one after the other, each in a process of its own.

    python benchmarks/run.py [NAME...] [--max-size 10000]

NAME is masks, fusion, network, networks, segment_overhead, large_image, dock_open, editing,
evaluation or training; without a name all of them run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
NAMES = (
    "masks",
    "fusion",
    "network",
    "networks",
    "dock_open",
    "segment_overhead",
    "large_image",
    "editing",
    "evaluation",
    "training",
)


def main() -> int:
    """Run what was asked for; the exit status counts those that failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which to run")
    parser.add_argument("--max-size", type=int, default=10_000, help="side of the largest image")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(NAMES))
    if unknown:
        parser.error(f"unknown benchmark {unknown[0]!r}; there are {', '.join(NAMES)}")
    failed = []
    for name in arguments.names or NAMES:
        command = [sys.executable, str(FOLDER / f"bench_{name}.py")]
        if name == "large_image":
            command += ["--max-size", str(arguments.max_size)]
        sys.stdout.write(f"==> {name}\n")
        sys.stdout.flush()
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    if failed:
        sys.stdout.write(f"FAILED: {', '.join(failed)}\n")
    else:
        sys.stdout.write("OK: the results are in benchmarks/RESULTS.md\n")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
