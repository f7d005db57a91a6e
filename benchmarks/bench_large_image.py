"""Large images: the worker's peak memory beyond the model, and whether time grows with area only.

The picture is a generated field of 1000 x 1000 pixels with 200 cells, repeated: 10,000 x 10,000
pixels hold 20,000 cells.
"""

from __future__ import annotations

import argparse
import threading
import time

import numpy as np
import psutil
from report import Row, keep

from napari_sartorius.engine.client import WorkerClient
from napari_sartorius.engine.jobs import SegmentJob
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.samples.phase_contrast import phase_contrast_scene

_SIZES = (2048, 4096, 8192, 10_000)
_MEMORY_LIMIT_GB = 4.0


class PeakMemory:
    """Watches the resident memory of a process, fifty times a second, while a block runs."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.bytes = 0

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *ignored: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self.bytes = max(self.bytes, self._process.memory_info().rss)


def scene(size: int) -> np.ndarray:
    """Return a (size, size) uint8 picture with 200 cells for every million pixels."""
    field, _ = phase_contrast_scene((1000, 1000), cells=200)
    times = -(-size // 1000)
    return np.tile(field, (times, times))[:size, :size]


def main() -> None:
    """Go through the sizes with one warm worker."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--max-size", type=int, default=_SIZES[-1])
    parser.add_argument("--model", default="neurons")
    arguments = parser.parse_args()
    sizes = [size for size in _SIZES if size <= arguments.max_size] or [arguments.max_size]
    config = SegmentConfig(model=arguments.model, preset="fast")
    rows: list[Row] = []
    pace = None
    with WorkerClient() as client:
        client.submit(SegmentJob(scene(512), config)).outcome()
        assert client.worker_pid is not None
        model_bytes = psutil.Process(client.worker_pid).memory_info().rss
        for size in sizes:
            image = scene(size)
            with PeakMemory(client.worker_pid) as peak:
                start = time.perf_counter()
                (plane,) = client.submit(SegmentJob(image, config)).outcome()
                elapsed = time.perf_counter() - start
            result = plane.result
            what = f"{size} x {size}, {len(result.instances)} objects"
            beyond = (peak.bytes - model_bytes) / 1e9
            per_megapixel = elapsed / size**2 * 1e6
            pace = pace or per_megapixel
            rows.append(
                Row(f"peak memory, GB: {what}", f"{beyond:.2f} GB", "", beyond, _MEMORY_LIMIT_GB)
            )
            rows.append(
                Row(
                    f"time for its area: {what}, {elapsed:.0f} s",
                    f"{per_megapixel:.2f} s per megapixel",
                    f"{pace:.2f} at {sizes[0]}",
                    per_megapixel / pace,
                    limit=None if size == sizes[0] else 1.2,
                )
            )
    keep(
        "large_image",
        "Large images",
        "Resident memory of the worker beyond what it holds after a small image (the model and its "
        f"libraries); preset fast, model {arguments.model}. Time per area should not grow with "
        "the area.",
        rows,
    )


if __name__ == "__main__":
    main()
