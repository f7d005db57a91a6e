"""What a source of annotated images has and a dataset of it lacks, in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sartorius.core.wording import plural, some_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.io.coco_dataset import CocoDataset

_NAMED = 3


def missing_files(dataset: CocoDataset) -> list[str]:
    """File names of records whose image is not there, each once; looks at names only."""
    names = dict.fromkeys(
        image.file_name for image in dataset.images if not dataset.image_path(image).is_file()
    )
    return list(names)


def told_left_out(dataset: CocoDataset) -> str | None:
    """A sentence on images without labels, labels without an image, and missing image files.

    Returns
    -------
    str or None
        With counts and the first names; None when nothing is missing.
    """
    lone_images = _named(dataset, "image without labels")
    lone_labels = _named(dataset, "labels without image")
    missing = missing_files(dataset)
    left_out = []
    if lone_images:
        left_out.append(_counted(lone_images, "image without labels", "images without labels"))
    if lone_labels:
        sets = "set of labels without an image", "sets of labels without images"
        left_out.append(_counted(lone_labels, *sets))
    parts = [f"left out {' and '.join(left_out)}"] if left_out else []
    if missing:
        parts.append(f"missing: {_counted(missing, 'image file', 'image files')}")
    return f"{'; '.join(parts)}; see `napari-sartorius data check`" if parts else None


def left_out_as_json(dataset: CocoDataset) -> dict[str, Any]:
    """The same for programs: ``images_without_labels``, ``labels_without_image``, ``missing``."""
    return {
        "images_without_labels": _named(dataset, "image without labels"),
        "labels_without_image": _named(dataset, "labels without image"),
        "missing_files": missing_files(dataset),
    }


def _named(dataset: CocoDataset, kind: str) -> list[str]:
    return [fault.image for fault in dataset.left_out if fault.kind == kind]


def _counted(names: Sequence[str], one: str, many: str) -> str:
    return f"{plural(len(names), one, many)} ({some_of(names, _NAMED)})"
