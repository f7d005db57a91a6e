"""What a person hears of a validation; the file keeps the figures."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING

from napari_sartorius.core.progress import Monitor
from napari_sartorius.training.curve_file import in_words
from napari_sartorius.training.fit import Trainer
from napari_sartorius.training.run_files import CURVE_FILE
from tiny_runs import squares, tiny_run

if TYPE_CHECKING:
    from pathlib import Path

FIRST = {"step": 0.0, "seconds_per_step": 0.0, "score": 0.2, "ap50": 0.5, "ap": 0.25}
LATER = {
    "step": 250.0,
    "seconds_per_step": 1.3249,
    "loss_class": 0.51234,
    "loss_rpn_box": 0.25,
    "learning_rate": 1e-4,
    "score": 0.3126,
    "ap50": 0.45,
    "ap": 0.3,
    "threshold_0": 0.5,
}


def test_a_validation_is_a_line_of_words() -> None:
    assert in_words(FIRST, "score", FIRST) == (
        "step 0: score 0.200, AP50 0.500, AP 0.250, the best so far"
    )
    said = (
        "step 250: 1.32 s per step, loss 0.762 (class 0.512, rpn box 0.25), score 0.313, "
        "AP50 0.450, AP 0.300, "
    )
    assert in_words(LATER, "score", LATER) == said + "the best so far"
    assert in_words(LATER, "ap50", FIRST) == said + "best AP50 so far 0.500 at step 0"
    alone = {"step": 9.0, "seconds_per_step": 0.5, "loss_mask": 0.25}
    assert in_words(alone, "score", alone) == "step 9: 0.5 s per step, loss 0.25 (mask 0.25)"


def test_a_run_says_it_and_writes_the_figures(tmp_path: Path) -> None:
    class Listener(Monitor):
        def notice(self, message: str) -> None:
            heard.append(message)

    heard: list[str] = []
    images = squares(4)
    config = tiny_run(steps=4, validate_every=2, select_by="ap50")
    Trainer(config, images[:3], images[3:], tmp_path, Listener()).fit()
    told = [line for line in heard if line.startswith("step ")]
    assert len(told) == 2
    number = r"\d+(\.\d+)?(e-\d+)?"
    for line in told:
        assert re.match(rf"step \d: {number} s per step, loss {number} \(", line)
        assert not set(line) & set('{}"_')
    with (tmp_path / CURVE_FILE).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {"step", "seconds_per_step", "score", "ap50", "learning_rate"} <= set(rows[0])
    best = max(float(row["ap50"]) for row in rows)
    assert told[-1].endswith("the best so far") or f"best AP50 so far {best:.3f} at" in told[-1]
