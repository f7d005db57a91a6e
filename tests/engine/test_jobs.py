"""The real jobs with a real, tiny network in a real worker; and the same through Python."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

import napari_sartorius as ns
from napari_sartorius.core.channels import choose_colours
from napari_sartorius.core.errors import UserError
from napari_sartorius.engine.client import WorkerClient
from napari_sartorius.engine.context import WarmCache
from napari_sartorius.engine.handle import JobState
from napari_sartorius.engine.jobs import (
    DescribeDeviceJob,
    SegmentJob,
    WarmUpJob,
    warm_segmenter,
)
from napari_sartorius.engine.messages import JobMessage, NoticeMessage, ProgressMessage
from napari_sartorius.engine.settings import segment_config
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.io.images import image_from_array
from napari_sartorius.zoo import ModelBundle
from napari_sartorius.zoo.ensemble_card import (
    CellTypeRule,
    EnsembleCard,
    MemberCard,
    PassCard,
    PassMember,
)
from tiny_models import save_tiny_bundle

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 600.0  # seconds; only a hang takes that long


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    return save_tiny_bundle(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def client() -> Iterator[WorkerClient]:
    """One warm worker for all tests here, because it takes seconds to load torch."""
    with WorkerClient() as client:
        yield client


@pytest.fixture
def config(bundle: ModelBundle) -> SegmentConfig:
    return segment_config(
        model=str(bundle.path), device="cpu", preset="fast", max_objects_per_tile=20
    )


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (64, 80), np.uint8)


def test_segmenting_in_the_worker_equals_segmenting_here(
    client: WorkerClient, config: SegmentConfig, image: np.ndarray
) -> None:
    messages: list[JobMessage] = []
    (plane,) = client.submit(SegmentJob(image, config), messages.append).outcome(PATIENCE)
    assert plane.index == ()
    assert plane.result.device == "cpu"
    assert plane.result.categories == ["big", "small"]
    here = warm_segmenter(WarmCache(), config).segment(image)
    assert len(plane.result.instances) == len(here.instances) > 0
    np.testing.assert_allclose(plane.result.instances.boxes, here.instances.boxes, atol=1e-3)
    np.testing.assert_allclose(plane.result.instances.scores, here.instances.scores, atol=1e-5)
    assert plane.result.instances.masks.bits.flags.writeable
    fractions = [m.fraction for m in messages if isinstance(m, ProgressMessage)]
    assert fractions == sorted(fractions)
    # A top-k cap of 20 is hit here, and the user is told while the job runs.
    (notice,) = [m.text for m in messages if isinstance(m, NoticeMessage)]
    assert notice in plane.result.notices


def test_stacks_files_and_image_data(
    client: WorkerClient, config: SegmentConfig, image: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "stack.tif"
    stack = np.stack([image, image[::-1], image])
    tifffile.imwrite(path, stack, photometric="minisblack")
    from_file = client.submit(SegmentJob(path, config)).outcome(PATIENCE)
    from_layer = client.submit(SegmentJob(image_from_array(stack), config)).outcome(PATIENCE)
    assert [plane.index for plane in from_file] == [(0,), (1,), (2,)]
    for a, b in zip(from_file, from_layer, strict=True):
        np.testing.assert_array_equal(a.result.instances.boxes, b.result.instances.boxes)
    assert len(from_file[0].result.instances) == len(from_file[2].result.instances)


def test_the_pixel_size_of_a_layer_reaches_the_segmenter(
    client: WorkerClient, bundle: ModelBundle, config: SegmentConfig, image: np.ndarray
) -> None:
    with_size = bundle.card.with_changes(pixel_size=1.0)
    (bundle.path / "model.json").write_text(with_size.model_dump_json())
    try:
        job = SegmentJob(image, config, pixel_size=0.5)
        (plane,) = client.submit(job).outcome(PATIENCE)
    finally:
        (bundle.path / "model.json").write_text(bundle.card.model_dump_json())
    assert plane.result.scale == pytest.approx(0.5)


def test_warm_up_and_device(client: WorkerClient, config: SegmentConfig) -> None:
    assert client.submit(WarmUpJob(config)).outcome(PATIENCE).device == "cpu"
    choice = client.submit(DescribeDeviceJob("cpu")).outcome(PATIENCE)
    assert choice.device == "cpu"
    assert choice.reason.endswith(".")


def test_a_bad_image_and_an_unknown_model_are_one_sentence(
    client: WorkerClient, config: SegmentConfig, image: np.ndarray
) -> None:
    broken = np.where(image > 250, np.nan, image).astype(np.float32)
    handle = client.submit(SegmentJob(broken, config))
    assert handle.wait(PATIENCE) is JobState.FAILED
    assert "NaN" in (handle.error or "")
    handle = client.submit(SegmentJob(image, config.model_copy(update={"model": "nothing"})))
    assert handle.wait(PATIENCE) is JobState.FAILED
    assert "there is no model 'nothing'" in (handle.error or "")


def test_a_network_is_loaded_once_per_model_and_device(config: SegmentConfig) -> None:
    cache = WarmCache()
    first = warm_segmenter(cache, config)
    second = warm_segmenter(cache, config.model_copy(update={"preset": "best"}))
    assert len(cache) == 1
    assert first is not second


@pytest.fixture(scope="module")
def ensemble(bundle: ModelBundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ensemble of six copies of the model, as a folder."""
    card = bundle.card
    names = [f"m{n}" for n in range(6)]
    folder = tmp_path_factory.mktemp("ensemble")
    together = EnsembleCard(
        name="together",
        title="Together",
        description="Six of a kind.",
        categories=card.categories,
        thresholds=card.thresholds,
        licence=card.licence,
        training_data=card.training_data,
        members=tuple(MemberCard(card=card.with_changes(name=name)) for name in names),
        passes=(PassCard(members=tuple(PassMember(name=name) for name in names)),),
        cell_type=CellTypeRule(by="none"),
    )
    for name in names:
        place = folder / "members" / name
        place.mkdir(parents=True)
        shutil.copy(bundle.path / "weights.safetensors", place)
    (folder / "model.json").write_text(together.model_dump_json())
    return folder


