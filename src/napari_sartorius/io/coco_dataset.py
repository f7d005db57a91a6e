"""Many annotated or segmented images as one object: what a COCO file holds, in core's terms."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from napari_sartorius.core.categories import Category
from napari_sartorius.core.instances import Instances
from napari_sartorius.io.faults import Fault
from napari_sartorius.io.placement import steps_from_extra

if TYPE_CHECKING:
    from collections.abc import Callable

ImageId: TypeAlias = int | str


@dataclass(frozen=True)
class CocoImage:
    """One image's record.

    Attributes
    ----------
    id
        Unique in its dataset; a number in most files, a name in some.
    file_name
        Path of the image file, relative to the annotation file, with forward slashes.
    width, height
        In pixels.
    extra
        Every other key of the record, for example ``split``, ``cell_type``, ``group``.
    """

    id: ImageId
    file_name: str
    width: int
    height: int
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.height, self.width

    @property
    def pixel_size_yx(self) -> tuple[float, float] | None:
        """Height and width of a pixel in micrometres, where a record of ours says so."""
        try:
            y, x = (float(side) for side in self.extra["pixel_size_um"])
        except (KeyError, TypeError, ValueError):
            return None
        return (y, x) if y > 0 and x > 0 else None

    @property
    def steps(self) -> dict[str, float]:
        """How far planes are apart, ``Z`` in micrometres and ``T`` in seconds, as records say."""
        return steps_from_extra(self.extra)

    @property
    def stem(self) -> str:
        """File name without folder and suffix."""
        return Path(self.file_name).stem


@dataclass
class CocoDataset:
    """Images, kinds of objects, and the objects of each image.

    Attributes
    ----------
    images
        In the file's order.
    categories
        In the file's order; `Instances.categories` are positions in this list.
    instances
        Objects of each image by image id, an entry for every image. Column ``annotation_id``
        keeps the file's ids, ``iscrowd`` is there when an annotation has it, and every further
        key that all annotations of an image share becomes a column too.
    info
        Provenance: the file's ``info`` record.
    folder
        Where relative file names start, or None for a dataset that is in no file yet.
    left_out
        Images without labels and labels without an image, of a folder that holds both. No reader
        refuses them; whoever is about to learn from the rest should say so.
    """

    images: list[CocoImage]
    categories: list[Category]
    instances: dict[ImageId, Instances]
    info: dict[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    left_out: tuple[Fault, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    @property
    def category_names(self) -> list[str]:
        """Names of the categories in order."""
        return [category.name for category in self.categories]

    @property
    def object_count(self) -> int:
        """Number of objects in all images."""
        return sum(len(self.instances[image.id]) for image in self.images)

    def image_path(self, image: CocoImage) -> Path:
        """Path of an image's file; says nothing about whether it exists.

        File names start at `folder`. Where results lie in another folder than their images, the
        record's ``source`` (a path from `folder`) or ``info["image_root"]`` leads there.
        """
        folder = self.folder or Path()
        beside = folder / image.file_name
        if beside.exists():
            return beside
        if image.extra.get("source"):
            return folder / str(image.extra["source"])
        root = self.info.get("image_root")
        return folder / root / image.file_name if root else beside

    def select(self, keep: Callable[[CocoImage], bool]) -> CocoDataset:
        """Dataset of the images for which `keep` is true; shares their objects."""
        images = [image for image in self.images if keep(image)]
        instances = {image.id: self.instances[image.id] for image in images}
        return replace(self, images=images, instances=instances)

    def split(self, name: str) -> CocoDataset:
        """Dataset of the images whose record says ``split`` is `name`, such as ``"val"``."""
        return self.select(lambda image: image.extra.get("split") == name)
