"""A biologist's work on many images as one folder that survives crashes, moves and other programs.

``annotations.json`` is a COCO dataset that any COCO tool reads; ``journal.jsonl`` holds the edits
since it was last written. Opening a project makes these edits again, so nothing is lost whenever
the program dies.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sartorius.core.categories import Category, default_colour
from napari_sartorius.core.errors import UserError
from napari_sartorius.io.atomic import write_text
from napari_sartorius.io.project import folder as names
from napari_sartorius.io.project.adding import records_of_files, tell_nobody
from napari_sartorius.io.project.records import NAMESPACE
from napari_sartorius.io.project.state import ProjectState, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari_sartorius.io.coco_dataset import CocoImage, ImageId
    from napari_sartorius.io.project.adding import Tell
    from napari_sartorius.io.project.edit import LabelEdit
    from napari_sartorius.io.project.state import Place


class Project(ProjectState):
    """An open project.

    Use `create_project` and `open_project`; close it when done.
    """

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
        self._note(number, "status", status)

    def set_no_cells(self, number: ImageId, places: Sequence[Place]) -> None:
        """Note all places of an image where there is no cell, however it looks; as `record`."""
        content = [list(map(int, place)) for place in places]
        self._journaled("no cell", {"image": number, "places": content})
        self._note(number, "no_cell", content)

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
        tell: Tell = tell_nobody,
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
        tell
            Called before each file with what is being done and how much of all has been, 0..1;
            when it raises, nothing is added.

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
        added = records_of_files(
            fresh, self.folder, first, copy=copy, unreadable=unreadable, tell=tell
        )
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
        self.point_to(moved)
        self.save()
        return list(moved)

    def point_to(self, moved: Mapping[str, Path]) -> None:
        """Take other files, by their present names, for those of images; saves nothing."""
        for n, image in enumerate(self.images):
            if image.file_name in moved:
                new = names.relative_name(moved[image.file_name], self.folder)
                self.images[n] = replace(image, file_name=new)

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

    def _journaled(self, kind: str, content: dict[str, Any]) -> None:
        self.check_writable()
        self._journal.append(
            {"kind": kind, "time": f"{datetime.now():%Y-%m-%dT%H:%M:%S}"} | content
        )
        self.unsaved += 1
