"""Faults of a dataset as a whole: categories, splits, groups and scales."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.wording import agree, plural, some_of
from napari_sartorius.training.doctor.finding import Finding
from napari_sartorius.training.splitting import FEWEST_IMAGES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_sartorius.io.coco_dataset import CocoDataset, CocoImage, ImageId
    from napari_sartorius.training.doctor.config import DoctorConfig
    from napari_sartorius.training.doctor.objects import MaskFacts

_SHOWN = 4


def category_findings(dataset: CocoDataset) -> list[Finding]:
    """No objects at all, two categories of one name, categories without an object."""
    if not dataset.object_count:
        return [Finding("no objects", "error", "there is no annotated object")]
    found = []
    for name, times in Counter(dataset.category_names).items():
        if times > 1:
            text = f"{times} categories are called '{name}'"
            found.append(Finding("same category name", "error", text))
    counts = np.zeros(len(dataset.categories), np.int64)
    for objects in dataset.instances.values():
        counts += np.bincount(objects.categories, minlength=len(counts))
    unused = [dataset.category_names[n] for n in np.flatnonzero(counts == 0)]
    if unused:
        found.append(Finding("unused category", "note", f"no object is {' or '.join(unused)}"))
    empty = [image.file_name for image in dataset.images if not len(dataset.instances[image.id])]
    if empty:
        have = agree(len(empty), "has", "have")
        text = f"{plural(len(empty), 'image')} {have} no cells, such as {empty[0]}"
        found.append(Finding("no cells", "note", text))
    return found


def split_findings(
    dataset: CocoDataset,
    config: DoctorConfig,
    training: str = "train",
    validation: str = "val",
) -> list[Finding]:
    """Sides of a split that are empty or too small, groups on both, categories not trained on."""
    sides = Counter(str(i.extra["split"]) for i in dataset.images if "split" in i.extra)
    if not sides:
        return []
    found = []
    there = ", ".join(f"{n} {name}" for name, n in sides.items())
    if not sides[training]:
        text = f"no image is marked '{training}' ({there})"
        found.append(Finding("no training image", "error", text))
    elif (usable := sides[training] + sides[validation]) < FEWEST_IMAGES:
        are = agree(usable, "is", "are")
        text = f"{plural(usable, 'image')} {are} too few to be divided ({there})"
        return [*found, Finding("few marked", "warning", text)]
    if not sides[validation]:
        text = f"no image is marked '{validation}' ({there})"
        found.append(Finding("no validation image", "warning", text))
    elif sides[validation] == 1:
        text = f"a single image is marked '{validation}'"
        found.append(Finding("one validation image", "warning", text))
    return found + _untaught(dataset, training) + _straddling(dataset, config)


def _untaught(dataset: CocoDataset, training: str) -> list[Finding]:
    """Categories that only images of other splits show."""
    counts = np.zeros((2, len(dataset.categories)), np.int64)
    for image in dataset.images:
        kinds = dataset.instances[image.id].categories
        counts[int(image.extra.get("split") == training)] += np.bincount(
            kinds, minlength=len(dataset.categories)
        )
    if not counts[1].any():
        return []
    missing = np.flatnonzero((counts[1] == 0) & (counts[0] > 0)).tolist()
    if not missing:
        return []
    names = " or ".join(dataset.category_names[kind] for kind in missing)
    others = int(counts[0, missing].sum())
    are = agree(others, "other is", "others are")
    text = f"no object of images marked '{training}' is {names}, {others:,} {are}"
    return [Finding("untaught category", "warning", text)]


def _straddling(dataset: CocoDataset, config: DoctorConfig) -> list[Finding]:
    found = []
    for name in config.group_fields:
        sides: dict[str, set[str]] = defaultdict(set)
        for image in dataset.images:
            group = _group(image, name, config)
            if group is not None and "split" in image.extra:
                sides[group].add(str(image.extra["split"]))
        both = [group for group, where in sides.items() if len(where) > 1]
        if both:
            text = (
                f"{name} {some_of(both, _SHOWN)} {agree(len(both), 'is', 'are')} in several splits"
            )
            found.append(Finding("group on both sides", "warning", text, badness=len(both)))
    return found


def _group(image: CocoImage, name: str, config: DoctorConfig) -> str | None:
    """What a field says an image belongs to; None where it says nothing that others do not."""
    extra = image.extra
    if name not in extra:
        return None
    if name != "well":
        return str(extra[name])
    if "plate_well" in extra and "plate_well" in config.group_fields:
        return None
    # Each plate has a well B2, and where plates are not told apart, as in LIVECell's names, each
    # kind of cell has its own.
    plate = extra.get("plate") or extra.get("cell_type")
    return str(extra[name]) if plate is None else f"{extra[name]} of {plate}"


def scale_findings(
    dataset: CocoDataset,
    facts: Mapping[ImageId, MaskFacts],
    config: DoctorConfig,
    model_diameter: float | None = None,
) -> list[Finding]:
    """Images whose cells have another size than those of their kind, or than the model's."""
    by_kind: dict[str, dict[ImageId, float]] = defaultdict(dict)
    for image in dataset.images:
        fact = facts.get(image.id)
        if fact is not None and np.count_nonzero(fact.area) >= config.scale_objects:
            by_kind[kind_of(dataset, image.id)][image.id] = fact.diameter
    found = []
    records = {image.id: image for image in dataset.images}
    for kind, diameters in by_kind.items():
        if len(diameters) < config.scale_images:
            continue
        usual = float(np.median(list(diameters.values())))
        for number, diameter in diameters.items():
            factor = max(diameter / usual, usual / diameter)
            if factor > config.scale_factor:
                text = f"its objects ({kind}) are {diameter:.0f} px wide, elsewhere {usual:.0f} px"
                name = records[number].file_name
                found.append(Finding("wrong scale", "warning", text, name, number, badness=factor))
    areas = [fact.area[fact.area > 0] for fact in facts.values()]
    together = np.concatenate(areas) if areas else np.zeros(0)
    if model_diameter and len(together):
        diameter = float(np.sqrt(np.median(together) * 4 / np.pi))
        if max(diameter / model_diameter, model_diameter / diameter) > config.model_factor:
            text = f"cells are {diameter:.0f} px wide, the model is for {model_diameter:.0f} px"
            found.append(Finding("other scale than the model", "warning", text))
    return found


def kind_of(dataset: CocoDataset, image: ImageId) -> str:
    """Name of the category that most objects of an image have; "" without objects."""
    categories = dataset.instances[image].categories
    if not len(categories):
        return ""
    return dataset.category_names[int(np.bincount(categories).argmax())]
