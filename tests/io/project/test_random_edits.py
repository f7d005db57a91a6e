"""Random edits, undos, saves and crashes: nothing is lost, nothing is resurrected."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from PIL import Image

from napari_sartorius.io.project import create_project, edit_between, open_project

SHAPE = (16, 20)


class Edits(RuleBasedStateMachine):
    """The model is a label image and a table for each of two images, with a history for undo."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())

    @initialize()
    def begin(self) -> None:
        paths = []
        for n in range(2):
            paths.append(self.folder / f"{n}.png")
            Image.fromarray(np.full(SHAPE, 30 * n + 30, np.uint8)).save(paths[-1])
        self.project = create_project(self.folder / "work", ["a", "b"])
        self.project.add_files(paths)
        self.values = {n: np.zeros(SHAPE, np.uint32) for n in (1, 2)}
        self.rows: dict[int, dict[int, dict[str, Any]]] = {1: {}, 2: {}}
        self.undone: list[tuple[int, np.ndarray, dict[int, dict[str, Any]]]] = []

    def _make(self, image: int, values: np.ndarray, rows: dict[int, dict[str, Any]]) -> None:
        old = self.rows[image]
        changed: dict[int, dict[str, Any] | None] = {
            k: r for k, r in rows.items() if old.get(k) != r
        }
        changed |= dict.fromkeys(old.keys() - rows.keys())
        edit = edit_between(image, self.values[image], values, changed)
        if edit is not None:
            self.project.record(edit)
        self.values[image], self.rows[image] = values, rows

    @rule(
        image=st.integers(1, 2),
        box=st.tuples(*[st.integers(0, 12)] * 2, *[st.integers(1, 8)] * 2),
        label=st.integers(0, 6),
        category=st.sampled_from(["a", "b", "new"]),
        reviewed=st.booleans(),
    )
    def draw(
        self, image: int, box: tuple[int, int, int, int], label: int, category: str, reviewed: bool
    ) -> None:
        self.undone.append((image, self.values[image], self.rows[image]))
        values = self.values[image].copy()
        values[box[0] : box[0] + box[2], box[1] : box[1] + box[3]] = label
        rows = {k: r for k, r in self.rows[image].items() if (values == k).any()}
        if label:
            rows[label] = {"category": category, "score": 0.25, "reviewed": reviewed}
        self._make(image, values, rows)

    @precondition(lambda self: self.undone)
    @rule()
    def undo(self) -> None:
        self._make(*self.undone.pop())

    @rule()
    def save(self) -> None:
        self.project.save()

    @rule(image=st.integers(1, 2))
    def release(self, image: int) -> None:
        self.project.release(image)

    @rule()
    def close_and_open(self) -> None:
        self.project.close()
        self.project = open_project(self.project.folder)

    @rule(cut=st.sampled_from([b"", b"[", b'[9,{"kind":"edit"}', b"\x00" * 7, b"\n"]))
    def crash_and_open(self, cut: bytes) -> None:
        self.project._lock.give_back()
        with (self.project.folder / "journal.jsonl").open("ab") as file:
            file.write(cut)
        self.project = open_project(self.project.folder)
        assert (self.project.restored or "").count("damaged and") == bool(cut)

    @invariant()
    def nothing_is_lost_or_resurrected(self) -> None:
        if not hasattr(self, "project"):
            return
        for image, values in self.values.items():
            plane = self.project.plane(image)
            np.testing.assert_array_equal(plane.values, values)
            labels, masks, rows = plane.objects()
            assert sorted(labels) == [k for k in np.unique(values).tolist() if k]
            for label, mask, row in zip(labels, range(len(masks)), rows, strict=True):
                np.testing.assert_array_equal(masks.full(mask), values == label)
                assert row == self.rows[image][label]

    def teardown(self) -> None:
        if hasattr(self, "project"):
            self.project._lock.give_back()
        shutil.rmtree(self.folder)


TestEdits = Edits.TestCase
TestEdits.settings = settings(max_examples=15, stateful_step_count=40, deadline=None)