def test_members_are_loaded_when_needed_and_stay(
    ensemble: Path, config: SegmentConfig, image: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    load = ModelBundle.load_network

    def noted(self: ModelBundle, *arguments: Any, **options: Any) -> Any:
        loaded.append(self.card.name)
        return load(self, *arguments, **options)

    monkeypatch.setattr(ModelBundle, "load_network", noted)
    cache = WarmCache()
    wish = config.model_copy(update={"model": str(ensemble), "max_objects_per_tile": 5})
    warm_segmenter(cache, wish.model_copy(update={"preset": "fast"})).warm_up()
    assert loaded == ["m0"]
    best = wish.model_copy(update={"preset": "best"})
    for _ in range(2):
        warm_segmenter(cache, config).warm_up()  # another model beside it throws none out
        result = warm_segmenter(cache, best).segment(image)
    assert sorted(loaded) == ["m0", "m1", "m2", "m3", "m4", "m5", "tiny"]
    assert result.passes[0].members == ("m0", "m1", "m2", "m3", "m4", "m5")
    assert len(cache) == 2


def test_an_ensemble_in_python_and_in_the_worker(
    ensemble: Path, client: WorkerClient, config: SegmentConfig, image: np.ndarray
) -> None:
    options = {"preset": "best", "max_objects_per_tile": 5, "tile": "off"}
    model = ns.load_model(ensemble, device="cpu")
    assert model.card.name == "together"
    found = ns.segment(image, model, **options)
    assert (found.columns["members"] == 6).all()
    wish = config.model_copy(update={"model": str(ensemble), **options})
    (plane,) = client.submit(SegmentJob(image, wish)).outcome(PATIENCE)
    np.testing.assert_array_equal(plane.result.instances.boxes, found.boxes)
    assert plane.result.passes[0].fusion == "mean_of_looks"


def test_the_warm_cache_forgets_what_was_not_used_for_longest() -> None:
    cache = WarmCache(capacity=2)
    for key in ("a", "b", "a", "c"):
        cache.get(key, lambda key=key: key.upper())  # type: ignore[misc]
    assert "b" not in cache
    assert cache.get("a", lambda: "made again") == "A"
    cache.clear()
    assert len(cache) == 0


def test_python_load_and_segment(
    bundle: ModelBundle, image: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = ns.load_model(bundle.path, device="cpu")
    assert model.categories == ["big", "small"]
    assert "tiny" in repr(model)
    options = {"preset": "fast", "max_objects_per_tile": 20}
    with caplog.at_level(logging.WARNING, "napari_sartorius.api"):
        instances = ns.segment(image, model, **options)
    assert isinstance(instances, ns.Instances)
    assert len(instances) > 0
    assert instances.image_size == (64, 80)
    assert "limit on the number of objects" in caplog.text
    labels, table = instances.to_labels()
    assert labels.shape == image.shape
    assert len(table["index"]) == len(instances)
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, image)
    for again in (path, str(path)):
        np.testing.assert_array_equal(ns.segment(again, model, **options).boxes, instances.boxes)
    by_name = ns.segment(image, bundle.path, device="cpu", **options)
    np.testing.assert_array_equal(by_name.boxes, instances.boxes)
    higher = ns.segment(image, model, min_score=2 * float(instances.scores.min()), **options)
    assert len(higher) < len(instances)


@pytest.mark.parametrize("choice", [2, "luminance", "hematoxylin"])
def test_python_segments_the_chosen_part_of_the_colours(
    bundle: ModelBundle, image: np.ndarray, choice: int | str
) -> None:
    colours = np.stack([image, image[::-1], image[:, ::-1]], axis=-1).astype(np.uint8)
    model = ns.load_model(bundle.path, device="cpu")
    expected = ns.segment(choose_colours(colours, choice), model, preset="fast")  # type: ignore[arg-type]
    found = ns.segment(colours, model, preset="fast", channel=choice)
    assert len(found) > 0
    np.testing.assert_array_equal(found.boxes, expected.boxes)
    with pytest.raises(UserError, match="channel"):
        ns.segment(image, model, channel=2)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"channel": "pink"}, "channel cannot be 'pink'"),
        ({"diametre": 3}, "There is no segmentation option diametre"),
        ({"preset": "turbo"}, "preset cannot be 'turbo'"),
        ({"tile": 3}, "too small"),
        ({"device": "gpu"}, "device cannot be 'gpu'"),
    ],
)
def test_wrong_options_are_one_sentence(
    bundle: ModelBundle, image: np.ndarray, options: dict[str, object], expected: str
) -> None:
    model = ns.load_model(bundle.path, device="cpu")
    with pytest.raises(UserError, match=expected) as caught:
        ns.segment(image, model, **options)
    assert "\n" not in str(caught.value)


