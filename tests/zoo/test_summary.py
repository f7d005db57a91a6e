"""A summary says what the whole card says, and no damaged card of a user is listed by it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from napari_sartorius.inference.cost import preset_cost
from napari_sartorius.zoo import list_bundles
from napari_sartorius.zoo.folders import SHIPPED
from napari_sartorius.zoo.summary import CardSummary, list_summaries

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's models, empty."""
    monkeypatch.setenv("SARTORIUS_MODELS", str(tmp_path))
    return tmp_path


def shown(summary: CardSummary) -> dict[str, object]:
    names = ("name", "title", "description", "licence", "categories")
    costs = [preset_cost(summary, preset) for preset in ("fast", "balanced", "best")]
    return {name: getattr(summary, name) for name in names} | {"costs": costs}


def add_as(folder: Path, name: str, **changes: str) -> None:
    """Put a shipped model under another name among the user's, with parts of its card replaced."""
    shutil.copytree(SHIPPED / "nuclei", folder / name, ignore=shutil.ignore_patterns("*.safe*"))
    card = folder / name / "model.json"
    text = card.read_text().replace('"name": "nuclei"', f'"name": "{name}"')
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    card.write_text(text)


def test_shipped_models_are_summed_up_as_their_cards_say(folder: Path) -> None:
    cards = [bundle.card for bundle in list_bundles()]
    summaries = list_summaries()
    assert [shown(one) for one in summaries] == [shown(CardSummary.of(card)) for card in cards]
    assert [one.whole() for one in summaries] == cards
    for one, card in zip(summaries, cards, strict=True):
        assert preset_cost(one, "best") == preset_cost(card, "best")
        assert one.whole() is one.whole()


def test_models_of_the_user_are_listed_too_and_hide_shipped_ones(folder: Path) -> None:
    add_as(folder, "mine")
    add_as(folder, "nuclei", stained="tinted")
    summaries = {one.name: one for one in list_summaries()}
    assert set(summaries) == {"neurons", "nuclei", "mine"}
    assert "tinted" in summaries["nuclei"].title
    assert "stained" in summaries["mine"].title
    assert [one.whole() for one in summaries.values()] == [one.card for one in list_bundles()]


def test_a_damaged_model_of_the_user_is_not_listed(folder: Path) -> None:
    add_as(folder, "mine", min_size="smallest")  # nothing that a list shows
    assert [one.name for one in list_summaries()] == ["neurons", "nuclei"]
