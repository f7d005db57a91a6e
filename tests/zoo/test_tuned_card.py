"""Thresholds of a preset in a card: read where they count, replaced where they count."""

from __future__ import annotations

from napari_sartorius.zoo import Thresholds
from napari_sartorius.zoo.ensemble_card import PresetCard
from napari_sartorius.zoo.tuned_card import thresholds_in_use, with_thresholds
from tiny_ensembles import BRIGHT, DIM, ensemble_of, member_card, one_pass

NEW = Thresholds(score=0.6, mask=0.4, nms=0.2, min_size=30)


def test_single_model() -> None:
    card = member_card("a")
    changed = with_thresholds(card, "best", {DIM: NEW})
    assert thresholds_in_use(changed, "fast") == {DIM: NEW, BRIGHT: card.thresholds[BRIGHT]}
    assert changed == card.with_changes(thresholds=changed.model_dump()["thresholds"])


def test_what_a_category_needs_to_win_stays() -> None:
    shy = NEW.model_copy(update={"vote": 0.1}).model_dump()
    card = member_card("a", thresholds={DIM: shy})
    changed = with_thresholds(card, "best", {DIM: NEW.model_copy(update={"score": 0.2})})
    assert (changed.thresholds[DIM].score, changed.thresholds[DIM].vote) == (0.2, 0.1)


def test_passes_have_their_own() -> None:
    special = one_pass("b", cell_types=(DIM,))
    card = ensemble_of(
        member_card("a"),
        member_card("b"),
        passes=(one_pass("a"), special),
        cell_type={"by": "majority"},
    )
    changed = with_thresholds(card, "best", {DIM: NEW, BRIGHT: NEW})
    general, own = changed.passes
    assert own.thresholds == {DIM: NEW} and general.thresholds == {BRIGHT: NEW}
    assert thresholds_in_use(changed, "best") == {DIM: NEW, BRIGHT: NEW}
    # Fast is a look of the lead; its thresholds are others.
    assert thresholds_in_use(changed, "fast") == thresholds_in_use(card, "fast")


def test_presets_with_members_have_their_own() -> None:
    card = ensemble_of(
        member_card("a"), member_card("b"), presets={"balanced": PresetCard(members=("b",))}
    )
    for preset in ("fast", "balanced"):
        changed = with_thresholds(card, preset, {DIM: NEW})
        assert thresholds_in_use(changed, preset)[DIM] == NEW
        assert thresholds_in_use(changed, "best") == thresholds_in_use(card, "best")
        assert changed.preset(preset).members == card.preset(preset).members
        assert changed.passes == card.passes
