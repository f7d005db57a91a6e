"""Random corrections with random undo and redo against a model that knows nothing of napari."""

from __future__ import annotations

import numpy as np
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from napari.components import ViewerModel

from correction_layers import grid, make_layer, plane_of
from napari_sartorius.ui.correct.session import CorrectionSession

SHAPE = (2, 3)


class Corrections(RuleBasedStateMachine):
    """The model: an image and a dict of rows by label, and all earlier states of both."""

    @initialize()
    def start(self):
        self.viewer = ViewerModel()
        self.layer = make_layer(self.viewer, grid(*SHAPE))
        self.session = CorrectionSession(self.layer, lambda: plane_of(self.viewer, self.layer))
        self.steps = []
        self.session.stepped.connect(lambda step, how: self.steps.append(how))
        self.pixels = self.layer.data.copy()
        self.rows = {
            n + 1: {
                "category": ("round", "long")[n % 2],
                "reviewed": False,
                "made": "model",
                "first": self.pixels == n + 1,
            }
            for n in range(SHAPE[0] * SHAPE[1])
        }
        self.places = set()
        self.ever = set(self.rows)
        self.past, self.future = [], []

    def state(self):
        rows = {k: dict(v) for k, v in self.rows.items()}
        return self.pixels.copy(), rows, set(self.places)

    def teardown(self):
        if hasattr(self, "session"):
            self.session.stop()

    def some(self, data, least=1):
        present = sorted(self.rows)
        if len(present) < least:
            return []
        return data.draw(
            st.lists(st.sampled_from(present), min_size=least, max_size=4, unique=True)
        )

    def pushed(self, kind, before):
        self.past.append((kind, before))
        self.future.clear()

    def reshaped(self, before):
        """Take over pixels that a tool has decided on, whose own rules are tested elsewhere."""
        if np.array_equal(self.layer.data, self.pixels):
            return False
        self.pixels = self.layer.data.copy()
        present = set(np.unique(self.pixels).tolist()) - {0}
        for label in set(self.rows) - present:
            del self.rows[label]
        self.pushed("pixels", before)
        return True

    @rule(data=st.data())
    def delete(self, data):
        labels = self.some(data)
        if labels:
            before = self.state()
            self.session.delete(labels)
            self.pixels[np.isin(self.pixels, labels)] = 0
            for label in labels:
                del self.rows[label]
            self.pushed("pixels", before)

    @rule(data=st.data())
    def merge(self, data):
        labels = self.some(data, 2)
        if labels:
            before = self.state()
            areas = {label: (self.pixels == label).sum() for label in labels}
            into = min(labels, key=lambda label: (-areas[label], label))
            self.session.merge(labels)
            self.pixels[np.isin(self.pixels, labels)] = into
            for label in set(labels) - {into}:
                del self.rows[label]
            self.pushed("pixels", before)

    @rule(data=st.data(), name=st.sampled_from(["round", "long", "flat"]))
    def categorise(self, data, name):
        labels = [one for one in self.some(data) if self.rows[one]["category"] != name]
        if labels:
            before = self.state()
            self.session.set_category(labels, name)
            for label in labels:
                new = max(self.ever) + 1
                self.ever.add(new)
                self.pixels[self.pixels == label] = new
                row = self.rows.pop(label)
                made = row["made"]
                differs = not np.array_equal(row["first"], before[0] == label)
                made = "edited" if made == "model" or differs else made
                made = "drawn" if row["made"] == "drawn" else made
                self.rows[new] = row | {
                    "category": name,
                    "made": made,
                    "first": self.pixels == new,
                }
            self.pushed("pixels", before)

    @rule(data=st.data(), accepted=st.booleans())
    def accept(self, data, accepted):
        labels = [one for one in self.some(data) if self.rows[one]["reviewed"] != accepted]
        if labels:
            before = self.state()
            self.session.accept(labels, accepted)
            for label in labels:
                self.rows[label]["reviewed"] = accepted
            self.pushed("table", before)

    @rule(y=st.integers(0, 3), x=st.integers(0, 3))
    def say_that_there_is_no_cell(self, y, x):
        place = ((), (4 * y, 4 * x, 4 * y + 4, 4 * x + 4))
        before = self.state()
        self.session.say_no_cell(*place)
        if place not in self.places:
            self.places.add(place)
            self.pushed("table", before)

    @rule(data=st.data(), tool=st.sampled_from(["grow", "shrink", "smooth", "fill_holes"]))
    def reshape(self, data, tool):
        labels = self.some(data)
        if labels:
            before = self.state()
            getattr(self.session, tool)(labels)
            self.reshaped(before)

    @rule(data=st.data())
    def split(self, data):
        height, width = self.pixels.shape
        points = st.tuples(st.integers(-2, height + 2), st.integers(-2, width + 2))
        line = np.array([data.draw(points), data.draw(points)], float)
        before = self.state()
        self.session.split_by_line(line)
        new = sorted(set(np.unique(self.layer.data).tolist()) - {0} - set(self.rows))
        for label in new:
            (parent,) = np.unique(before[0][self.layer.data == label]).tolist()
            row = self.rows[parent]
            made = "drawn" if row["made"] == "drawn" else "edited"
            self.rows[label] = dict(row, made=made, first=self.layer.data == label)
        self.ever.update(new)
        self.reshaped(before)

    @rule(data=st.data(), brush=st.booleans())
    def draw(self, data, brush):
        height, width = self.pixels.shape
        y, x = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
        before = self.state()
        if brush:  # napari's own, with any label: also one that was used before
            label = data.draw(st.integers(1, max(self.ever) + 1))
            self.layer.selected_label = label
            self.layer.brush_size = 5
            self.layer.paint((y, x), label)
        else:
            label = max(self.ever) + 1
            drawn = self.session.draw(np.array([[y, x], [y, x + 4], [y + 5, x + 4]], float))
            assert drawn in (0, label)
        if np.array_equal(self.layer.data, self.pixels):
            return
        if label not in self.rows:
            self.ever.add(label)
            self.rows[label] = {
                "category": self.session.rows.default_category,
                "reviewed": False,
                "made": "drawn",
                "first": self.layer.data == label,
            }
        self.reshaped(before)

    @precondition(lambda self: self.past)
    @rule(directly=st.booleans())
    def undo(self, directly):
        kind, before = self.past.pop()
        self.future.append((kind, self.state()))
        self.layer.undo() if directly and kind == "pixels" else self.session.undo()
        self.pixels, self.rows, self.places = before

    @precondition(lambda self: self.future)
    @rule(directly=st.booleans())
    def redo(self, directly):
        kind, after = self.future.pop()
        self.past.append((kind, self.state()))
        self.layer.redo() if directly and kind == "pixels" else self.session.redo()
        self.pixels, self.rows, self.places = after

    @precondition(lambda self: self.past)
    @rule()
    def undo_while_hidden(self):
        self.layer.visible = False
        self.undo(directly=False)
        self.layer.visible = True

    @invariant()
    def nothing_is_lost_and_nothing_comes_back(self):
        if not hasattr(self, "session"):
            return
        np.testing.assert_array_equal(self.layer.data, self.pixels)
        assert set(self.session.no_cells) == self.places
        assert len(self.session.no_cells) == len(self.places)
        table = self.layer.features.set_index("index")
        assert set(table.index) == set(self.rows) == set(np.unique(self.pixels).tolist()) - {0}
        for label, row in self.rows.items():
            found = table.loc[label]
            mask = self.pixels == label
            assert found["category"] == row["category"]
            assert bool(found["reviewed"]) is row["reviewed"]
            assert found["area"] == mask.sum()
            made = row["made"]
            if made == "model" and not np.array_equal(mask, row["first"]):
                made = "edited"
            assert found["source"] == made
        assert list(table.index) == self.layer.features["index"].tolist()
        for plane, boxes in self.session.rows.boxes.items():
            fresh = type(boxes)(self.layer.data[plane])
            assert {i: boxes[i] for i in boxes} == {i: fresh[i] for i in fresh}


Corrections.TestCase.settings = settings(
    max_examples=25,  # a thousand edits
    stateful_step_count=40,
    deadline=None,
    report_multiple_bugs=False,
    phases=[Phase.explicit, Phase.generate],
)
TestCorrections = Corrections.TestCase
