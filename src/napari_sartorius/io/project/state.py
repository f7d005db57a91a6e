"""What a project holds: read from its folder, brought up to date by its journal, looked at.

Nothing here changes a project; that is in `napari_sartorius.io.project.project`.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, get_args

from napari_sartorius.core.categories import Category
from napari_sartorius.core.wording import agree, plural
from napari_sartorius.io.coco import CocoImage
from napari_sartorius.io.project import folder as names
from napari_sartorius.io.project.edit import LabelEdit
from napari_sartorius.io.project.journal import Journal
from napari_sartorius.io.project.lock import ProjectLock
from napari_sartorius.io.project.records import NAMESPACE, label_of, plane_of, records_of
from napari_sartorius.io.project.stored import StoredAnnotations

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_sartorius.io.coco_dataset import CocoDataset, ImageId
    from napari_sartorius.io.project.plane import AnnotatedPlane

Status = Literal["new", "segmented", "in review", "done"]
"""How far the work on an image is."""

Place = tuple[int, int, int, int]
"""First row, first column, last row + 1, last column + 1."""

FORMAT = 1
"""Of the project folder; a larger one is from a newer version."""


class ProjectState:
    """The state of an open project; `Project` has the ways to change it.

    Attributes
    ----------
    folder
        Where it lies.
    categories
        Kinds of objects, in order.
    images
        A record for every plane of every image file, in the order in which they were added.
    read_only
        Why nothing can be changed, as the end of a sentence; None when it can.
    restored
        What opening had to put right, in one sentence; None when the project had been closed well.
    unsaved
        Number of edits that are in the journal only.
    saved_at
        When ``annotations.json`` was last written.
    """

    def __init__(self, folder: Path, dataset: CocoDataset, annotations: list[Any]) -> None:
        self.folder = folder
        self.categories: list[Category] = list(dataset.categories)
        self.images: list[CocoImage] = list(dataset.images)
        self.read_only: str | None = None
        self.restored: str | None = None
        self.unsaved = 0
        self.saved_at: datetime | None = None
        self._stored = StoredAnnotations([image.id for image in self.images], annotations)
        self._planes: dict[ImageId, AnnotatedPlane] = {}
        self._changed: set[ImageId] = set()
        self._lock = ProjectLock(folder)
        saved = dataset.info.get(NAMESPACE, {})
        self._journal = Journal(folder / names.JOURNAL, int(saved.get("edits", 0)))

    def image(self, number: ImageId) -> CocoImage:
        """Record of an image; KeyError when there is none."""
        for image in self.images:
            if image.id == number:
                return image
        raise KeyError(number)

    def image_path(self, image: CocoImage) -> Path:
        """Where an image's file should be."""
        return self.folder / image.file_name

    def missing_files(self) -> list[str]:
        """File names of images that are not where they should be, each once."""
        wanted = dict.fromkeys(image.file_name for image in self.images)
        return [name for name in wanted if not (self.folder / name).is_file()]

    def status(self, image: CocoImage) -> Status:
        """How far the work on an image is."""
        found = image.extra.get(NAMESPACE, {}).get("status", "new")
        return found if found in get_args(Status) else "new"

    def no_cells(self, image: CocoImage) -> list[Place]:
        """Places of an image where a person said that there is no cell."""
        found = image.extra.get(NAMESPACE, {}).get("no_cell", [])
        return [(int(p[0]), int(p[1]), int(p[2]), int(p[3])) for p in found if len(p) == 4]

    def object_count(self, number: ImageId) -> int:
        """Number of objects in an image."""
        if number in self._planes:
            return self._planes[number].count()
        return len(self._stored.of(number))

    def plane(self, number: ImageId) -> AnnotatedPlane:
        """State of an image's objects; change it through `record` only."""
        if number not in self._planes:
            self._planes[number] = plane_of(
                self._stored.of(number),
                self.image(number).size,
                {category.id: category.name for category in self.categories},
                self.folder / names.ANNOTATIONS,
                self.next_label(self.image(number).file_name),
            )
        return self._planes[number]

    def planes_of(self, file_name: str) -> list[CocoImage]:
        """Records of an image file, one for each of its planes."""
        return [image for image in self.images if image.file_name == file_name]

    def next_label(self, file_name: str) -> int:
        """A label value above all that the planes of a file have or had."""
        highest = 0
        for image in self.planes_of(file_name):
            if image.id in self._planes:
                highest = max(highest, self._planes[image.id].next_label() - 1)
            else:
                highest = max([highest, *map(label_of, self._stored.of(image.id))])
        return highest + 1

    def release(self, number: ImageId) -> None:
        """Give back the memory of an image's state; what is not saved yet stays."""
        if number not in self._changed:
            self._planes.pop(number, None)

    def saved_text(self) -> str:
        """How much is saved, for a status line: "saved 10:42, 3 edits since"."""
        when = "not saved yet"
        if self.saved_at is not None:
            today = self.saved_at.date() == datetime.now().date()
            when = f"saved {self.saved_at:{'%H:%M' if today else '%d %b %H:%M'}}"
        if not self.unsaved:
            return when
        return f"{when}, {plural(self.unsaved, 'edit')} since"

    def text(self) -> str:
        """What `save` would write."""
        return self._text(self.images)

    def take_over(self) -> None:
        """Lock the project for this process, or read only; then catch up with the journal."""
        self.read_only = self._lock.take()
        self._replay()

    # -- inside ----------------------------------------------------------------------------------

    def _apply(self, edit: LabelEdit) -> None:
        self.plane(edit.image).apply(edit)
        self._changed.add(edit.image)

    def _note(self, number: ImageId, name: str, value: Any) -> None:
        """Write one of our own notes into the record of an image."""
        for n, image in enumerate(self.images):
            if image.id == number:
                noted = image.extra.get(NAMESPACE, {}) | {name: value}
                extra = image.extra | {NAMESPACE: noted}
                self.images[n] = CocoImage(
                    image.id, image.file_name, image.width, image.height, extra
                )

    def _text(self, images: Sequence[CocoImage]) -> str:
        """The COCO file with these images."""
        ids = {category.name: category.id for category in self.categories}
        for number in sorted(self._changed, key=str):
            free = self._stored.next_id()
            self._stored.replace(number, records_of(self.plane(number), number, ids, free))
        self._changed.clear()
        from napari_sartorius import __version__

        info = {
            "software": f"napari-sartorius {__version__}",
            NAMESPACE: {"project": FORMAT, "edits": self._journal.last},
        }
        return self._stored.text(info, self.categories, images)

    def _replay(self) -> None:
        """Make the edits of the journal again; says in `restored` what happened."""
        entries, damaged = self._journal.read()
        if self.read_only is not None:
            damaged = 0  # the other window may be writing the last line right now
        for entry in entries:
            self._replay_one(entry.content)
        said = []
        if entries:
            count = len(entries)
            were = agree(count, "was", "were")
            said.append(f"{plural(count, 'edit')} made after the last save {were} restored")
        if damaged:
            said.append("the end of the journal was damaged and could not be read")
        self.unsaved = len(entries)
        self.restored = "; ".join(said) or None
        if damaged:
            copy = self._journal.set_aside_tail(damaged)
            self.restored = f"{self.restored} (a copy is kept as {copy.name})"

    def _replay_one(self, content: dict[str, Any]) -> None:
        kind = content.get("kind")
        if kind == "edit":
            self._apply(LabelEdit.from_json(content))
        elif kind == "status":
            self._note(content["image"], "status", content["status"])
        elif kind == "no cell":
            self._note(content["image"], "no_cell", content["places"])
        elif kind == "category":
            self.categories.append(Category(content["id"], content["name"], content["colour"]))
