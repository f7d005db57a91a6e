"""A biologist's work on many images as one folder that survives crashes, moves and other programs.

``annotations.json`` is a COCO dataset that any COCO tool reads; ``journal.jsonl`` holds the edits
since it was last written. Opening a project makes these edits again, so nothing is lost whenever
the program dies.
"""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from napari_sartorius.core.categories import Category, default_colour
from napari_sartorius.core.errors import UserError
from napari_sartorius.io.atomic import write_text
from napari_sartorius.io.coco import CocoImage
from napari_sartorius.io.project import folder as names
from napari_sartorius.io.project.adding import records_of_files
from napari_sartorius.io.project.edit import LabelEdit
from napari_sartorius.io.project.journal import Journal
from napari_sartorius.io.project.lock import ProjectLock
from napari_sartorius.io.project.records import NAMESPACE, label_of, plane_of, records_of
from napari_sartorius.io.project.stored import StoredAnnotations

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_sartorius.io.coco_dataset import CocoDataset, ImageId
    from napari_sartorius.io.project.plane import AnnotatedPlane

Status = Literal["new", "segmented", "in review", "done"]
"""How far the work on an image is."""

FORMAT = 1
"""Of the project folder; a larger one is from a newer version."""


class Project:
    """An open project.

    Use `create_project` and `open_project`; close it when done.

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

    # -- looking ---------------------------------------------------------------------------------

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
        return f"{when}, {self.unsaved} edit{'s' if self.unsaved > 1 else ''} since"

    # -- changing --------------------------------------------------------------------------------

    def check_writable(self) -> None:
        """Refuse to go on when nothing can be changed: UserError says why."""
        if self.read_only is not None:
            raise UserError(
                f"the project {self.folder} cannot be changed because {self.read_only}; "
                "close the other one or make a copy of the folder"
            )

    def record(self, edit: LabelEdit) -> None:
        """Make an edit: it is on the disk when this returns.

        Raises
        ------
        UserError
            When the project is read-only or the journal cannot be written; the edit is not made.
        ValueError
            When the edit does not fit its image.
        """
        self.check_writable()
        self.plane(edit.image).check(edit)
        for row in edit.rows.values():
            if row is not None and row.get("category") is not None:
                self.add_category(str(row["category"]))
        self._journaled("edit", edit.to_json())
        self._apply(edit)

    def set_status(self, number: ImageId, status: Status) -> None:
        """Note how far the work on an image is; errors as `record`."""
        self._journaled("status", {"image": number, "status": status})
        self._note_status(number, status)

    def add_category(self, name: str, colour: str | None = None) -> Category:
        """Add a kind of object, or return the one of that name; errors as `record`."""
        for category in self.categories:
            if category.name == name:
                return category
        number = max([0, *(category.id for category in self.categories)]) + 1
        category = Category(number, name, colour or default_colour(len(self.categories)))
        self._journaled("category", {"id": number, "name": name, "colour": category.colour})
        self.categories.append(category)
        return category

    def add_files(
        self,
        paths: Iterable[str | Path],
        *,
        copy: bool = False,
        unreadable: list[str] | None = None,
    ) -> list[CocoImage]:
        """Add image files, each plane of a stack as an image of its own.

        Parameters
        ----------
        paths
            PNG, JPEG or TIFF files; one that is in the project already is passed over.
        copy
            Copy the files into the project's folder ``images`` instead of pointing to them.
        unreadable
            Takes a sentence for each file that is no readable image; the others are added.

        Returns
        -------
        list of CocoImage
            The new records; the project is saved with them.

        Raises
        ------
        UserError
            Naming the first file that is no readable image, without `unreadable`; nothing is
            added then.
        """
        self.check_writable()
        known = {(self.folder / image.file_name).resolve() for image in self.images}
        unknown = [path for path in map(Path, paths) if path.resolve() not in known]
        first = 1 + max([0, *(i.id for i in self.images if isinstance(i.id, int))])
        fresh = list(dict.fromkeys(unknown))
        added = records_of_files(fresh, self.folder, first, copy=copy, unreadable=unreadable)
        for image in added:
            self.images.append(image)
            self._stored.replace(image.id, [])
        if added:
            self.save()
        return added

    def find_again(self, file_name: str, path: str | Path) -> list[str]:
        """Tell where a missing image file is now; others that moved with it are found, too.

        Parameters
        ----------
        file_name
            One of `missing_files`.
        path
            The same file at its new place.

        Returns
        -------
        list of str
            File names that were missing and are found now, by their old names.
        """
        self.check_writable()
        path = Path(path)
        if not path.is_file():
            raise UserError(f"{path} does not exist: choose the file that is missing.")
        moved = {file_name: path}
        for other in self.missing_files():
            candidate = names.moved_alike(Path(file_name), path, Path(other))
            if other != file_name and candidate is not None and candidate.is_file():
                moved[other] = candidate
        for n, image in enumerate(self.images):
            if image.file_name in moved:
                new = names.relative_name(moved[image.file_name], self.folder)
                self.images[n] = CocoImage(image.id, new, image.width, image.height, image.extra)
        self.save()
        return list(moved)

    def remove_image(self, number: ImageId) -> Path:
        """Move an image's objects, and its file if the project has a copy, to the trash folder.

        Returns
        -------
        Path
            The folder in the trash; its ``annotations.json`` is a COCO dataset of its own.
        """
        self.check_writable()
        image = self.image(number)
        name = f"{datetime.now():%Y%m%d-%H%M%S}-{image.stem}"
        place = names.free_name(self.folder / names.TRASH, name)
        write_text(place / names.ANNOTATIONS, self._text([image]))
        others = [one for one in self.images if one.id != number]
        copied = image.extra.get(NAMESPACE, {}).get("copied", False)
        self.images = others
        self._planes.pop(number, None)
        self._stored.remove(number)
        self._changed.discard(number)
        self.save()
        if copied and all(one.file_name != image.file_name for one in others):
            shutil.move(self.folder / image.file_name, place / Path(image.file_name).name)
        return place

    def save(self) -> None:
        """Write ``annotations.json`` with all edits, then begin a new journal.

        Raises
        ------
        UserError
            When it cannot be written; the old file and the journal stay as they are.
        """
        self.check_writable()
        write_text(self.folder / names.ANNOTATIONS, self._text(self.images))
        self.unsaved = 0
        self.saved_at = datetime.now()
        self._journal.restart()

    def text(self) -> str:
        """What `save` would write."""
        return self._text(self.images)

    def give_back(self) -> None:
        """Let others open the project; what is not saved stays in the journal."""
        self._lock.give_back()
        self.read_only = self.read_only or "it was closed"

    def close(self) -> None:
        """Save what is not saved, and let others open the project."""
        try:
            if self.read_only is None and self.unsaved:
                self.save()
        finally:
            self.give_back()

    # -- inside ----------------------------------------------------------------------------------

    def take_over(self) -> None:
        """Lock the project for this process, or read only; then catch up with the journal."""
        self.read_only = self._lock.take()
        self._replay()

    def _journaled(self, kind: str, content: dict[str, Any]) -> None:
        self.check_writable()
        self._journal.append(
            {"kind": kind, "time": f"{datetime.now():%Y-%m-%dT%H:%M:%S}"} | content
        )
        self.unsaved += 1

    def _apply(self, edit: LabelEdit) -> None:
        self.plane(edit.image).apply(edit)
        self._changed.add(edit.image)

    def _note_status(self, number: ImageId, status: Status) -> None:
        for n, image in enumerate(self.images):
            if image.id == number:
                noted = image.extra.get(NAMESPACE, {}) | {"status": status}
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
            edits = "1 edit" if count == 1 else f"{count:,} edits"
            verb = "was" if count == 1 else "were"
            said.append(f"{edits} made after the last save {verb} restored")
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
            self._note_status(content["image"], content["status"])
        elif kind == "category":
            self.categories.append(Category(content["id"], content["name"], content["colour"]))
