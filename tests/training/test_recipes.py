"""Recipes: what their files say, how they are changed, and how their stages follow each other."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Cancelled, Monitor
from napari_sartorius.io.coco import read_coco
from napari_sartorius.io.importing import images_in
from napari_sartorius.io.sources import read_dataset
from napari_sartorius.nn.config import MaskRCNNConfig, VoVNetConfig
from napari_sartorius.nn.stock import stock_mask_rcnn
from napari_sartorius.nn.stock_centermask import stock_centermask_lite
from napari_sartorius.training.recipes import default_config
from napari_sartorius.training.recipes.data import RecipeData, by_field, few
from napari_sartorius.training.recipes.reading import (
    changed,
    read_recipe,
    recipe_names,
    recipe_of,
    scaled,
)
from napari_sartorius.training.recipes.running import needs, run_recipe, stored_recipe
from napari_sartorius.training.recipes.schema import TrainStage
from napari_sartorius.training.recipes.settings import train_config
from napari_sartorius.training.recipes.trial import shrunk, trial_of
from napari_sartorius.zoo import ModelBundle, open_bundle
from napari_sartorius.zoo.ensemble_bundle import EnsembleBundle
from tiny_models import tiny_architecture
from typed_pictures import write_typed, write_unlabelled

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.training.config import TrainConfig

NAMED = {
    *("livecell-pretrain", "seed-0", "seed-1", "seed-2", "seed-3", "seed-4"),
    *("finetune-quick", "finetune-thorough"),
}
# Images that are learnt from in one fold of the competition's 606.
FOLD = 485
TINY: dict[str, Any] = {
    "architecture": tiny_architecture().model_dump(mode="json")
    # What hardly learnt finds cells everywhere; a few are enough here.
    | {"proposals": {"pre_nms_topk_test": 40, "post_nms_topk_test": 20, "topk_grows": False}},
    "crop": 64,
    "batch_size": 1,
    "steps": 2,
    "validate_every": 2,
    "validate_images": 1,
    "checkpoint_every": 1,
    "device": "cpu",
    "threads": 1,
    "precision": "float32",
}


class Listener(Monitor):
    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, message: str) -> None:
        self.notices.append(message)

    def heard(self, text: str) -> bool:
        return any(text in notice for notice in self.notices)


def config_of(name: str, stage: str, classes: int = 3, images: int = FOLD) -> TrainConfig:
    recipe = read_recipe(name)
    return train_config(recipe, recipe.stage(stage), classes, images)


# -- what the files say --------------------------------------------------------------------------


def test_every_recipe_can_be_run_and_says_where_it_comes_from() -> None:
    assert set(recipe_names()) >= NAMED
    for name in recipe_names():
        recipe = read_recipe(name)
        assert recipe.name == name and recipe.source and recipe.needs and recipe.takes
        for stage in recipe.stages:
            if isinstance(stage, TrainStage):
                assert train_config(recipe, stage, 3, FOLD).architecture.num_classes == 3


def test_the_light_recipe_is_what_training_does_without_one(tmp_path: Path) -> None:
    data = read_dataset(write_typed(tmp_path, ["astro", "cort"], 1))
    assert config_of("light", "cells", classes=2) == default_config(data)


def test_seed_0_holds_its_authors_settings() -> None:
    config = config_of("seed-0", "cells")
    stock = stock_mask_rcnn(101, 3)
    network = config.architecture
    assert isinstance(network, MaskRCNNConfig)
    trunk = stock.trunk.model_copy(update={"norm": "frozen"})
    head = stock.box_head.model_copy(update={"batch_per_image": 256})
    assert network == stock.model_copy(update={"trunk": trunk, "box_head": head})
    assert (config.optimiser, config.learning_rate, config.batch_size) == ("sgd", 4e-4, 2)
    assert (config.steps, config.warmup_steps, config.seed) == (15000, 0, 42)
    assert (config.decay_steps, config.decay_factor) == ((4000, 10000, 14000), 0.5)
    recipe = read_recipe("seed-0")
    assert recipe.folds == 5
    classifier = recipe.stage("classifier").settings["architecture"]
    assert classifier["trunk"]["name"] == "efficientnetv2_rw_m"
    assert classifier["image_size"] == [520, 520]
    assert recipe.stage("livecell").init == "detectron2-maskrcnn-r101"


def test_seed_1_is_centermask2_lite() -> None:
    config = config_of("seed-1", "cells")
    stock = stock_centermask_lite(VoVNetConfig(size="39"), 3)
    many = {"post_nms_topk_train": 600, "post_nms_topk_test": 600}
    assert config.architecture == stock.model_copy(
        update={"fcos": stock.fcos.model_copy(update=many)}
    )
    assert (config.learning_rate, config.batch_size, config.steps) == (0.01, 8, 15000)


def test_seed_2_and_3_hold_their_authors_settings() -> None:
    config = config_of("seed-2", "nuclei", classes=1, images=24)
    assert (config.steps, config.decay_steps, config.decay_factor) == (2400, (1440,), 0.1)
    assert (config.learning_rate, config.weight_decay, config.batch_size) == (1e-4, 0.0, 1)
    assert config.loss_weights == {"mask": 1.5}

    config = config_of("seed-3", "round-2")
    assert config.architecture.trunk.depth == 200 and config.architecture.trunk.deformable
    assert config.architecture.trunk.norm == "frozen"
    assert config.architecture.proposals.positive_fraction == 0.7
    assert config.architecture.proposals.batch_per_image == 1024
    assert (config.learning_rate, config.steps, config.decay_steps) == (0.003, 30000, (20000,))
    size = read_recipe("seed-3").stage("round-2").input_size
    assert (size.short_edge, size.long_edge) == (1024, 2000)


def test_seed_4_counts_in_epochs_and_keeps_the_stem_unstrided() -> None:
    config = config_of("seed-4", "cells")
    assert config.steps == 4850 and config.warmup_steps == round(0.05 * 4850)
    assert config.architecture.trunk.stem_stride == 1
    assert (config.learning_rate, config.schedule, config.loss_decay) == (2e-4, "linear", True)
    assert (config.crop, config.batch_size, config.gradient_clip) == (256, 4, 10)
    assert config.architecture.proposals.anchor_sizes[0] == (16.0,)
    first = config_of("seed-4", "livecell", classes=8)
    assert (first.learning_rate, first.loss_decay, first.steps) == (3e-4, False, 970)
    assert read_recipe("seed-4").folds == 5


def test_livecells_recipe_is_its_published_configuration() -> None:
    config = config_of("livecell-pretrain", "livecell", classes=8)
    assert config.batch_size * config.accumulate == 16
    assert (config.learning_rate, config.steps) == (0.02, 30000)
    assert config.decay_steps == (17500, 20000)
    assert config.architecture.proposals.levels == (0, 0, 1, 2, 3, 4)


def test_a_recipe_tells_what_it_can_use() -> None:
    assert needs(read_recipe("seed-3")) == {"pretrain": True, "unlabelled": True, "init": False}
    assert needs(read_recipe("light")) == {"pretrain": False, "unlabelled": False, "init": False}
    assert needs(read_recipe("finetune-quick"))["init"]


# -- changing ------------------------------------------------------------------------------------


def test_settings_are_changed_for_all_or_for_one_stage() -> None:
    recipe = changed(
        read_recipe("seed-4"),
        ["steps=7", "cells.learning_rate=1e-5", "folds=2", "stages.livecell.init=null"],
    )
    assert recipe.settings["steps"] == 7 and recipe.folds == 2
    assert recipe.stage("livecell").init is None
    cells = train_config(recipe, recipe.stage("cells"), 3, FOLD)
    assert cells.learning_rate == 1e-5
    assert train_config(recipe, recipe.stage("livecell"), 3, FOLD).learning_rate == 3e-4
    everywhere = changed(read_recipe("seed-3"), ["device=cpu"])
    assert everywhere.settings["device"] == "cpu"
    assert everywhere.stage("pseudo-1").settings["device"] == "cpu"
    assert everywhere.stage("second-level").settings["device"] == "cpu"


def test_single_entries_of_the_light_network_can_be_changed() -> None:
    recipe = changed(read_recipe("light"), ["architecture.trunk.name=resnet34"])
    config = train_config(recipe, recipe.stage("cells"), 2, 10)
    assert config.architecture.trunk.name == "resnet34"
    assert config.architecture.pyramid.width == 64


def test_a_longer_or_shorter_recipe_keeps_its_shape() -> None:
    short = scaled(read_recipe("seed-0"), 0.1)
    config = train_config(short, short.stage("cells"), 3, FOLD)
    assert (config.steps, config.decay_steps) == (1500, (400, 1000, 1400))
    halved = scaled(read_recipe("seed-4"), 0.5)
    assert train_config(halved, halved.stage("cells"), 3, FOLD).steps == 2425
    with pytest.raises(UserError, match="above 0"):
        scaled(read_recipe("seed-0"), 0)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("steps", "PATH=VALUE"),
        ("=3", "PATH=VALUE"),
        ("cells.steps=[1", "no value"),
        ("folds=0", "folds"),
    ],
)
def test_wrong_changes_are_told(text: str, match: str) -> None:
    with pytest.raises(UserError, match=match):
        changed(read_recipe("light"), [text])


def test_wrong_recipes_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean seed-"):
        read_recipe("seed-9")
    with pytest.raises(UserError, match="does not exist"):
        read_recipe(str(tmp_path / "none.yaml"))
    mine = tmp_path / "mine.yaml"
    head = "title: T\ndescription: D\nsource: S\n"
    stages = {
        "[{name: a, kind: train, init: stage:b}]": "stage a uses b",
        "[{name: a, kind: train}, {name: a, kind: train}]": "two stages are called a",
        "[{name: a, kind: dance}]": "stages.0",
        "[]": "stages",
    }
    for text, fault in stages.items():
        mine.write_text(f"{head}stages: {text}\n")
        with pytest.raises(UserError, match=fault):
            read_recipe(str(mine))
    mine.write_text(head + "stages: [{name: a, kind: train, settings: {step: 3}}]\n")
    recipe = read_recipe(str(mine))
    with pytest.raises(UserError, match=r"the stage a of the recipe cannot run: step"):
        train_config(recipe, recipe.stage("a"), 2, 10)
    mine.write_text("- 1")
    with pytest.raises(UserError, match="no recipe"):
        read_recipe(str(mine))
    mine.write_text("a: [")
    with pytest.raises(UserError, match="no YAML"):
        read_recipe(str(mine))


def test_a_trial_keeps_family_and_stem_and_is_small() -> None:
    whole = config_of("seed-4", "cells").architecture
    small = shrunk(whole)
    assert type(small) is type(whole)
    assert small.trunk.stem_stride == 1 and small.trunk.widths is not None
    assert small.stages == whole.stages and small.pyramid.width < whole.pyramid.width
    trial = trial_of(read_recipe("seed-4"))
    config = train_config(trial, trial.stage("cells"), 3, FOLD)
    assert config.steps <= 4 and config.crop == 64 and config.loss_decay
    assert trial.folds == 2
    assert config.learning_rate == 2e-4


# -- images --------------------------------------------------------------------------------------


def test_a_trial_takes_images_of_every_kind_and_split(tmp_path: Path) -> None:
    data = read_dataset(write_typed(tmp_path, ["astro", "cort"], 6))
    chosen = few(data, 4)
    kinds = {(image.extra["cell_type"], image.extra["split"]) for image in chosen.images}
    assert len(chosen) == len(kinds) == 4


def test_categories_come_from_a_field_of_the_records(tmp_path: Path) -> None:
    path = write_typed(tmp_path, ["astro", "cort"], 1)
    tree = json.loads(path.read_text())
    tree["categories"] = [{"id": 1, "name": "cell"}]
    for one in tree["annotations"]:
        one["category_id"] = 1
    path.write_text(json.dumps(tree))
    data = by_field(read_coco(path), "cell_type")
    assert data.category_names == ["astro", "cort"]
    for image in data.images:
        kinds = set(data.instances[image.id].categories.tolist())
        assert kinds == {data.category_names.index(image.extra["cell_type"])}
    with pytest.raises(UserError, match="has no field plate"):
        by_field(data, "plate")


# -- running -------------------------------------------------------------------------------------


def _tiny(stages: list[dict[str, Any]], **fields: Any) -> Any:
    facts = {"title": "Tiny", "description": "D", "source": "tests", "settings": TINY}
    return recipe_of({**facts, "stages": stages, **fields}, "tiny")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> RecipeData:
    folder = tmp_path_factory.mktemp("pictures")
    target = read_dataset(write_typed(folder / "target", ["astro", "cort"], 3))
    pretrain = read_dataset(write_typed(folder / "pretrain", ["A172", "BV2", "astro"], 1, seed=9))
    unlabelled = images_in(write_unlabelled(folder / "unlabelled", ["astro", "cort"], 1))
    return RecipeData(target, pretrain, unlabelled)


TWO_STAGES = [
    {"name": "first", "kind": "train", "data": "pretrain", "skip_if_missing": True},
    {"name": "second", "kind": "train", "init": "stage:first"},
]


def test_the_second_stage_starts_from_the_first_with_new_last_layers(
    data: RecipeData, tmp_path: Path
) -> None:
    listener = Listener()
    recipe = _tiny(TWO_STAGES)
    bundle = run_recipe(recipe, data, tmp_path / "run", monitor=listener)
    assert isinstance(bundle, ModelBundle)
    assert bundle.path == tmp_path / "run" / "model"
    assert bundle.card.name == "run" and bundle.card.parent == "run-first"
    assert bundle.card.category_names == ["astro", "cort"]
    first = open_bundle(tmp_path / "run" / "first" / "model")
    assert first.card.category_names == ["A172", "BV2", "astro"]
    assert listener.heard("starts from what the stage first has learnt")
    assert listener.heard("the last layers begin anew: box_head")
    assert stored_recipe(tmp_path / "run") == recipe

    # What is finished is not done again, and the rest goes on.
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.pt")}
    again = run_recipe(recipe, data, tmp_path / "run")
    assert again is not None and again.card == bundle.card
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.pt")}
    other = changed(recipe, ["steps=3"])
    with pytest.raises(UserError, match="with other settings"):
        run_recipe(other, data, tmp_path / "run")


def test_a_run_that_was_stopped_within_a_stage_goes_on_there(
    data: RecipeData, tmp_path: Path
) -> None:
    class Stopper(Listener):
        stop = False

        def progress(self, stage: str, fraction: float) -> None:
            self.stop = stage == "second: training, step 1 of 2"

        def check(self) -> None:
            if self.stop:
                raise Cancelled

    recipe, run = _tiny(TWO_STAGES), tmp_path / "run"
    with pytest.raises(Cancelled):
        run_recipe(recipe, data, run, monitor=Stopper())
    assert (run / "first" / "model").is_dir() and not (run / "second" / "model").exists()
    listener = Listener()
    assert run_recipe(recipe, data, run, monitor=listener) is not None
    assert listener.heard("second: resumed at step 1 of 2")
    assert not listener.heard("first: resumed")


def test_stages_whose_images_are_missing_are_left_out(data: RecipeData, tmp_path: Path) -> None:
    listener = Listener()
    alone = RecipeData(data.target)
    bundle = run_recipe(_tiny(TWO_STAGES), alone, tmp_path / "run", monitor=listener)
    assert isinstance(bundle, ModelBundle) and bundle.card.parent is None
    assert listener.heard("first: left out: it needs --pretrain-data")
    stages = [dict(TWO_STAGES[0], skip_if_missing=False)]
    with pytest.raises(UserError, match="the stage first cannot run: it needs --pretrain-data"):
        run_recipe(_tiny(stages), alone, tmp_path / "b")


def test_a_start_that_is_not_here_is_told_with_what_to_do(
    data: RecipeData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SARTORIUS_MODELS", str(tmp_path / "models"))
    stages = [{"name": "cells", "kind": "train", "init": "livecell-anchor-based"}]
    with pytest.raises(UserError, match=r"models download livecell-anchor-based.*--init none"):
        run_recipe(_tiny(stages), data, tmp_path / "run")


def test_further_images_are_learnt_from_beside_the_own(data: RecipeData, tmp_path: Path) -> None:
    listener = Listener()
    stages = [
        {
            "name": "cells",
            "kind": "train",
            "mix": [{"images": "pretrain", "categories": {"A172": "cort"}, "share": 0.5}],
        }
    ]
    bundle = run_recipe(_tiny(stages), data, tmp_path / "run", monitor=listener)
    # BV2 has no name here, so its image stays out.
    assert listener.heard("2 further images of pretrain")
    assert bundle is not None and "and 2 further ones" in bundle.card.description


def test_folds_predict_every_image_by_a_model_that_has_not_seen_it(
    data: RecipeData, tmp_path: Path
) -> None:
    judge = {
        "name": "judge",
        "kind": "rescore",
        "model": "stage:second",
        "settings": {"preset": "fast", "device": "cpu", "trees": 5, "folds": 2},
    }
    settings = TINY | {"steps": 1, "validate_every": 1}
    recipe = _tiny([*TWO_STAGES, judge], folds=2, settings=settings)
    run = tmp_path / "run"
    listener = Listener()
    assert run_recipe(recipe, data, run, fold=1, monitor=listener) is None
    assert listener.heard("1 of 2 folds is done")
    assert not (run / "model").exists() and not (run / "fold-0").exists()
    bundle = run_recipe(recipe, data, run, monitor=listener)
    assert isinstance(bundle, EnsembleBundle)
    assert bundle.card.member_names == ["run-0", "run-1"]
    # Both folds share the first stage.
    assert (run / "first" / "model").is_dir() and not (run / "fold-0" / "first").exists()

    whole = read_coco(run / "out-of-fold.json")
    assert len(whole) == len(data.target)
    for fold in (0, 1):
        held_out = {image.stem for image in whole.images if image.extra["fold"] == fold}
        own = read_coco(run / f"fold-{fold}" / "out-of-fold.json")
        assert {image.stem for image in own.images} == held_out
        learnt = open_bundle(run / f"fold-{fold}" / "model").card.training_data
        assert learnt.startswith(f"{len(data.target) - len(held_out)} images")
    assert all(whole.image_path(image).is_file() for image in whole.images)
    figures = json.loads((run / "out-of-fold-scores.json").read_text())
    assert bundle.card.metrics["out-of-fold"] == round(figures["competition_score"], 4)
    # The second level of all folds was taught on what each has found in images it had not seen.
    assert bundle.read_rescorer() is not None and bundle.card.rescorer is not None
    assert len(list((run / "judge" / "samples").iterdir())) == len(data.target)
    assert (run / "judge" / "curve.csv").is_file()
    with pytest.raises(UserError, match="no fold 2: the run has 2"):
        run_recipe(recipe, data, run, fold=2)


def test_jobs_of_several_folds_wait_for_the_stages_that_they_share(
    data: RecipeData, tmp_path: Path
) -> None:
    class Impatient(Listener):
        def check(self) -> None:
            if self.notices:
                raise Cancelled

    run, listener = tmp_path / "run", Impatient()
    run.mkdir()
    recipe = _tiny(TWO_STAGES, folds=2)
    with FileLock(run / ".lock"), pytest.raises(Cancelled):
        run_recipe(recipe, data, run, fold=0, monitor=listener)
    assert listener.heard("another job does the stages that all folds share")
    assert not (run / "first").exists()


def test_images_of_a_test_split_are_in_no_fold(data: RecipeData, tmp_path: Path) -> None:
    target = data.target.select(lambda _: True)
    kept_out = target.images[0]
    target.images[0] = type(kept_out)(
        kept_out.id,
        kept_out.file_name,
        kept_out.width,
        kept_out.height,
        kept_out.extra | {"split": "test"},
    )
    stages = [{"name": "cells", "kind": "train"}]
    recipe = _tiny(stages, folds=2, settings=TINY | {"steps": 1, "validate_every": 1})
    run_recipe(recipe, RecipeData(target), tmp_path / "run")
    names = {image.stem for image in read_coco(tmp_path / "run" / "out-of-fold.json").images}
    assert kept_out.stem not in names and len(names) == len(target) - 1


def test_too_few_images_for_folds_name_the_way_out(data: RecipeData, tmp_path: Path) -> None:
    few_images = RecipeData(few(data.target, 3))
    stages = [{"name": "cells", "kind": "train"}]
    settings = TINY | {"steps": 1, "validate_every": 1}
    recipe = _tiny(stages, folds=5, settings=settings)
    with pytest.raises(UserError, match=r"^3 annotated images are too few .* give --folds 1, whi"):
        run_recipe(recipe, few_images, tmp_path / "run")
    one = _tiny(stages, folds=1, settings=settings)
    listener = Listener()
    run_recipe(one, few_images, tmp_path / "run", monitor=listener)
    assert listener.heard("a quarter of each is kept apart")
    images = [
        replace(image, extra=image.extra | {"plate_well": f"well {n % 2}"})
        for n, image in enumerate(data.target.images)
    ]
    wells = RecipeData(replace(data.target, images=images))
    with pytest.raises(UserError, match=r"in 2 groups.* 5 folds: give --folds 2 or --folds 1,"):
        run_recipe(recipe, wells, tmp_path / "wells")


def test_a_classifier_joins_the_detector(data: RecipeData, tmp_path: Path) -> None:
    stages = [
        {"name": "cells", "kind": "train"},
        {
            "name": "types",
            "kind": "classifier",
            "settings": {
                "architecture": {
                    "num_classes": 2,
                    "trunk": {"name": "resnet10t"},
                    "image_size": [64, 64],
                },
                "steps": 1,
                "batch_size": 2,
                "validate_every": 1,
                "device": "cpu",
            },
        },
        {
            "name": "both",
            "kind": "ensemble",
            "members": ["stage:cells"],
            "classifier": "stage:types",
        },
    ]
    bundle = run_recipe(_tiny(stages), data, tmp_path / "run")
    assert isinstance(bundle, EnsembleBundle)
    assert bundle.card.cell_type.by == "classifier"
    assert bundle.card.cell_type.member == "run-types"
    assert bundle.card.member_names == ["run-cells", "run-types"]


class Begun(Exception):
    """A fine-tuning was begun."""


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a fine-tuning is given; it is only begun."""

    def begin(*args: Any, **settings: Any) -> None:
        told.update(settings)
        raise Begun

    told: dict[str, Any] = {}
    monkeypatch.setattr("napari_sartorius.training.recipes.stages.finetune", begin)
    return told