def test_python_refuses_stacks_and_unknown_models(bundle: ModelBundle, image: np.ndarray) -> None:
    model = ns.load_model(bundle.path, device="cpu")
    with pytest.raises(UserError, match=r"stack of 2 planes.* use segment_stack"):
        ns.segment(np.stack([image, image]), model)
    with pytest.raises(UserError, match="5 dimensions"):
        ns.segment(np.zeros((2, 2, 2, 8, 8)), model)
    with pytest.raises(UserError, match="no model 'nothing'"):
        ns.load_model("nothing")
    assert "torch" in sys.modules  # loading did it; importing did not, see the tests of the package


def test_python_segments_stacks_plane_by_plane(
    bundle: ModelBundle, image: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = ns.load_model(bundle.path, device="cpu")
    stack = np.stack([image, np.zeros_like(image), image[::-1]])
    with caplog.at_level(logging.WARNING, "napari_sartorius.api"):
        found = ns.segment_stack(stack, model, preset="fast")
    assert "1 of 3 planes of image is blank and was skipped" in caplog.text
    assert [one.image_size for one in found] == [(64, 80)] * 3
    assert len(found[1]) == 0
    for plane, instances in ((stack[0], found[0]), (stack[2], found[2])):
        expected = ns.segment(plane, model, preset="fast")
        np.testing.assert_array_equal(instances.boxes, expected.boxes)
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, stack, photometric="minisblack")
    results = model.segment_stack(path, preset="fast")
    assert [len(one.instances) for one in results] == [len(one) for one in found]
    assert results[1].device == "cpu"
    assert len(ns.segment_stack(image, model, preset="fast")) == 1
    with pytest.raises(UserError, match="image is blank, in each of its 2 planes"):
        ns.segment_stack(np.zeros((2, 64, 80)), model)


