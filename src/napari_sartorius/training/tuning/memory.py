"""Remembers what networks found: they look at an image once, however often it is segmented.

What is kept is what a network gives: boxes, scores and soft masks, in full precision. All that
comes after it (views, fusion, masks, seams) is computed anew with the thresholds of the day, so a
model whose card was changed finds exactly what it would find with its networks.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.found import Found
from napari_sartorius.inference.network import NetworkRunner
from napari_sartorius.io.atomic import atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sartorius.nn.detector import DetectLimits

_COLUMN = "column_"


class LookMemory:
    """What the networks of one model found in the image at hand; kept on disk between images.

    Parameters
    ----------
    folder
        Has one file per image, written as a whole; the folder can be deleted at any time.

    Attributes
    ----------
    looks
        How many windows a network had to look at.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.looks = 0
        self._known: dict[str, tuple[float, list[Found]]] = {}
        self._new = False

    @contextmanager
    def of(self, image: NDArray[Any]) -> Iterator[None]:
        """Remember one image; what is new is written when the block ends, also when stopped."""
        digest = hashlib.sha256(str((image.shape, image.dtype.str)).encode())
        digest.update(np.ascontiguousarray(image).data)
        path = self.folder / f"{digest.hexdigest()[:32]}.npz"
        self._known, self._new = _read(path), False
        try:
            yield
        finally:
            known, self._known = self._known, {}
            if self._new:
                _write(path, known)

    def recall(self, key: str, limits: DetectLimits) -> list[Found] | None:
        """What was found with these limits or with a lower score; None where it is not known."""
        known = self._known.get(key)
        if known is None or known[0] > limits.score:
            return None
        return [_above(found, limits.score) for found in known[1]]

    def keep(self, key: str, limits: DetectLimits, found: list[Found]) -> None:
        """Remember what was found with these limits."""
        self._known[key] = (limits.score, found)
        self._new = True
        self.looks += len(found)

    @property
    def bytes_on_disk(self) -> int:
        """Size of the folder."""
        return sum(file.stat().st_size for file in self.folder.glob("*.npz"))


class RememberingRunner(NetworkRunner):
    """Runs a network unless it is remembered what it found.

    Parameters
    ----------
    runner
        Runs it the first time.
    memory
        Knows what it found.
    name
        Tells the network from others with the same memory.
    """

    def __init__(self, runner: NetworkRunner, memory: LookMemory, name: str) -> None:
        super().__init__(runner.detector, runner.device, runner.precision, runner.views)
        self._memory = memory
        self._name = name

    def _detect(
        self,
        windows: Sequence[NDArray[np.float32]],
        padded: tuple[int, int],
        limits: DetectLimits,
    ) -> list[Found]:
        key = self._key(windows, padded, limits)
        found = self._memory.recall(key, limits)
        if found is None:
            found = super()._detect(windows, padded, limits)
            self._memory.keep(key, limits, found)
        return found

    def _key(
        self,
        windows: Sequence[NDArray[np.float32]],
        padded: tuple[int, int],
        limits: DetectLimits,
    ) -> str:
        where = self.device.partition(":")[0]
        facts = (self._name, where, self.precision, padded, limits.nms, limits.max_detections)
        digest = hashlib.sha256(repr(facts).encode())
        for window in windows:
            digest.update(str(window.shape).encode())
            digest.update(np.ascontiguousarray(window, np.float32).data)
        return digest.hexdigest()


def _above(found: Found, score: float) -> Found:
    """As a network gives it with this limit: scores are above, and only the weakest are cut off."""
    chosen = found.scores > score
    whole = found[chosen]
    if len(whole) == len(found):
        return whole
    return Found(whole.boxes, whole.scores, whole.labels, whole.mask_probs, False, whole.columns)


def _read(path: Path) -> dict[str, tuple[float, list[Found]]]:
    """What a file says; nothing where there is none, or a damaged one."""
    try:
        # Opened here, because numpy leaves a damaged file open.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            index = json.loads(str(file["index"]))
            known = {}
            for number, (key, score, ends) in enumerate(index):
                looks = [_found(file, f"{number}_{i}_", end) for i, end in enumerate(ends)]
                known[key] = (float(score), looks)
            return known
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return {}


def _found(file: Any, prefix: str, capped: bool) -> Found:
    names = [name for name in file.files if name.startswith(prefix + _COLUMN)]
    return Found(
        boxes=file[prefix + "boxes"],
        scores=file[prefix + "scores"],
        labels=file[prefix + "labels"],
        mask_probs=file[prefix + "mask_probs"],
        capped=capped,
        columns={name.removeprefix(prefix + _COLUMN): file[name] for name in names},
    )


def _write(path: Path, known: dict[str, tuple[float, list[Found]]]) -> None:
    arrays: dict[str, Any] = {}
    index = []
    for number, (key, (score, looks)) in enumerate(known.items()):
        index.append((key, score, [found.capped for found in looks]))
        for i, found in enumerate(looks):
            for name in ("boxes", "scores", "labels", "mask_probs"):
                arrays[f"{number}_{i}_{name}"] = getattr(found, name)
            for name, column in found.columns.items():
                arrays[f"{number}_{i}_{_COLUMN}{name}"] = column
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, index=json.dumps(index), **arrays)
