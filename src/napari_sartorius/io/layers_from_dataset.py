"""Lay out a dataset as napari layers: images below, labels with their table of features on top.

Images of one size become one stack with a slider rather than hundreds of layers. What napari needs
to write the layers back (categories, ids, file names, provenance) travels in ``layer.metadata``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.coco_dataset import CocoDataset, CocoImage
from napari_sartorius.io.images import ImageData, plane_shape, read_image, read_plane
from napari_sartorius.io.label_room import dtype_with_room
from napari_sartorius.io.layer_table import METADATA_KEY
from napari_sartorius.io.placement import KEY as PLACEMENT_KEY
from napari_sartorius.io.placement import Placement, keywords_of_sizes

if TYPE_CHECKING:
    from pathlib import Path

LayerData: TypeAlias = tuple[Any, dict[str, Any], str]
"""napari's (data, keyword arguments, layer type)."""

LARGEST_IN_MEMORY = 1 << 30
"""Stacks of more bytes than this are loaded slice by slice when shown, and cannot be painted on."""


_Load: TypeAlias = Callable[[], NDArray[Any]]


@dataclass(frozen=True)
class _Group:
    """Records that share one layer: same size, and same kind of picture."""

    name: str
    images: list[CocoImage]
    lead: tuple[int, ...]
    axis_labels: tuple[str, ...]
    spacing: tuple[float, float] | None
    colour: bool
    files: bool
    steps: dict[str, float]
    placement: Placement | None


def dataset_layers(dataset: CocoDataset, name: str) -> list[LayerData]:
    """Make image and labels layers of a dataset.

    Parameters
    ----------
    dataset
        Its image files are looked for; where one is missing only the labels are shown.
    name
        What to call stacks.

    Returns
    -------
    list of (data, keyword arguments, layer type)
        For each group of like images an image layer and a labels layer with features ``index``
        (the label), ``score``, ``category``, measurements and, in stacks, ``image`` and
        ``axis-0``. Where objects overlap the earlier one is on top.

    Raises
    ------
    UserError
        When an image file that exists cannot be read or has another size than its record.
    """
    source = _Source(dataset)
    layers: list[LayerData] = []
    for group in source.groups(name):
        if group.files:
            layers.append(_image_layer(group, source))
        layers.append(_labels_layer(group, dataset))
    return layers


class _Source:
    """The dataset's pictures, kept open as long as they are small together."""

    def __init__(self, dataset: CocoDataset) -> None:
        self.dataset = dataset
        self._open: dict[Path, ImageData] = {}
        self._bytes = 0

    def groups(self, name: str) -> list[_Group]:
        keyed: dict[tuple[Any, ...], list[CocoImage]] = {}
        for image in self.dataset.images:
            keyed.setdefault(self._key(image), []).append(image)
        groups = [_group(key, images, name) for key, images in keyed.items()]
        if len({group.images[0].size for group in groups if group.name == name}) > 1:
            groups = [_named_by_size(group) if group.name == name else group for group in groups]
        return groups

    def load(self, image: CocoImage) -> NDArray[Any]:
        """Pixels (Y, X) or (Y, X, 3) of one record."""
        picture = self._picture(image)
        if picture.size != image.size:
            raise UserError(
                f"{picture.where} is {picture.size[1]} x {picture.size[0]} pixels but its record "
                f"says {image.width} x {image.height}: put the right file in its place."
            )
        lead = plane_shape(picture)
        index = tuple(image.extra.get("plane", ()))
        inside = len(index) == len(lead) and all(i < n for i, n in zip(index, lead, strict=True))
        return read_plane(picture, index if inside else (0,) * len(lead))

    def _picture(self, image: CocoImage) -> ImageData:
        path = self.dataset.image_path(image)
        if path not in self._open:
            picture = read_image(path)
            self._bytes += int(np.prod(picture.pixels.shape)) * picture.pixels.dtype.itemsize
            if self._bytes > LARGEST_IN_MEMORY // 2:
                self._open.clear()
                self._bytes = 0
            self._open[path] = picture
        return self._open[path]

    def _key(self, image: CocoImage) -> tuple[Any, ...]:
        own = image.file_name if "plane" in image.extra else None
        spacing = image.pixel_size_yx
        placement = Placement.from_dict(image.extra.get(PLACEMENT_KEY))
        if not self.dataset.image_path(image).is_file():
            steps = tuple(image.steps.items())
            return own, image.size, spacing, False, False, "", steps, placement
        picture = self._picture(image)
        colour = "S" in picture.axes and picture.pixels.shape[picture.axes.index("S")] >= 3
        kind = np.dtype(picture.pixels.dtype).str
        spacing = spacing or picture.pixel_size_yx
        steps = tuple((picture.steps | image.steps).items()) if own is not None else ()
        return own, image.size, spacing, True, colour, kind, steps, placement


