"""What each loss counts."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from napari_sartorius.core.errors import UserError
from napari_sartorius.training.loss_weights import EPOCHS, LossWeights, decayed
from tiny_runs import tiny_run

NAMES = ("proposal_objectness", "proposal_box", "class", "box", "mask")


def test_the_decay_is_the_one_of_the_eleventh_place() -> None:
    # Their formulas with E = epochs + 1 for a run of four epochs.
    expected = {
        "mask": [1, 1, 1, 1],
        "class": [6 / 6, 5 / 6, 4 / 6, 3 / 6],
        "box": [6 / 6, 5 / 6, 5 / 6, 4 / 6],
        "proposal_objectness": [6 / 6, 5 / 6, 5 / 6, 4 / 6],
    }
    for name, weights in expected.items():
        found = [decayed(name, epoch, epochs=4) for epoch in range(1, 5)]
        assert found == pytest.approx(weights)
    for same in ("mask_2", "mask_points", "mask_iou", "semantic"):
        assert decayed(same, 3) == 1
    assert decayed("class_3", 3) == decayed("category", 3) == decayed("class", 3)
    assert decayed("centerness", 3) == decayed("box_1", 3) == decayed("proposal_box", 3)


def test_a_run_ends_on_its_masks() -> None:
    config = tiny_run(steps=400, loss_decay=True)
    weights = LossWeights(config)
    first, last = weights.at(0, NAMES), weights.at(399, NAMES)
    assert first == pytest.approx(dict.fromkeys(NAMES, 0.2))
    assert sum(last.values()) == pytest.approx(1)
    assert last["mask"] / last["class"] == pytest.approx((EPOCHS + 2) / 3)
    # Each of forty parts has ten steps with the same weights.
    assert weights.at(9, NAMES) == first
    assert weights.at(10, NAMES) != first
    assert LossWeights(tiny_run(steps=3, loss_decay=True)).at(2, NAMES)["mask"] > first["mask"]


def test_factors_are_those_that_were_asked_for() -> None:
    # The second system that this follows: masks weigh one and a half, classes nothing.
    weights = LossWeights(tiny_run(loss_weights={"mask": 1.5, "class": 0}))
    losses = {name: torch.tensor(float(i), requires_grad=True) for i, name in enumerate(NAMES)}
    total = weights.total(0, losses)
    assert total.item() == pytest.approx(0 + 1 + 3 + 6)
    total.backward()  # type: ignore[no-untyped-call]
    assert losses["class"].grad is None
    assert losses["mask"].grad == 1.5


def test_names_that_do_not_exist_are_listed_with_those_that_do() -> None:
    with pytest.raises(UserError, match=r"names classifier, but .* proposal_box, class, box, mask"):
        LossWeights(tiny_run(loss_weights={"classifier": 0})).at(0, NAMES)
    with pytest.raises(UserError, match="nothing would be learnt"):
        LossWeights(tiny_run(loss_weights=dict.fromkeys(NAMES, 0))).at(0, NAMES)
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        tiny_run(loss_weights={"mask": -1})
