"""Run-length codes against pycocotools and a naive reader and writer of Kaggle's form."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.masks import CropMasks

from .mask_strategies import Stack, stacks

if TYPE_CHECKING:
    from pathlib import Path


def naive_kaggle(mask: Stack) -> str:
    numbers: list[int] = []
    previous = False
    for position, value in enumerate([*mask.reshape(-1).tolist(), False]):
        if value and not previous:
            numbers.append(position + 1)
        elif previous and not value:
            numbers.append(position + 1 - numbers[-1])
        previous = value
    return " ".join(map(str, numbers))


def naive_counts(mask: Stack) -> list[int]:
    counts, value = [0], False
    for pixel in mask.T.reshape(-1).tolist():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return counts


@given(stacks())
def test_coco_codes(stack: Stack) -> None:
    size = (stack.shape[1], stack.shape[2])
    codes = CropMasks.from_full(stack).to_rle()
    expected = [coco.encode(np.asfortranarray(m.astype(np.uint8))) for m in stack]
    assert [c["counts"] for c in codes] == [e["counts"].decode() for e in expected]
    assert all(c["size"] == list(size) for c in codes)
    plain = [{"size": list(size), "counts": naive_counts(m)} for m in stack]
    # Strings, bytes and lists may stand side by side.
    mixed = [(codes, expected, plain)[i % 3][i] for i in range(len(stack))]
    for variant in (codes, expected, plain, mixed):
        back = CropMasks.from_rle(variant, size)
        assert all(np.array_equal(back.full(i), m) for i, m in enumerate(stack))
        np.testing.assert_array_equal(back.boxes, back.bounding_boxes())


@given(st.lists(st.tuples(st.integers(0, 40000), st.integers(1, 3000)), min_size=1, max_size=9))
def test_coco_codes_of_large_images(pieces: list[tuple[int, int]]) -> None:
    """Long counts need several characters and negative differences."""
    flat = np.zeros((3, 300 * 200), np.bool_)
    for i, (start, length) in enumerate(pieces):
        flat[i % 3, start : start + length] = True
    stack = flat.reshape(3, 200, 300).transpose(0, 2, 1)
    codes = CropMasks.from_full(stack).to_rle()
    for mask, code in zip(stack, codes, strict=True):
        assert (
            code["counts"].encode()
            == coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
        )
    back = CropMasks.from_rle(codes, (300, 200))
    assert all(np.array_equal(back.full(i), mask) for i, mask in enumerate(stack))


@given(stacks())
def test_kaggle_codes(stack: Stack) -> None:
    codes = CropMasks.from_full(stack).to_kaggle_rle()
    assert codes == [naive_kaggle(mask) for mask in stack]
    back = CropMasks.from_kaggle_rle(codes, (stack.shape[1], stack.shape[2]))
    assert all(np.array_equal(back.full(i), mask) for i, mask in enumerate(stack))


@given(st.lists(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 9)), max_size=6), max_size=4))
def test_kaggle_runs_in_any_order_are_joined(masks: list[list[tuple[int, int]]]) -> None:
    inside = [[(s, n) for s, n in runs if s - 1 + n <= 35] for runs in masks]
    texts = [" ".join(f"{s} {n}" for s, n in runs) for runs in inside]
    read = CropMasks.from_kaggle_rle(texts, (5, 7))
    for i, runs in enumerate(inside):
        expected = np.zeros(35, np.bool_)
        for start, length in runs:
            expected[start - 1 : start - 1 + length] = True
        np.testing.assert_array_equal(read.full(i).reshape(-1), expected)


GOOD = {"size": [4, 5], "counts": [3, 4, 13]}


@pytest.mark.parametrize(
    "code, message",
    [
        ({"size": [4, 5], "counts": [3, 4, 12]}, "mask 2.*add up to 19 pixels.*has 20"),
        ({"size": [4, 5], "counts": [3, 4, 14]}, "add up to 21"),
        ({"size": [4, 5], "counts": []}, "add up to 0"),
        ({"size": [4, 5], "counts": [30, -10]}, "negative"),
        ({"size": [4, 5], "counts": ["a", 3]}, "not whole numbers"),
        ({"size": [4, 5], "counts": [3.5, 16.5]}, "not whole numbers"),
        ({"size": [4, 5], "counts": None}, "not whole numbers"),
        ({"size": [5, 4], "counts": [20]}, r"size is \[5, 4\]"),
        ({"size": [4, 5]}, "'size' and 'counts'"),
        ({"size": [4, 5], "counts": "3 4"}, "character"),
        ({"size": [4, 5], "counts": "34T"}, "middle of a number"),
        ({"size": [4, 5], "counts": "o" * 14 + "0"}, "too large"),
        ({"size": [4, 5], "counts": "34"}, "add up to 7"),
    ],
)
def test_broken_coco_codes_are_named(code: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        CropMasks.from_rle([GOOD, code], (4, 5))


@pytest.mark.parametrize(
    "text, message",
    [
        ("1 2 3", "pairs"),
        ("1 x", "whole numbers"),
        ("0 2", "outside"),
        ("19 3", "outside"),
        ("5 -1", "outside"),
    ],
)
def test_broken_kaggle_codes_are_named(text: str, message: str) -> None:
    with pytest.raises(UserError, match=f"mask 2.*{message}"):
        CropMasks.from_kaggle_rle(["1 2", text], (4, 5))


def test_published_codes(shared_golden: Path) -> None:
    """Both codes of real cells and of edge cases, recorded from three public encoders."""
    folder = shared_golden / "fusion" / "8_rle_submission"
    groups = [
        [(v["coco"], v["kaggle"]) for v in json.loads(file.read_text())["vectors"]]
        for file in sorted(folder.glob("*/rle_vectors.json"))
    ]
    cases = json.loads((folder / "edge_cases.json").read_text())["cases"].values()
    groups += [[(case["mask_coco"], case["kaggle"])] for case in cases if "mask_coco" in case]
    assert sum(map(len, groups)) > 200
    for group in groups:
        plain, texts = [coco for coco, _ in group], [kaggle for _, kaggle in group]
        size = tuple(plain[0]["size"])
        assert CropMasks.from_rle(plain, size).to_kaggle_rle() == texts
        assert CropMasks.from_kaggle_rle(texts, size).to_rle() == plain
