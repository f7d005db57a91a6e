"""Where images of a project come from: files, a folder, or layers of the viewer."""

from __future__ import annotations

import math
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from qtpy.QtWidgets import QMenu

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Cancelled
from napari_sartorius.core.wording import agree, plural
from napari_sartorius.io.dataset_from_layers import layer_labels, layer_pixel_size, lead_axes
from napari_sartorius.io.image_writing import write_image_planes
from napari_sartorius.io.images import IMAGE_SUFFIXES
from napari_sartorius.io.placement import layer_steps
from napari_sartorius.io.project import folder as names
from napari_sartorius.io.project.adding import tell_nobody
from napari_sartorius.io.project.layer_cells import add_layer_cells
from napari_sartorius.ui import image_source
from napari_sartorius.ui.image_panel import is_image
from napari_sartorius.ui.project import questions
from napari_sartorius.ui.project.wait_dialog import WaitDialog
from napari_sartorius.ui.result_view import is_result, provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari.components import LayerList, ViewerModel
    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_sartorius.io.project import Project
    from napari_sartorius.io.project.adding import Tell
    from napari_sartorius.ui.project.project_tab import ProjectTab
    from napari_sartorius.ui.project.session import ProjectSession

_TOLD = 3  # names in a sentence; the rest is a number


@dataclass
class Added:
    """What came into the project.

    Attributes
    ----------
    images
        Number of image files.
    cells
        Number of cells that came with them.
    left_out
        One sentence for each thing that did not come.
    """

    images: int = 0
    cells: int = 0
    left_out: list[str] = field(default_factory=list)

    def sentence(self) -> str:
        """Return it in words."""
        text = f"{plural(self.images, 'image')} added"
        if self.cells:
            text += f" with {plural(self.cells, 'cell')}"
        more = len(self.left_out) - _TOLD
        told = [*self.left_out[:_TOLD], *([f"And {more:,} more left out."] if more > 0 else [])]
        return " ".join([f"{text}.", *told])


class AddMenu(QMenu):
    """The menu of the button that adds images.

    Parameters
    ----------
    tab : ProjectTab
        Says what came of it.
    viewer : ViewerModel
        Its layers are offered.
    """

    def __init__(self, tab: ProjectTab, viewer: ViewerModel) -> None:
        super().__init__(tab)
        self._tab = tab
        self._viewer = viewer
        self.addAction("Files …").triggered.connect(lambda _=False: tab.add(questions.images(tab)))
        self.addAction("Folder …").triggered.connect(
            lambda _=False: self.add_folder(questions.images_folder(tab))
        )
        self.layers_action = self.addAction("Shown image layers")
        self.layers_action.triggered.connect(lambda _=False: self.add_layers())

    def add_files(self, paths: list[str]) -> None:
        """Add image files, all or none; errors as `ProjectSession.add_files`."""
        with suppress(Cancelled), WaitDialog("Adding images", self._tab) as dialog:
            self._tab.session.add_files(paths, tell=dialog.tell)

    def add_folder(self, folder: str | Path) -> None:
        """Add all images in a folder and below it."""
        if folder:
            self._tab.bring(lambda: self._add_folder(Path(folder)))

    def add_layers(self) -> None:
        """Add the selected image layers, else all that are visible."""
        self._tab.bring(self._add_layers)

    def _add_folder(self, folder: Path) -> Added:
        with WaitDialog("Adding images", self._tab) as dialog:
            return add_folder(self._tab.session, folder, dialog.tell)

    def _add_layers(self) -> Added:
        with WaitDialog("Adding images", self._tab) as dialog:
            return add_layers(self._tab.session, self._viewer.layers, dialog.tell)


def add_folder(session: ProjectSession, folder: Path, tell: Tell = tell_nobody) -> Added:
    """Add the image files in a folder and below it; others are told.

    Parameters
    ----------
    session
        With the project.
    folder
        Where to look.
    tell
        Called before each file with what is being done and how much of all has been, 0..1; when it
        raises `Cancelled`, nothing is added.

    Raises
    ------
    UserError
        When the project is read-only or cannot be saved.
    """
    project = session.project
    came = Added()
    if project is None:
        return came
    images, strays = _files_below(folder, project.folder)
    try:
        records = project.add_files(images, unreadable=came.left_out, tell=tell)
    except Cancelled:
        return Added(left_out=["Cancelled: the project is as it was."])
    files = list(dict.fromkeys(record.file_name for record in records))
    came.images = len(files)
    known = len(images) - len(files) - len(came.left_out)
    if known:
        were = agree(known, "was", "were")
        came.left_out.insert(0, f"{plural(known, 'image')} {were} in the project already.")
    if strays:
        some = ", ".join(path.name for path in strays[:_TOLD])
        some += ", …" if len(strays) > _TOLD else ""
        are = agree(len(strays), "is no image", "are no images")
        came.left_out.insert(0, f"{plural(len(strays), 'file')} {are}: {some}.")
    if not images:
        came.left_out.insert(0, f"{folder} holds no PNG, JPEG or TIFF file.")
    session.list_added(files)
    return came


