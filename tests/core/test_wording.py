"""Counts in sentences have the number of their noun, and no sentence writes it by hand."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import napari_sartorius
from napari_sartorius.core.wording import agree, plural, sentence, some_of


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 images"), (1, "1 image"), (2, "2 images"), (2000, "2,000 images")],
)
def test_count_of_images(count, said):
    assert plural(count, "image") == said


def test_nouns_that_take_more_than_an_s():
    assert plural(1, "category", "categories") == "1 category"
    assert plural(0, "category", "categories") == "0 categories"


def test_verb_of_a_count():
    assert [agree(count, "was", "were") for count in (0, 1, 2)] == ["were", "was", "were"]


def _endings_by_hand(tree: ast.AST) -> list[int]:
    """Lines on which a condition chooses between an ``s`` and nothing."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.IfExp)
        and {one.value for one in (node.body, node.orelse) if isinstance(one, ast.Constant)}
        == {"s", ""}
    ]


def test_no_sentence_makes_its_own_plural():
    source = Path(napari_sartorius.__file__).parent
    found = [
        f"{path.relative_to(source)}:{line}"
        for path in sorted(source.rglob("*.py"))
        for line in _endings_by_hand(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not found
    assert _endings_by_hand(ast.parse("'s' if n != 1 else ''")) == [1]


def test_lists_name_the_first_and_count_the_rest():
    assert some_of(["a", "b"], 2) == "a, b"
    assert some_of([1, 2, 3], 2) == "1, 2 and 1 more"
    assert some_of(range(2000), 1) == "0 and 1,999 more"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("the model is here", "The model is here."),
        (" is it there? ", "Is it there?"),
        ("a.tif: done!", "A.tif: done!"),
    ],
)
def test_messages_become_sentences(text, said):
    assert sentence(text) == said
