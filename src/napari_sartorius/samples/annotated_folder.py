"""Generated pictures and their truth as files, for whoever learns from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from napari_sartorius.io.coco import CocoDataset, CocoImage, write_coco

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from napari_sartorius.core.categories import Category
    from napari_sartorius.core.instances import Instances
    from napari_sartorius.io.coco import ImageId


def write_annotated_folder(
    folder: str | Path,
    scenes: Iterable[tuple[NDArray[Any], Instances, str]],
    categories: Sequence[Category],
) -> Path:
    """Write pictures ``1.png``, ``2.png`` ... and ``annotations.json``.

    Parameters
    ----------
    folder
        Where to; it is made, files of the same names are replaced.
    scenes
        Picture, (H, W) or (H, W, 3) uint8, its objects, and the split that it belongs to.
    categories
        Of the objects.

    Returns
    -------
    Path
        Of ``annotations.json``.

    Raises
    ------
    UserError
        When the annotations cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    images: list[CocoImage] = []
    instances: dict[ImageId, Instances] = {}
    for number, (picture, truth, split) in enumerate(scenes, start=1):
        height, width = picture.shape[:2]
        Image.fromarray(picture).save(folder / f"{number}.png")
        images.append(CocoImage(number, f"{number}.png", width, height, {"split": split}))
        instances[number] = truth
    path = folder / "annotations.json"
    write_coco(path, CocoDataset(images, list(categories), instances))
    return path
