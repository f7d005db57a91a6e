"""Whole images whose cell type is known: from their records, their objects, or their names."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.normalise import normalise, to_channels
from napari_sartorius.io.kaggle import plate_and_well
from napari_sartorius.nn.targets import whole_image
from napari_sartorius.training.data import read_annotated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.io.coco import CocoDataset, CocoImage
    from napari_sartorius.nn.targets import Target
    from napari_sartorius.training.classifier.config import ClassifierConfig


@dataclass(frozen=True, eq=False)
class TypedImage:
    """One image and its type.

    Attributes
    ----------
    name
        File name.
    pixels
        (C, H, W) float16, normalised, at the size that the classifier looks at.
    label
        Number of its type.
    """

    name: str
    pixels: NDArray[np.float16]
    label: int


def types_of(dataset: CocoDataset, field: str) -> list[str | None]:
    """The type of each image: its record's, else that of most of its objects, else None."""
    result: list[str | None] = []
    for image in dataset.images:
        kinds = dataset.instances[image.id].categories
        if field in image.extra:
            result.append(str(image.extra[field]))
        elif len(kinds):
            result.append(dataset.category_names[int(np.bincount(kinds).argmax())])
        else:
            result.append(None)
    return result


def type_names(dataset: CocoDataset, field: str) -> list[str]:
    """All types that there are: the dataset's categories in their order where they tell all."""
    found = {name for name in types_of(dataset, field) if name is not None}
    names = dataset.category_names
    if found <= set(names) and len(names) > 1:
        return names
    return sorted(found)