def test_python_takes_grey_with_alpha_and_one_channel(
    bundle: ModelBundle, image: np.ndarray
) -> None:
    model = ns.load_model(bundle.path, device="cpu")
    expected = ns.segment(image, model, preset="fast")
    alpha = np.dstack([image, np.full_like(image, 255)])
    for pixels in (alpha, image[..., None]):
        np.testing.assert_array_equal(
            ns.segment(pixels, model, preset="fast").boxes, expected.boxes
        )
    second = np.dstack([np.full_like(image, 255), image])
    found = ns.segment(second, model, preset="fast", channel=1)
    np.testing.assert_array_equal(found.boxes, expected.boxes)


def test_what_was_left_out_of_a_file_is_in_the_result(
    bundle: ModelBundle, image: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "pages.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(image, metadata=None)
        writer.write(image[:-8], metadata=None)
    model = ns.load_model(bundle.path, device="cpu")
    (whole,) = model.segment_stack(path, preset="fast")
    for result in (model.segment(path, preset="fast"), whole):
        assert any("pages.tif holds 2 pictures" in notice for notice in result.notices)


def test_the_help_of_segment_names_every_option() -> None:
    options = set(SegmentConfig.model_fields) - {"model"}
    assert {name for name in options if f"``{name}``" in (ns.segment.__doc__ or "")} == options


def test_blank_planes_of_a_layer_are_told_and_empty(
    client: WorkerClient, config: SegmentConfig, image: np.ndarray
) -> None:
    messages: list[JobMessage] = []
    stack = np.stack([np.zeros_like(image), image])
    found = client.submit(SegmentJob(stack, config), messages.append).outcome(PATIENCE)
    assert len(found[0].result.instances) == 0
    assert len(found[1].result.instances) > 0
    told = [m.text for m in messages if isinstance(m, NoticeMessage)]
    assert told.count("1 of 2 planes of image is blank and was skipped") == 1
    assert "1 of 2 planes of image is blank and was skipped" in found[0].result.notices
    handle = client.submit(SegmentJob(np.zeros_like(stack), config))
    assert handle.wait(PATIENCE) is JobState.FAILED
    assert "is blank" in (handle.error or "")


def test_a_segmentation_leaves_the_viewer_without_torch(bundle: ModelBundle) -> None:
    code = (
        f"import sys\nsys.path[:] = {sys.path!r}\n"
        "import numpy as np\n"
        "from napari_sartorius.engine.client import WorkerClient\n"
        "from napari_sartorius.engine.jobs import SegmentJob\n"
        "from napari_sartorius.engine.settings import segment_config\n"
        "image = np.random.default_rng(0).integers(0, 255, (64, 80), np.uint8)\n"
        f"config = segment_config(model={str(bundle.path)!r}, device='cpu', preset='fast')\n"
        "with WorkerClient() as client:\n"
        "    (plane,) = client.submit(SegmentJob(image, config)).outcome(600)\n"
        "print(len(plane.result.instances) > 0, {'torch', 'timm'} & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    assert done.stdout.split() == ["True", "set()"]
