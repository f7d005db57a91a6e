"""A project keeps what a biologist did: over closing, moving, other programs and second windows."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PIL import Image
from pycocotools.coco import COCO

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.progress import Cancelled
from napari_sartorius.io.coco import read_coco
from napari_sartorius.io.project import (
    LabelEdit,
    Project,
    create_project,
    edit_between,
    open_project,
)
from napari_sartorius.io.project.deleting import trash_project

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "microscope" / "day 1"
    folder.mkdir(parents=True)
    paths = []
    for n in range(3):
        path = folder / f"field_{n}.png"
        Image.fromarray(np.full((40, 60), 50 * n + 20, np.uint8)).save(path)
        paths.append(path)
    return paths


@pytest.fixture
def project(tmp_path: Path, pictures: list[Path]) -> Project:
    made = create_project(tmp_path / "work", ["round", "long"])
    made.add_files(pictures)
    return made


def square(label: int, top: int = 4, left: int = 6, side: int = 5, image: int = 1) -> LabelEdit:
    values = np.full((side, side), label, np.uint32)
    row = {"category": "round", "score": 0.5, "source": "drawn", "reviewed": False}
    return LabelEdit(image, (top, left, top + side, left + side), values, {label: row})


def state(project: Project, image: int = 1) -> tuple[NDArray[np.uint32], dict[int, object]]:
    plane = project.plane(image)
    return plane.values.astype(np.uint32), {label: dict(row) for label, row in plane.rows.items()}


def assert_same(one: Project, other: Project) -> None:
    assert [c.name for c in one.categories] == [c.name for c in other.categories]
    assert one.images == other.images
    for image in one.images:
        values, rows = state(one, image.id)
        other_values, other_rows = state(other, image.id)
        np.testing.assert_array_equal(values, other_values)
        shown = set(np.unique(values)) - {0}
        assert {k: v for k, v in rows.items() if k in shown} == {
            k: v for k, v in other_rows.items() if k in shown
        }


def test_edits_are_there_after_closing(project: Project) -> None:
    project.record(square(1))
    project.record(square(2, top=20, image=2))
    project.set_status(1, "in review")
    assert project.saved_text().endswith(", 3 edits since")
    project.close()
    again = open_project(project.folder)
    assert again.restored is None
    assert_same(project, again)
    assert again.status(again.images[0]) == "in review"
    assert (state(again)[0] == 1).sum() == 25
    assert again.plane(1).rows[1]["source"] == "drawn"


def test_edits_are_there_without_closing(project: Project) -> None:
    project.record(square(1))
    project.add_category("dead")
    project.set_status(2, "done")
    project._lock.give_back()  # what the system does when a process dies
    again = open_project(project.folder)
    assert again.restored == "3 edits made after the last save were restored"
    assert again.saved_text().startswith("saved ")
    assert again.saved_text().endswith(", 3 edits since")
    assert_same(project, again)
    again.save()
    again.close()
    last = open_project(project.folder)
    assert last.restored is None
    assert_same(project, last)


def test_a_kill_between_saving_and_the_new_journal_makes_no_edit_twice(project: Project) -> None:
    project.record(square(1))
    project.record(LabelEdit(1, (4, 6, 9, 11), np.zeros((5, 5), np.uint32), {1: None}))
    project.record(square(7))
    journal = (project.folder / "journal.jsonl").read_bytes()
    project.save()
    (project.folder / "journal.jsonl").write_bytes(journal)
    project._lock.give_back()
    again = open_project(project.folder)
    assert again.restored is None
    assert_same(project, again)


def test_the_file_is_coco_for_everybody(project: Project) -> None:
    edit = square(3)
    project.record(edit)
    project.record(LabelEdit(1, rows={3: {"category": "long", "score": float("nan")}}))
    project.save()
    path = project.folder / "annotations.json"
    assert "NaN" not in path.read_text()
    theirs = COCO(str(path))
    (annotation,) = theirs.loadAnns(theirs.getAnnIds())
    assert theirs.loadCats(annotation["category_id"])[0]["name"] == "long"
    mask = theirs.annToMask(annotation).astype(bool)
    np.testing.assert_array_equal(mask, project.plane(1).values == 3)
    ours = read_coco(path)
    assert ours.image_path(ours.images[0]).is_file()
    assert ours.object_count == 1


def test_overlapping_objects_survive_what_a_label_image_cannot_hold(project: Project) -> None:
    full = np.zeros((2, 40, 60), bool)
    full[0, 5:15, 5:15] = True
    full[1, 10:20, 10:20] = True
    project.save()
    path = project.folder / "annotations.json"
    content = json.loads(path.read_text())
    content["annotations"] = [
        {"id": 10 + n, "image_id": 1, "category_id": 2, "iscrowd": 0, "segmentation": code}
        for n, code in enumerate(CropMasks.from_full(full).to_rle())
    ]
    path.write_text(json.dumps(content))
    project._lock.give_back()
    again = open_project(project.folder)
    plane = again.plane(1)
    assert plane.flattened() == [2]
    assert int((plane.values == 2).sum()) == 75
    again.record(square(9, top=30, left=30))
    # an edit and its undo: the object is as it was stored, with the part that is not shown
    before = plane.values.copy()
    after = before.copy()
    after[16:18, 16:18] = 0
    for one, other in ((before, after), (after, before)):
        edit = edit_between(1, one, other)
        assert edit is not None
        assert edit.box == (16, 16, 18, 18)
        again.record(edit)
    again.save()
    areas = {a["id"]: a["area"] for a in json.loads(path.read_text())["annotations"]}
    assert areas == {10: 100, 11: 100, 12: 25}


def test_unsaved_images_only_are_written_anew(project: Project) -> None:
    project.record(square(1))
    project.save()
    first = json.loads((project.folder / "annotations.json").read_text())["annotations"]
    project.record(square(1, image=2))
    project.save()
    second = json.loads((project.folder / "annotations.json").read_text())["annotations"]
    assert second[:1] == first
    assert [record["id"] for record in second] == [1, 2]
    assert [project.object_count(image.id) for image in project.images] == [1, 1, 0]
    project.release(1)
    assert project.object_count(1) == 1
    assert (state(project)[0] == 1).sum() == 25


def test_a_second_window_reads_only(project: Project) -> None:
    project.record(square(1))
    second = open_project(project.folder)
    assert second.read_only == "it is open in another window"
    assert_same(project, second)
    for change in (
        lambda: second.record(square(2)),
        lambda: second.set_status(1, "done"),
        second.save,
    ):
        with pytest.raises(UserError, match="because it is open in another window"):
            change()
    second.close()
    project.record(square(2, left=20))
    project.close()
    with pytest.raises(UserError, match="because it was closed"):
        project.record(square(3))
    third = open_project(project.folder)
    assert third.read_only is None
    third.close()


def test_a_project_that_moved_with_its_images_opens(
    tmp_path: Path, project: Project, pictures: list[Path]
) -> None:
    project.close()
    shutil.move(tmp_path, tmp_path.with_name(f"{tmp_path.name} moved"))
    moved = open_project(tmp_path.with_name(f"{tmp_path.name} moved") / "work")
    assert moved.missing_files() == []
    moved.close()


@pytest.mark.parametrize("restored", ["work", "a/b/work", "trash"])
def test_a_project_in_the_trash_finds_its_images_from_anywhere(
    tmp_path: Path, project: Project, pictures: list[Path], restored: str
) -> None:
    project.close()
    place = trash_project(project.folder)
    if restored != "trash":
        target = tmp_path / restored
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(place, target)
        place = target
    again = open_project(place)
    assert again.missing_files() == []
    assert sorted(again.image_path(one).resolve() for one in again.images) == sorted(
        path.resolve() for path in pictures
    )
    again.close()
    home = tmp_path / "home again"  # once more, from where it was seen last
    shutil.move(place, home)
    once_more = open_project(home)
    assert once_more.missing_files() == []
    once_more.close()


def test_a_project_in_the_trash_that_is_only_looked_at_is_not_changed(
    project: Project, pictures: list[Path]
) -> None:
    project.close()
    place = trash_project(project.folder)
    first, before = open_project(place), (place / "annotations.json").read_bytes()
    names = [image.file_name for image in first.images]
    second = open_project(place)
    assert second.read_only is not None
    assert second.missing_files() == []
    assert (place / "annotations.json").read_bytes() == before
    assert [image.file_name for image in second.images] == names
    first.close()


def test_nothing_stays_copied_when_copying_is_stopped(
    project: Project, pictures: list[Path], tmp_path: Path
) -> None:
    copies = [tmp_path / "more" / f"{n}.png" for n in range(3)]
    copies[0].parent.mkdir()
    for copy in copies:
        shutil.copy(pictures[0], copy)
    told: list[float] = []

    def stop(stage: str, share: float) -> None:
        told.append(share)
        if stage.startswith("Copying 2"):
            raise Cancelled

    before = list(project.images)
    with pytest.raises(Cancelled):
        project.add_files(copies, copy=True, tell=stop)
    assert told == sorted(told)
    assert len(told) == 6
    assert project.images == before
    assert list((project.folder / "images").iterdir()) == []


def test_missing_images_are_asked_for_once(
    tmp_path: Path, project: Project, pictures: list[Path]
) -> None:
    elsewhere = tmp_path / "other disk" / "copy"
    elsewhere.parent.mkdir()
    shutil.move(pictures[0].parents[1], elsewhere)
    missing = project.missing_files()
    assert len(missing) == 3
    with pytest.raises(UserError, match="does not exist"):
        project.find_again(missing[0], tmp_path / "nowhere.png")
    found = project.find_again(missing[0], elsewhere / "day 1" / "field_0.png")
    assert found == missing
    assert project.missing_files() == []
    project.close()
    again = open_project(project.folder)
    assert again.missing_files() == []
    again.close()


def test_adding_files(tmp_path: Path, project: Project, pictures: list[Path]) -> None:
    assert project.add_files(pictures) == []
    stack = tmp_path / "stack.tif"
    tifffile.imwrite(stack, np.zeros((3, 2, 20, 30), np.uint16), metadata={"axes": "TZYX"})
    added = project.add_files([stack], copy=True)
    assert [image.extra["plane"] for image in added] == [[t, z] for t in range(3) for z in (0, 1)]
    assert {image.file_name for image in added} == {"images/stack.tif"}
    assert added[0].size == (20, 30)
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(UserError, match=r"broken\.png"):
        project.add_files([shutil.copy(pictures[0], tmp_path), tmp_path / "broken.png"])
    assert len(project.images) == 9
    assert len(open_project(project.folder).images) == 9


def test_a_removed_image_is_in_the_trash_with_its_objects(
    project: Project, pictures: list[Path]
) -> None:
    copied = pictures[0].with_name("another.png")
    shutil.copy(pictures[0], copied)
    (image,) = project.add_files([copied], copy=True)
    project.record(square(1, image=4))
    place = project.remove_image(image.id)
    assert [one.id for one in project.images] == [1, 2, 3]
    assert (place / "another.png").is_file()
    assert not (project.folder / "images" / "another.png").exists()
    assert read_coco(place / "annotations.json").object_count == 1
    project.remove_image(1)
    assert pictures[0].is_file()  # the user's own file is not touched
    project.close()
    assert [one.id for one in open_project(project.folder).images] == [2, 3]


def test_a_folder_that_became_read_only(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.record(square(1))
    values, rows = state(project)

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", denied)
    with pytest.raises(UserError, match="read-only"):
        project.record(square(2, left=30))
    monkeypatch.undo()
    again, again_rows = state(project)
    np.testing.assert_array_equal(again, values)
    assert again_rows == rows


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "is no project"),
        ("", "is empty"),
        ('{"images": [], "annotations": [], "categories": []}', "no project of this program"),
        (
            '{"images": [], "annotations": [], "categories": [],'
            ' "info": {"sartorius": {"project": 99}}}',
            "newer version",
        ),
    ],
)
def test_what_is_no_project(tmp_path: Path, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / "annotations.json").write_text(content)
    with pytest.raises(UserError, match=words):
        open_project(tmp_path)


def test_a_project_is_not_made_where_something_is(tmp_path: Path, project: Project) -> None:
    with pytest.raises(UserError, match="project already"):
        create_project(project.folder)
    with pytest.raises(UserError, match="not empty"):
        create_project(tmp_path)


def test_label_values_beyond_16_bits(project: Project) -> None:
    project.record(square(70_000))
    project.close()
    again = open_project(project.folder)
    assert again.plane(1).next_label() == 70_001
    assert int(again.plane(1).values.max()) == 70_000


def test_edits_must_fit_their_image(project: Project) -> None:
    with pytest.raises(ValueError, match="do not fill"):
        LabelEdit(1, (0, 0, 2, 2), np.zeros((3, 3), np.uint8))
    with pytest.raises(ValueError, match="outside"):
        project.record(square(1, top=38))
    assert "since" not in project.saved_text()
