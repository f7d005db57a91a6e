"""Splits: no group on both sides, shares and kinds as asked, never too few images."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotated_discs import records_only
from napari_sartorius.core.errors import UserError
from napari_sartorius.training.splitting import needs_care, split_in_folds, split_in_two

if TYPE_CHECKING:
    from napari_sartorius.io.coco import CocoDataset

# Groups of one kind each, as plates are: (kind, images).
_PLATES = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(1, 6)), min_size=2, max_size=25
).filter(lambda plates: sum(size for _, size in plates) >= 5)


def _dataset(plates: list[tuple[str, int]]) -> CocoDataset:
    groups = [f"g{n}" for n, (_, size) in enumerate(plates) for _ in range(size)]
    kinds = [kind for kind, size in plates for _ in range(size)]
    return records_only(groups, kinds)


def _sides(dataset: CocoDataset, field: str = "split") -> dict[str, set[object]]:
    sides: dict[str, set[object]] = {}
    for image in dataset.images:
        sides.setdefault(str(image.extra["group"]), set()).add(image.extra[field])
    return sides


@given(_PLATES, st.floats(0.1, 0.5), st.integers(0, 5))
def test_a_split_keeps_groups_whole_and_its_share(
    plates: list[tuple[str, int]], share: float, seed: int
) -> None:
    dataset = split_in_two(_dataset(plates), share=share, seed=seed)
    assert all(len(where) == 1 for where in _sides(dataset).values())
    validating = len(dataset.split("val"))
    largest = max(size for _, size in plates)
    assert validating >= min(2, len(dataset) - largest)
    assert len(dataset.split("train")) >= 1
    # A group cannot be cut, and each kind may be off by one: more than that is no fair share.
    assert abs(validating - share * len(dataset)) <= max(2, 2 * largest)


@given(_PLATES.filter(lambda plates: len(plates) >= 5), st.integers(2, 5), st.integers(0, 3))
def test_folds_keep_groups_whole_and_are_of_a_size(
    plates: list[tuple[str, int]], folds: int, seed: int
) -> None:
    dataset = split_in_folds(_dataset(plates), folds, seed=seed)
    assert all(len(where) == 1 for where in _sides(dataset, "fold").values())
    sizes = Counter(image.extra["fold"] for image in dataset.images)
    largest = max(size for _, size in plates)
    assert all(size <= len(dataset) / folds + 2 * largest for size in sizes.values())
    held_out = {image.extra["fold"] for image in dataset.split("val").images}
    assert held_out <= {0}


@given(st.integers(2, 12), st.integers(2, 12), st.integers(0, 4))
def test_each_kind_has_its_share(first: int, second: int, seed: int) -> None:
    plates = [("a", 1)] * (5 * first) + [("b", 1)] * (5 * second)
    dataset = split_in_two(_dataset(plates), share=0.2, seed=seed)
    kinds = Counter(image.extra["cell_type"] for image in dataset.split("val").images)
    assert abs(kinds["a"] - first) <= 1
    assert abs(kinds["b"] - second) <= 1


_ONE_KIND = st.sampled_from([("a",), ("b",), ("c",), ("d",)])
_SEVERAL = st.lists(st.sampled_from("abcd"), min_size=1, max_size=4).map(tuple)
_MIXED_PLATES = st.lists(
    _ONE_KIND.flatmap(lambda kind: st.integers(1, 4).map(lambda size: kind * size)) | _SEVERAL,
    min_size=2,
    max_size=8,
).filter(lambda plates: sum(map(len, plates)) >= 5)


def _fewest_lost(plates: list[tuple[str, ...]]) -> int:
    """How many kinds training lacks at least, of all ways to let enough images validate."""
    everything = {kind for plate in plates for kind in plate}
    count = sum(map(len, plates))
    fewest = min(2, count - max(map(len, plates)))
    return min(
        len(everything - {kind for n in training for kind in plates[n]})
        for number in range(1, len(plates))
        for training in combinations(range(len(plates)), number)
        if count - sum(len(plates[n]) for n in training) >= fewest
    )


@given(_MIXED_PLATES, st.floats(0.05, 0.6), st.integers(0, 5))
def test_no_kind_is_taken_from_training_where_it_can_be_helped(
    plates: list[tuple[str, ...]], share: float, seed: int
) -> None:
    groups = [f"g{n}" for n, plate in enumerate(plates) for _ in plate]
    kinds = [kind for plate in plates for kind in plate]
    dataset = split_in_two(records_only(groups, kinds), share=share, seed=seed)
    trained = {image.extra["cell_type"] for image in dataset.split("train").images}
    assert len(set(kinds) - trained) == _fewest_lost(plates)


@pytest.mark.parametrize("seed", range(6))
def test_of_two_images_of_each_kind_one_stays(seed: int) -> None:
    kinds = ["astro", "astro", "cort", "cort", "shsy5y", "shsy5y"]
    wells = [f"{kind}_{n}" for n, kind in enumerate(kinds)]
    dataset = split_in_two(records_only(wells, kinds), seed=seed)
    assert {image.extra["cell_type"] for image in dataset.split("train").images} == set(kinds)
    assert len({image.extra["cell_type"] for image in dataset.split("val").images}) == 2


def test_the_best_represented_kind_gives_what_validates() -> None:
    plates = [("a", 1)] * 2 + [("b", 1)] * 8
    dataset = split_in_two(_dataset(plates), share=0.01)
    assert [image.extra["cell_type"] for image in dataset.split("val").images] == ["b", "b"]


def test_the_seed_decides() -> None:
    dataset = _dataset([("a", 1)] * 30)

    def chosen(seed: int) -> list[object]:
        return [i.id for i in split_in_two(dataset, seed=seed).split("val").images]

    assert chosen(1) == chosen(1)
    assert chosen(1) != chosen(2)
    assert "split" not in dataset.images[0].extra


def test_any_field_groups_and_planes_of_a_file_stay_together() -> None:
    dataset = records_only(["a", "b"] * 5, ["k"] * 10)
    for n, image in enumerate(dataset.images):
        image.extra["dish"] = n // 2
    split = split_in_two(dataset, group=["dish"])
    assert all(
        split.images[n].extra["split"] == split.images[n + 1].extra["split"]
        for n in range(0, 10, 2)
    )
    # Both fields together name ten groups.
    assert len(split_in_two(dataset, group=["dish", "group"], share=0.3).split("val")) == 3


def test_what_cannot_be_split_is_said() -> None:
    with pytest.raises(UserError, match=r"3 images are too few to split.*a quarter of each"):
        split_in_two(records_only(["a", "b", "c"], ["k"] * 3))
    with pytest.raises(UserError, match=r"1 group, which cannot be split into 2"):
        split_in_two(records_only(["a"] * 6, ["k"] * 6))
    with pytest.raises(UserError, match=r"no image has the field 'plate'.*cell_type, group"):
        split_in_two(records_only(["a"] * 6, ["k"] * 6), group=["plate"])
    with pytest.raises(UserError, match=r"a share of 1\.5 is no split"):
        split_in_two(records_only(["a"] * 6, ["k"] * 6), share=1.5)
    with pytest.raises(UserError, match="1 fold with number"):
        split_in_folds(records_only(list("abcdef"), ["k"] * 6), 1)


def test_care_is_needed_where_images_differ() -> None:
    dataset = records_only(list("abcdef"), ["k"] * 6)
    assert needs_care(dataset)
    for image in dataset.images:
        del image.extra["group"]
    assert not needs_care(dataset)
    dataset.images[0].extra["cell_type"] = "other"
    assert needs_care(dataset)