def typed_by_name(
    dataset: CocoDataset, pattern: str, names: Sequence[str] | None, field: str
) -> CocoDataset:
    """The images whose file names tell a type, which their records say from then on.

    Parameters
    ----------
    dataset
        Images, annotated or not.
    pattern
        Its first group is the type. ``astros`` counts as ``astro`` where that is a type, as in the
        names of the competition's images, which also tell plate and well.
    names
        Types that count; None takes what the names say.
    field
        Of the record, to be filled.

    Raises
    ------
    UserError
        When the pattern is no regular expression with a group, no name tells a type, or names that
        are free to tell any tell another one of most images.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UserError(f"the pattern {pattern!r} of file names cannot be read: {error}") from error
    if expression.groups < 1:
        raise UserError(
            f"the pattern {pattern!r} of file names needs a group, as in {'^([^_]+)'!r}"
        )
    said = {image.id: expression.search(image.stem) for image in dataset.images}
    found = {key: match.group(1) for key, match in said.items() if match and match.group(1)}
    known = {name.casefold(): name for name in names or _singular(found.values())}
    kept: list[CocoImage] = []
    for image in dataset.images:
        word = found.get(image.id, "").casefold()
        name = known.get(word) or known.get(word.removesuffix("s"))
        if name is not None:
            extra = plate_and_well(image.stem) | image.extra | {field: name}
            kept.append(replace(image, extra=extra))
    if not kept:
        wanted = f"one of {', '.join(names)}" if names else "a type"
        example = dataset.images[0].file_name if dataset.images else "none"
        raise UserError(
            f"no file name tells {wanted} (the first is {example}); give --name-pattern a regular "
            "expression whose first group is the type"
        )
    if names is None:
        _refuse_names_without_types([str(image.extra[field]) for image in kept])
    instances = {image.id: dataset.instances[image.id] for image in kept}
    return replace(dataset, images=kept, instances=instances)


def _refuse_names_without_types(types: Sequence[str]) -> None:
    counts = Counter(types)
    single = [name for name, count in counts.items() if count == 1]
    if len(counts) > 1 and 2 * len(single) > len(counts):
        raise UserError(
            f"{len(single)} of the {len(counts)} types that the file names tell have a single "
            f"image, such as {single[0]}, so these are hardly types: give --name-pattern a regular "
            "expression whose first group is the type"
        )


def _singular(words: object) -> list[str]:
    """Words once each, without a plural that stands beside its singular."""
    once = sorted(set(words))  # type: ignore[call-overload]
    lower = {word.casefold() for word in once}
    return [w for w in once if not (w.casefold().endswith("s") and w.casefold()[:-1] in lower)]


def pack_typed(
    dataset: CocoDataset, names: Sequence[str], config: ClassifierConfig, monitor: Monitor
) -> list[TypedImage]:
    """Read, normalise and shrink the images whose type is known.

    Raises
    ------
    UserError
        When an image is missing or unreadable.
    """
    channels = config.architecture.trunk.in_channels
    packed = []
    types = types_of(dataset, config.type_field)
    for number, (record, name) in enumerate(zip(dataset.images, types, strict=True)):
        monitor.check()
        monitor.progress("reading images", number / len(dataset.images))
        if name is None or name not in names:
            continue
        plane = to_channels(read_annotated(dataset, record), 1 if channels == 1 else 3)
        pixels = torch.from_numpy(normalise(plane, config.normalisation)).permute(2, 0, 1)
        size = config.architecture.image_size
        if size is not None and tuple(pixels.shape[1:]) != size:
            # As the network itself does with a whole image.
            pixels = functional.interpolate(
                pixels[None], size=size, mode="bilinear", align_corners=False, antialias=True
            )[0]
        array = pixels.numpy().astype(np.float16)
        packed.append(TypedImage(record.file_name, array, names.index(name)))
    return packed


class TypedSampler:
    """Draws the batch of any step; the same seed and step give the same batch, so a run resumes.

    Parameters
    ----------
    images
        Training images.
    config
        Batch size, seed, balance, strength of the random changes.
    """

    def __init__(self, images: Sequence[TypedImage], config: ClassifierConfig) -> None:
        self._images, self._config = images, config
        labels = np.array([image.label for image in images])
        counts = np.bincount(labels)
        weights = 1 / counts[labels] if config.balance == "type" else np.ones(len(labels))
        self._chances = weights / weights.sum()

    def names(self, step: int) -> list[str]:
        """File names of the images of a step, one per image of its batch."""
        return [self._images[i].name for i in self._chosen(self._random(step))]

    def batch(self, step: int) -> tuple[torch.Tensor, list[Target]]:
        """Images (B, C, H, W) float32, and B targets that say the type of each."""
        rng = self._random(step)
        chosen = self._chosen(rng)
        images = [self._changed(self._images[i].pixels, rng) for i in chosen]
        size = self._config.architecture.image_size or images[0].shape[1:]
        if any(tuple(image.shape[1:]) != tuple(size) for image in images):
            images = [
                functional.interpolate(image[None], size=size, mode="bilinear")[0]
                for image in images
            ]
        batch = torch.stack(images)
        return batch, [whole_image(self._images[i].label, batch.shape[2:]) for i in chosen]

    def _random(self, step: int) -> np.random.Generator:
        return np.random.default_rng((self._config.seed, step))

    def _chosen(self, rng: np.random.Generator) -> NDArray[np.int64]:
        return rng.choice(len(self._images), self._config.batch_size, p=self._chances)

    def _changed(self, pixels: NDArray[np.float16], rng: np.random.Generator) -> torch.Tensor:
        """Flipped, turned, zoomed, brighter or darker."""
        augment = self._config.augment
        values = pixels.astype(np.float32)
        if rng.random() < 0.5:
            values = values[:, ::-1]
        if rng.random() < 0.5:
            values = values[:, :, ::-1]
        if rng.random() < 0.5:
            values = values.transpose(0, 2, 1)
        values = _zoomed(values, float(np.exp(rng.uniform(*np.log(augment.zoom)))), rng)
        gain = 1 + rng.uniform(-augment.contrast, augment.contrast)
        shift = rng.uniform(-augment.brightness, augment.brightness)
        values = values * np.float32(gain) + np.float32(shift)
        if augment.noise and rng.random() < 0.5:
            noise = rng.standard_normal(values.shape, dtype=np.float32)
            values = values + noise * np.float32(rng.uniform(0, augment.noise))
        return torch.from_numpy(np.ascontiguousarray(values))


def _zoomed(
    values: NDArray[np.float32], zoom: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Larger: a part of the image at its size; smaller: the image in the middle of its mirrors."""
    height, width = values.shape[1:]
    rows, columns = max(2, round(height / zoom)), max(2, round(width / zoom))
    if (rows, columns) == (height, width):
        return values
    if zoom > 1:
        y, x = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
        part = values[:, y : y + rows, x : x + columns]
    else:
        y, x = (rows - height) // 2, (columns - width) // 2
        edges = ((0, 0), (y, rows - height - y), (x, columns - width - x))
        part = np.pad(values, edges, mode="symmetric")
    tensor = torch.from_numpy(np.ascontiguousarray(part))[None]
    sized = functional.interpolate(tensor, size=(height, width), mode="bilinear", antialias=True)
    result: NDArray[np.float32] = sized[0].numpy()
    return result