def test_a_fine_tuning_takes_the_settings_of_its_recipe_and_stage(
    data: RecipeData, tmp_path: Path, given: dict[str, Any]
) -> None:
    recipe = changed(read_recipe("finetune-thorough"), ["steps=7", "finetune.crop=64"])
    with pytest.raises(Begun):
        run_recipe(recipe, data, tmp_path / "run", init="nuclei")
    assert (given["config"].steps, given["config"].crop) == (7, 64)
    assert (given["effort"], given["budget"]) == ("thorough", None)
    assert given["recipe_name"] == "finetune-thorough"


@pytest.mark.parametrize(
    ("changes", "schedule"),
    [
        (["steps=20"], (20, 3, 3)),
        (["finetune.steps=20", "finetune.validate_every=10"], (20, 3, 10)),
        (["steps=20", "warmup_steps=0"], (20, 0, 3)),
    ],
)
def test_a_fine_tuning_of_few_steps_warms_up_and_is_validated_within_them(
    data: RecipeData,
    tmp_path: Path,
    given: dict[str, Any],
    changes: list[str],
    schedule: tuple[int, ...],
) -> None:
    with pytest.raises(Begun):
        run_recipe(
            changed(read_recipe("finetune-quick"), changes), data, tmp_path / "run", init="nuclei"
        )
    config = given["config"]
    assert (config.steps, config.warmup_steps, config.validate_every) == schedule


@pytest.mark.parametrize(
    ("changes", "steps", "budget"),
    [([], 150, 450.0), (["crop=64"], 150, 450.0), (["steps=80"], 40, None)],
)
def test_a_scaled_fine_tuning_has_as_many_times_the_steps_and_the_time(
    data: RecipeData,
    tmp_path: Path,
    given: dict[str, Any],
    changes: list[str],
    steps: int,
    budget: float | None,
) -> None:
    recipe = scaled(changed(read_recipe("finetune-quick"), changes), 0.5)
    with pytest.raises(Begun):
        run_recipe(recipe, data, tmp_path / "run", init="nuclei")
    assert (given["config"].steps, given["budget"]) == (steps, budget)
    if budget is not None:  # the schedule keeps its shape
        assert (given["config"].validate_every, given["config"].warmup_steps) == (25, 25)


def test_fine_tuning_by_recipe_needs_a_start(data: RecipeData, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="name it with --init"):
        run_recipe(read_recipe("finetune-quick"), data, tmp_path / "run")
