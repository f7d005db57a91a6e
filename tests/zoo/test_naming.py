"""Whatever a folder is called, a model can be named after it."""

from __future__ import annotations

import pytest

from napari_sartorius.zoo.naming import model_name
from tiny_models import tiny_card


@pytest.mark.parametrize(
    ("wish", "name"),
    [
        ("neurons-2", "neurons-2"),
        ("Zellen größer", "Zellen-grosser"),
        ("run 1 (neu)", "run-1--neu"),
        ("Łódź_é", "Lodz_e"),
        ("細胞", "model"),
        ("..", "model"),
        ("", "model"),
        (".hidden", "hidden"),
        ("µm²", "m2"),
    ],
)
def test_names_that_a_card_accepts(wish: str, name: str) -> None:
    assert model_name(wish) == name
    assert tiny_card().with_changes(name=name).name == name
