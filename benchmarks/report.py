"""What a measurement is, and how all of them become one table with the machine named."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
STORE = FOLDER / "results.json"
TABLE = FOLDER / "RESULTS.md"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Parameters
    ----------
    what
        What was measured, with the sizes that matter.
    ours, other
        The two sides of the ratio, with units; `other` may be empty.
    ratio
        ours / other, or the figure itself where there is no other side.
    limit
        What the ratio must stay under; None where nothing was promised.
    """

    what: str
    ours: str
    other: str
    ratio: float
    limit: float | None = None


def machine() -> str:
    """Processor, cores, memory and versions in one line; no host name."""
    import psutil

    memory = psutil.virtual_memory().total / 2**30
    versions = ", ".join(
        f"{name} {metadata.version(name)}" for name in ("torch", "numpy", "napari")
    )
    return (
        f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GB, {platform.system()}, "
        f"Python {platform.python_version()}, {versions}"
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def keep(name: str, title: str, note: str, rows: list[Row]) -> None:
    """Replace one benchmark's results in the store and write the table again."""
    store = json.loads(STORE.read_text()) if STORE.is_file() else {}
    store[name] = {
        "title": title,
        "note": note,
        "machine": machine(),
        "date": date.today().isoformat(),
        "rows": [asdict(row) for row in rows],
    }
    STORE.write_text(json.dumps(store, indent=1) + "\n")
    TABLE.write_text(_table(store))


def _table(store: dict[str, dict[str, Any]]) -> str:
    lines = [
        "One run each, by `make bench`. Ratios are ours / other: below 1 is better than it.",
        "",
    ]
    for entry in store.values():
        lines += [f"## {entry['title']}", "", str(entry["note"]), ""]
        rows = [Row(**row) for row in entry["rows"]]
        promised = any(row.limit is not None for row in rows)
        lines.append("| what | ours | other | ratio |" + " limit | kept |" * promised)
        lines.append("|---|--:|--:|--:|" + "--:|---|" * promised)
        lines += [_line(row, promised) for row in rows]
        lines += ["", f"{entry['machine']}; {entry['date']}.", ""]
    return "\n".join(lines)


def _line(row: Row, promised: bool) -> str:
    line = f"| {row.what} | {row.ours} | {row.other} | {row.ratio:.3g} |"
    if promised and row.limit is not None:
        line += f" {row.limit:g} | {'yes' if row.ratio < row.limit else '**no**'} |"
    elif promised:
        line += " | |"
    return line
