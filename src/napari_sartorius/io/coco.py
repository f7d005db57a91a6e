"""Read COCO instance annotations: ours, LIVECell's, Sartorius competition exports, results lists.

Strict where silence would lose objects (dangling ids, wrong sizes, impossible boxes), liberal where
files merely differ in style (all three forms of masks, dicts in place of lists, names as ids).
Duplicated and hollow objects are kept as they are: cleaning data is the user's decision.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor
from napari_sartorius.io.coco_annotations import instances_of
from napari_sartorius.io.coco_dataset import CocoDataset, CocoImage, ImageId
from napari_sartorius.io.coco_ids import with_plain_ids
from napari_sartorius.io.coco_records import categories_of, image_of, records_of, refuse_doubled
from napari_sartorius.io.coco_results import with_ids_of
from napari_sartorius.io.coco_writing import write_coco, write_coco_results

__all__ = [
    "CocoDataset",
    "CocoImage",
    "ImageId",
    "dataset_of",
    "read_coco",
    "read_coco_results",
    "read_json",
    "write_coco",
    "write_coco_results",
]


def read_coco(path: str | Path) -> CocoDataset:
    """Read a COCO dataset file.

    Parameters
    ----------
    path
        JSON with ``images``, ``categories`` and ``annotations``, each a list or, as in LIVECell's
        single-cell files, a dict of the same records.

    Returns
    -------
    CocoDataset
        Objects in the file's order. Boxes are the file's ``bbox``, tight around the mask where it
        has none; scores are 1 where it has none.

    Raises
    ------
    UserError
        Naming the file, the record and the remedy: no JSON, no COCO dataset, missing keys, ids
        that point nowhere, damaged masks, or boxes with negative sides or outside their image.
    """
    path = Path(path)
    return dataset_of(read_json(path), path)


def dataset_of(content: Any, path: Path) -> CocoDataset:
    """Dataset that the parsed JSON of a file describes.

    Parameters
    ----------
    content
        As `read_json` gives it.
    path
        The file, for errors and as the place where relative file names start.

    Raises
    ------
    UserError
        As `read_coco`.
    """
    if isinstance(content, list):
        raise UserError(
            f"{path} is a COCO results list, which does not describe its images: give a COCO "
            "dataset, with 'images', 'categories' and 'annotations', such as instances.json."
        )
    missing = [k for k in ("images", "annotations", "categories") if k not in _keys(content)]
    if missing:
        raise UserError(
            f"{path} is not a COCO dataset, it lacks {', '.join(map(repr, missing))}: "
            "choose a COCO annotation file."
        )
    content = with_plain_ids(content)
    images = [image_of(record, path) for record in records_of(content["images"], "images", path)]
    categories = categories_of(records_of(content["categories"], "categories", path), path)
    refuse_doubled([image.id for image in images], "image", path)
    refuse_doubled([category.id for category in categories], "category", path)
    annotations = records_of(content["annotations"], "annotations", path)
    info = content.get("info")
    return CocoDataset(
        images=images,
        categories=categories,
        instances=instances_of(annotations, images, categories, path),
        info=dict(info) if isinstance(info, dict) else {},
        folder=path.parent,
    )


def read_coco_results(
    path: str | Path, dataset: CocoDataset, monitor: Monitor | None = None
) -> CocoDataset:
    """Read a COCO results list against the dataset whose images and categories it refers to.

    Parameters
    ----------
    path
        JSON list of ``image_id``, ``category_id``, ``segmentation``, ``score``. Lists of ours also
        say ``file_name`` and ``category_name``, which go before the ids.
    dataset
        Gives image sizes and categories.
    monitor
        Is told of images that the dataset lacks.

    Returns
    -------
    CocoDataset
        The same images with the objects of the results, none where the list is silent about an
        image. The categories are the same, too, unless the list names others.

    Raises
    ------
    UserError
        As `read_coco`, when the file is no list, or when it is about other images.
    """
    path = Path(path)
    content = read_json(path)
    if not isinstance(content, list):
        raise UserError(f"{path} is not a COCO results list: expected a JSON list of objects.")
    records, categories = with_ids_of(
        records_of(content, "results", path), dataset, path, monitor or Monitor()
    )
    instances = instances_of(records, dataset.images, categories, path)
    return CocoDataset(dataset.images, categories, instances, {}, dataset.folder)


def read_json(path: Path) -> Any:
    """Parse a JSON file; every failure is a UserError that names the file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: check the path.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be opened ({error.strerror}): expected a file.") from error
    if not data.strip():
        raise UserError(f"{path} is empty, expected JSON: copy or export it again.")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path} is not valid JSON ({error}): it may be cut off; copy or export it again."
        ) from error


def _keys(content: Any) -> set[str]:
    return set(content) if isinstance(content, dict) else set()
