"""Faults of image files: missing, unreadable, doubled, of another size; each is read once."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import plural
from napari_sartorius.io.faults import cause_of
from napari_sartorius.io.images import planes, read_image, read_plane
from napari_sartorius.training.doctor.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.io.coco_dataset import CocoDataset, CocoImage
    from napari_sartorius.training.doctor.finding import Severity

_THREADS = min(4, os.cpu_count() or 1)  # decoders let go of Python's lock


@dataclass(frozen=True)
class PictureFacts:
    """What reading a picture taught: its size, type, colours and a hash of the pixels."""

    size: tuple[int, int]
    dtype: str
    colours: int
    digest: bytes


def picture_findings(dataset: CocoDataset, monitor: Monitor) -> list[Finding]:
    """Read every image once and tell what is wrong with the files.

    Pixels are compared, not files: the same picture saved as PNG and as TIFF is one.
    """
    there, found = _missing(dataset)
    facts: dict[int, PictureFacts] = {}
    with ThreadPoolExecutor(_THREADS) as pool:
        results = pool.map(lambda image: _read(dataset.image_path(image), image), there)
        for number, result in enumerate(results):
            monitor.check()
            monitor.progress("reading images", number / len(there))
            image = there[number]
            if isinstance(result, str):
                found.append(_about("unreadable image", "error", result, image))
            else:
                facts[number] = result
                found += _other_size(image, result)
    known = [(there[number], fact) for number, fact in facts.items()]
    found += _alike((image, fact.digest) for image, fact in known)
    return found + _mixed(known)


def quick_findings(dataset: CocoDataset, monitor: Monitor) -> list[Finding]:
    """As `picture_findings` without decoding: files that are missing, and files that are equal.

    Only files of the same length are read, so this takes no time where none is doubled.
    """
    there, found = _missing(dataset)
    by_length: dict[int, list[CocoImage]] = defaultdict(list)
    for image in there:
        by_length[dataset.image_path(image).stat().st_size].append(image)
    known = []
    for images in by_length.values():
        files = {dataset.image_path(image) for image in images}
        if len(files) < 2:
            continue
        for image in images:
            monitor.check()
            content = dataset.image_path(image).read_bytes()
            known.append((image, hashlib.blake2b(content, digest_size=16).digest()))
    return found + _alike(known)


def _missing(dataset: CocoDataset) -> tuple[list[CocoImage], list[Finding]]:
    there = [image for image in dataset.images if dataset.image_path(image).is_file()]
    if not there and dataset.images:
        first = dataset.image_path(dataset.images[0])
        of = plural(len(dataset), "image")
        text = f"none of {of} is there, such as {first}, which does not exist"
        return [], [Finding("missing image", "error", text)]
    kept = {image.id for image in there}
    return there, [
        _about("missing image", "error", f"{dataset.image_path(image)} does not exist", image)
        for image in dataset.images
        if image.id not in kept
    ]


def _read(path: Path, image: CocoImage) -> PictureFacts | str:
    """Facts of a picture, or why it cannot be read."""
    try:
        data = read_image(path)
        index = tuple(image.extra.get("plane", ()))
        plane: Any = read_plane(data, index) if index else next(iter(planes(data)))[1]
    except UserError as error:
        return cause_of(error, path)
    pixels = np.ascontiguousarray(plane)
    code = hashlib.blake2b(f"{pixels.shape}{pixels.dtype}".encode(), digest_size=16)
    code.update(pixels.view(np.uint8).data)
    colours = pixels.shape[2] if pixels.ndim == 3 else 1
    return PictureFacts(
        (pixels.shape[0], pixels.shape[1]), str(pixels.dtype), colours, code.digest()
    )


def _other_size(image: CocoImage, facts: PictureFacts) -> list[Finding]:
    if facts.size == image.size:
        return []
    height, width = facts.size
    text = f"is {width} x {height} pixels, its record says {image.width} x {image.height}"
    return [_about("other size", "error", text, image)]


def _alike(known: Iterable[tuple[CocoImage, bytes]]) -> list[Finding]:
    """Images with the same pixels; on both sides of a split that is a leak."""
    groups: dict[bytes, list[CocoImage]] = defaultdict(list)
    for image, digest in known:
        groups[digest].append(image)
    found = []
    for images in groups.values():
        if len(images) < 2:
            continue
        others = ", ".join(image.file_name for image in images[1:4])
        if len({image.file_name for image in images}) == 1:
            text = f"{len(images)} records name this file"
            found.append(_about("doubled record", "warning", text, images[0]))
            continue
        splits = sorted({str(image.extra.get("split", "")) for image in images})
        if len(splits) > 1:
            text = f"has the pixels of {others}, in the splits {' and '.join(splits)}"
            side = images[0].extra.get("split", "")
            other = next(one for one in images if one.extra.get("split", "") != side)
            found.append(replace(_about("leak", "warning", text, images[0]), beside=other.id))
        else:
            text = f"has the pixels of {others}"
            about = _about("doubled image", "warning", text, images[0])
            found.append(replace(about, beside=images[1].id))
    return found


def _mixed(known: list[tuple[CocoImage, PictureFacts]]) -> list[Finding]:
    facts = [fact for _, fact in known]
    found = []
    depths = Counter(fact.dtype for fact in facts)
    if len(depths) > 1:
        text = f"images of different bit depths: {_counted(depths)}"
        found.append(Finding("mixed bit depths", "warning", text))
    colours = Counter("grey" if fact.colours == 1 else "colour" for fact in facts)
    if len(colours) > 1:
        found.append(Finding("mixed colours", "note", f"grey and colour: {_counted(colours)}"))
    sizes = Counter(f"{fact.size[1]} x {fact.size[0]}" for fact in facts)
    if len(sizes) > 1:
        text = f"images of {len(sizes)} sizes: {_counted(sizes)}"
        found.append(Finding("mixed sizes", "note", text))
    return found


def _counted(counts: Counter[str]) -> str:
    named = [f"{count} {name}" for name, count in counts.most_common(3)]
    return ", ".join(named) + (", ..." if len(counts) > 3 else "")


def _about(kind: str, severity: Severity, text: str, image: CocoImage) -> Finding:
    return Finding(kind, severity, text, image.file_name, image.id)
