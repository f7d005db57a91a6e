"""Two rounds of pseudo-labels from the recipe to the crops: their share falls as it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from napari_sartorius.io.coco import read_coco
from napari_sartorius.io.importing import images_in
from napari_sartorius.io.sources import read_dataset
from napari_sartorius.training.crops import CropSampler
from napari_sartorius.training.mixture import image_counts
from napari_sartorius.training.recipes.data import RecipeData
from napari_sartorius.training.recipes.reading import read_recipe, recipe_of
from napari_sartorius.training.recipes.running import run_recipe
from tiny_models import tiny_architecture
from typed_pictures import write_typed, write_unlabelled

if TYPE_CHECKING:
    from pathlib import Path

STEPS, BATCH, SHARE, UNTIL = 8, 4, 0.8, 0.5
SETTINGS: dict[str, Any] = {
    "architecture": tiny_architecture().model_dump(mode="json")
    | {"proposals": {"pre_nms_topk_test": 40, "post_nms_topk_test": 20, "topk_grows": False}},
    "crop": 64,
    "batch_size": BATCH,
    "steps": STEPS,
    "validate_every": STEPS,
    "validate_images": 1,
    "device": "cpu",
    "threads": 1,
    "precision": "float32",
}
# Two networks label the images, each round learns from that, and its network labels them again.
STAGES: list[dict[str, Any]] = [
    {"name": "one", "kind": "train"},
    {"name": "two", "kind": "train", "settings": {"seed": 1}},
    {"name": "pseudo-1", "kind": "pseudo_labels", "models": ["stage:one", "stage:two"]},
    {
        "name": "round-1",
        "kind": "train",
        "mix": [{"images": "stage:pseudo-1", "share": SHARE, "decay": "linear", "until": UNTIL}],
    },
    {"name": "pseudo-2", "kind": "pseudo_labels", "models": ["stage:round-1", "stage:two"]},
    {
        "name": "round-2",
        "kind": "train",
        "init": "stage:round-1",
        "mix": [{"images": "stage:pseudo-2", "decay": "counts", "most": 2}],
    },
]
_LABELLING = {"min_score": 0.0, "min_share": 0.0, "preset": "fast", "device": "cpu"}


class Draws:
    """What every training draws its crops from, at each step: share of pseudo-labels, images."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shares: dict[CropSampler, list[float]] = {}
        self.names: dict[CropSampler, list[set[str]]] = {}
        draw = CropSampler.batch

        def batch(sampler: CropSampler, step: int, size: int, first: int = 0) -> Any:
            chances = sampler.sampling.probabilities(step)
            pseudo = [self.is_pseudo(image.name) for image in sampler.images]
            self.shares.setdefault(sampler, []).append(float(chances[pseudo].sum()))
            self.names.setdefault(sampler, []).append(set(sampler.names(step, size, first)))
            return draw(sampler, step, size, first)

        monkeypatch.setattr(CropSampler, "batch", batch)

    @staticmethod
    def is_pseudo(name: str) -> bool:
        """Unlabelled images are called as those of the competition."""
        return "_Vessel-" in name


def test_the_share_of_pseudo_labels_falls_in_two_rounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = read_dataset(write_typed(tmp_path / "target", ["astro", "cort"], 3))
    unlabelled = images_in(write_unlabelled(tmp_path / "unlabelled", ["astro", "cort"], 2))
    for stage in STAGES:
        if stage["kind"] == "pseudo_labels":
            stage["settings"] = _LABELLING
    facts = {"title": "T", "description": "D", "source": "tests", "settings": SETTINGS}
    # A trial keeps whatever networks find that have hardly learnt.
    recipe = recipe_of({**facts, "stages": STAGES, "trial": True}, "rounds")
    draws = Draws(monkeypatch)
    run_recipe(recipe, RecipeData(target, None, unlabelled), tmp_path / "run")

    labelled = [
        len(read_coco(tmp_path / "run" / f"pseudo-{n}" / "labels.json").images) for n in (1, 2)
    ]
    assert min(labelled) >= 2
    own = sum(image.extra["split"] == "train" for image in target.images)
    shares = list(draws.shares.values())
    assert [len(one) for one in shares] == [STEPS] * 4
    assert shares[:2] == [[0.0] * STEPS] * 2  # nothing has been labelled yet
    falling = [SHARE * max(0.0, 1 - step / (STEPS * UNTIL)) for step in range(STEPS)]
    assert shares[2] == pytest.approx(falling)
    assert falling[0] == SHARE and falling[STEPS // 2] == 0
    counts = image_counts(STEPS * BATCH // own, labelled[1], 2)  # an epoch is a step here
    assert shares[3] == pytest.approx([count / (count + own) for count in counts])
    assert counts[0] == 2 and counts[-2:] == [0, 0]
    # And so are the crops drawn.
    for names in list(draws.names.values())[2:]:
        seen = [any(map(draws.is_pseudo, one)) for one in names]
        assert any(seen[: STEPS // 2])
        assert not any(seen[-2:])


def test_seed_4_tries_a_falling_share_when_there_are_unlabelled_images() -> None:
    stage = read_recipe("seed-4").stage("with-pseudo")
    (mixture,) = stage.mix
    assert (mixture.images, mixture.decay, mixture.most) == ("stage:pseudo", "counts", 800)
    assert stage.skip_if_missing and stage.epochs.total == 16
    assert stage.init == "stage:livecell"