def _files_below(folder: Path, project: Path) -> tuple[list[Path], list[Path]]:
    """Image files and others in a folder; what is hidden, or the project's own, is passed over."""
    images, strays = [], []
    for place, below, files in os.walk(folder):
        below[:] = sorted(
            name
            for name in below
            if not name.startswith(".") and Path(place, name).resolve() != project.resolve()
        )
        for name in sorted(files):
            if not name.startswith("."):
                kind = Path(name).suffix.lower() in IMAGE_SUFFIXES
                (images if kind else strays).append(Path(place, name))
    return images, strays


def add_layers(
    session: ProjectSession,
    layers: LayerList,
    tell: Tell = tell_nobody,
) -> Added:
    """Write image layers into the project's folder and add them, with the cells found in them.

    Parameters
    ----------
    session
        With the project.
    layers
        The viewer's; see `_chosen`.
    tell
        Called before each plane with what is being done and how much of all has been, 0..1; when it
        raises `Cancelled`, the layers before the present one stay.

    Raises
    ------
    UserError
        When the project is read-only.
    """
    project = session.project
    came = Added()
    if project is None:
        return came
    project.check_writable()
    files: list[str] = []
    chosen = _chosen(session, layers)
    if not chosen:
        came.left_out.append(
            "No image layer to add: open an image in the viewer, and select its layer if there "
            "are several."
        )
    for n, layer in enumerate(chosen):

        def here(share: float, n: int = n, name: str = layer.name) -> None:
            tell(f"Adding {name}, {n + 1} of {len(chosen)}", (n + share) / len(chosen))

        try:
            name = _add_image(project, layer, here)
            files.append(name)
            came.images += 1
            cells = _cells_of(layer, layers, came)
            if cells is not None:
                labels = layer_labels(cells.data, {"name": cells.name})
                came.cells += add_layer_cells(project, name, labels, cells.features)
        except UserError as error:
            came.left_out.append(str(error))
        except Cancelled:
            left = len(chosen) - n
            came.left_out.append(f"Cancelled; {plural(left, 'layer')} left out.")
            break
    session.list_added(files)
    session.save()
    return came


def _chosen(session: ProjectSession, layers: LayerList) -> list[Image]:
    """Images that are selected or were segmented into selected labels, else all visible ones."""
    offered = [layer for layer in layers if is_image(layer) and not session.owns(layer)]
    meant = {provenance(one).get("image") for one in layers.selection if isinstance(one, Labels)}
    selected = [one for one in offered if one in layers.selection or one.name in meant]
    return selected or [layer for layer in offered if layer.visible]


def _add_image(project: Project, layer: Image, tell: Callable[[float], None]) -> str:
    """Write a layer's pixels and add them; returns the file's name in the project."""
    if (why := image_source.why_unusable(layer)) is not None:
        raise UserError(why)
    leading = image_source.leading_shape(layer)
    sizes = {"axis_labels": layer.axis_labels, "scale": layer.scale, "units": layer.units}
    axes = lead_axes(sizes, len(leading))
    if len(axes) != len(leading):
        raise UserError(
            f"'{layer.name}' has {len(leading)} axes in front of (y, x), expected at most 2 (time, "
            "z): take one slice of it as a layer of its own."
        )
    data = image_source.full_resolution(layer)
    path = names.free_name(project.folder / names.IMAGES, f"{_file_stem(layer.name)}.tif")
    pixels = path, _planes(layer, leading, tell), tuple(map(int, data.shape)), data.dtype
    write_image_planes(
        *pixels,
        axes=axes + ("YXS" if layer.rgb else "YX"),
        pixel_size=layer_pixel_size(sizes),
        steps=layer_steps(sizes, axes),
    )
    try:
        return project.add_files([path])[0].file_name
    except UserError:
        path.unlink(missing_ok=True)
        raise


def _planes(
    layer: Image, leading: tuple[int, ...], tell: Callable[[float], None]
) -> Iterator[NDArray[Any]]:
    count = math.prod(leading)
    for n, index in enumerate(np.ndindex(*leading)):
        tell(n / count)
        yield image_source.take_plane(layer, index)


def _file_stem(name: str) -> str:
    """A layer's name without what file systems do not take."""
    return re.sub(r"[^\w.()+-]+", "_", name).strip("_.")[:100] or "image"


def _cells_of(image: Image, layers: Sequence[Any], came: Added) -> Labels | None:
    """The labels that a run of ours made of an image: the uppermost, a visible one first."""
    ours = [one for one in layers if is_result(one) and provenance(one).get("image") == image.name]
    shape = (*image_source.leading_shape(image), *image_source.plane_shape(image))
    fitting = [one for one in ours if tuple(one.data.shape) == shape]
    if ours and not fitting:
        came.left_out.append(
            f"The cells of '{ours[-1].name}' stay out because they do not cover all of "
            f"'{image.name}': segment all slices, or segment it in the project."
        )
    visible = [one for one in fitting if one.visible]
    return (visible or fitting or [None])[-1]
