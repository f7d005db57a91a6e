"""Masks of a cluster's members, laid over each other."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sartorius.core.masks import CropMasks
from napari_sartorius.ensemble import member_masks
from napari_sartorius.ensemble.clusters import Clusters
from napari_sartorius.ensemble.member_masks import pairwise_agreement, vote


def _masks(generator: np.random.Generator, count: int) -> CropMasks:
    bitmaps = [
        generator.random(tuple(generator.integers(0, 9, 2))) < generator.uniform(0, 1.2)
        for _ in range(count)
    ]
    return CropMasks.from_bitmaps(bitmaps, generator.integers(-3, 18, (count, 2)), (16, 20))


@settings(max_examples=60)
@given(seed=st.integers(0, 100_000), sizes=st.lists(st.integers(1, 5), max_size=6))
def test_votes_and_agreement_are_those_of_full_frames(seed: int, sizes: list[int]) -> None:
    generator = np.random.default_rng(seed)
    masks = _masks(generator, sum(sizes))
    clusters = Clusters(generator.permutation(sum(sizes)), np.array(sizes, np.int64))
    weights = generator.uniform(0.1, 1, sum(sizes))
    needed = generator.uniform(0.1, 2, len(sizes))
    limits = np.array([[2, 3, 15, 12]] * len(sizes)).reshape(-1, 4)
    fused, agreement = vote(masks, clusters, weights, needed)
    limited, _ = vote(masks, clusters, weights, needed, limits)
    np.testing.assert_array_equal(pairwise_agreement(masks, clusters), agreement)
    begin = 0
    for number, size in enumerate(sizes):
        own = range(begin, begin + size)
        frames = np.stack([masks.full(i) for i in own])
        expected = np.tensordot(weights[list(own)], frames, 1) >= needed[number]
        np.testing.assert_array_equal(fused.full(number), expected)
        expected[:, :2] = expected[:, 15:] = expected[:3] = expected[12:] = False
        np.testing.assert_array_equal(limited.full(number), expected)
        pairs = [(frames[i], frames[j]) for i in range(size) for j in range(i)]
        overlaps = [(a & b).sum() / (a | b).sum() if (a | b).any() else 1 for a, b in pairs]
        np.testing.assert_allclose(agreement[number], np.mean(overlaps or [1]), rtol=1e-5)
        begin += size


def test_large_windows_are_counted_in_parts(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    generator = np.random.default_rng(0)
    masks = _masks(generator, 12)
    clusters = Clusters(np.arange(12), np.array([5, 7]))
    whole = vote(masks, clusters, np.ones(12), np.full(2, 2.0))
    monkeypatch.setattr(member_masks, "_BLOCK_PIXELS", 16)
    parts = vote(masks, clusters, np.ones(12), np.full(2, 2.0))
    assert parts[0].to_rle() == whole[0].to_rle()
    np.testing.assert_allclose(parts[1], whole[1])


def test_exactly_as_many_votes_as_needed_are_enough() -> None:
    masks = CropMasks.from_bitmaps([np.ones((2, 2))] * 6, [(0, 0)] * 3 + [(4, 4)] * 3, (8, 8))
    clusters = Clusters(np.arange(6), np.array([6]))
    fused, _ = vote(masks, clusters, np.full(6, 0.1), np.array([0.5 * 6 * 0.1]))
    assert fused.area().tolist() == [8]