def _group(key: tuple[Any, ...], images: list[CocoImage], name: str) -> _Group:
    own, _, spacing, files, colour, _, steps, placement = key
    lead, labels, first = _stack_axes(images, placement)
    title = images[0].stem if own is not None or not lead else name
    if placement is not None and len(placement.scale) != len(lead) + 2:
        placement = placement.within(len(lead))
    elif placement is not None:
        placement = placement.moved(first)
    return _Group(title, images, lead, labels, spacing, colour, files, dict(steps), placement)


def _named_by_size(group: _Group) -> _Group:
    height, width = group.images[0].size
    return replace(group, name=f"{group.name} {width} x {height}")


def _stack_axes(
    images: list[CocoImage], placement: Placement | None
) -> tuple[tuple[int, ...], tuple[str, ...], tuple[int, ...]]:
    """Leading shape, axis labels and first place of the planes of a group.

    The axes are those of the file that the planes come from, where they are all of its planes, or
    a part of them whose place is known; else they are a plain list.
    """
    axes = str(images[0].extra.get("plane_axes", ""))
    indices = [tuple(image.extra.get("plane", ())) for image in images]
    if axes and all(len(index) == len(axes) for index in indices):
        placed = placement is not None and len(placement.scale) == len(axes) + 2
        first = tuple(min(i) if placed else 0 for i in zip(*indices, strict=True))
        ends = tuple(max(i) + 1 for i in zip(*indices, strict=True))
        ranges = [range(a, b) for a, b in zip(first, ends, strict=True)]
        if indices == list(itertools.product(*ranges)):
            return tuple(map(len, ranges)), (*axes.lower(), "y", "x"), first
    if len(images) == 1:
        return (), ("y", "x"), ()
    return (len(images),), ("image", "y", "x"), (0,)


def _image_layer(group: _Group, source: _Source) -> LayerData:
    first = source.load(group.images[0])
    data = _stack([partial(source.load, image) for image in group.images], first, group.lead)
    keywords = _placement(group) | {"name": group.name, "rgb": group.colour}
    if not group.colour:
        keywords["colormap"] = "gray"
    return data, keywords, "image"


def _labels_layer(group: _Group, dataset: CocoDataset) -> LayerData:
    objects = [dataset.instances[image.id] for image in group.images]
    firsts = np.cumsum([1, *(len(o) for o in objects)])
    dtype = dtype_with_room(int(firsts[-1]))

    def paint(n: int) -> NDArray[Any]:
        ids = np.arange(firsts[n], firsts[n + 1])
        return np.asarray(objects[n].masks.to_labels(ids, dtype=dtype))

    loads: list[_Load] = [partial(paint, n) for n in range(len(objects))]
    keywords = _placement(group) | {
        "name": f"{group.name} objects",
        "features": _features(group, dataset, firsts),
        "metadata": {METADATA_KEY: _memory(group, dataset)},
        "opacity": 0.6,
    }
    return _stack(loads, np.zeros(group.images[0].size, dtype), group.lead), keywords, "labels"


def _features(
    group: _Group, dataset: CocoDataset, firsts: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    tables = []
    for n, image in enumerate(group.images):
        instances = dataset.instances[image.id]
        table = instances.table(group.spacing, dataset.category_names)
        table["index"] = table["index"] + firsts[n] - 1
        if group.lead:
            table["image"] = np.full(len(instances), image.stem)
            for axis, place in enumerate(np.unravel_index(n, group.lead)):
                table[f"axis-{axis}"] = np.full(len(instances), place)
        tables.append(table)
    filled = [table for table in tables if len(table["index"])] or tables[:1]
    shared = [name for name in filled[0] if all(name in table for table in filled)]
    return {name: np.concatenate([table[name] for table in filled]) for name in shared}


def _memory(group: _Group, dataset: CocoDataset) -> dict[str, Any]:
    """What the layer must remember to be written back as it came."""
    return {
        "categories": [
            {"id": c.id, "name": c.name, "colour": c.colour} for c in dataset.categories
        ],
        "images": [
            {
                "id": image.id,
                "file_name": image.file_name,
                "path": str(dataset.image_path(image).absolute()),
                "extra": dict(image.extra),
            }
            for image in group.images
        ],
        "info": dict(dataset.info),
    }


def _placement(group: _Group) -> dict[str, Any]:
    keywords: dict[str, Any] = {"axis_labels": group.axis_labels}
    if group.placement is not None:
        return keywords | group.placement.keywords()
    letters = "".join(label.upper() if len(label) == 1 else "Q" for label in group.axis_labels)
    return keywords | keywords_of_sizes(letters, group.spacing, group.steps)


def _stack(loads: list[_Load], example: NDArray[Any], lead: tuple[int, ...]) -> Any:
    shape = lead + example.shape
    if example.nbytes * len(loads) <= LARGEST_IN_MEMORY:
        data = np.empty((len(loads), *example.shape), example.dtype)
        for n, load in enumerate(loads):
            data[n] = load()
        return data.reshape(shape)
    # napari brings dask along; the rest of the package does not need it.
    import dask.array
    from dask.delayed import delayed

    lazy: Any = dask.array
    slices = [
        lazy.from_delayed(delayed(load, pure=False)(), example.shape, example.dtype)
        for load in loads
    ]
    return lazy.stack(slices).reshape(shape)
