"""Models run by a really installed detectron2 answer as they do without us."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from detectron2_models import MODELS, make_original, zoo_file
from napari_sartorius.cli.main import app
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.paste import paste
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.segmenter import Segmenter
from napari_sartorius.nn.detector import DetectLimits
from napari_sartorius.zoo import find_bundle
from napari_sartorius.zoo.detectron2_engine import import_with_detectron2
from napari_sartorius.zoo.detectron2_engine.build import build_original, complete
from napari_sartorius.zoo.detectron2_engine.configuration import read_configuration
from napari_sartorius.zoo.detectron2_engine.loading import wrap

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from detectron2_models import Original
    from napari_sartorius.nn.detector import Detections
    from napari_sartorius.zoo import ModelBundle

pytest.importorskip("detectron2", reason="detectron2 is not installed")
# Stock detectron2, called here for comparison, warns of what torch deprecates.
pytestmark = pytest.mark.filterwarnings("ignore")

LIMITS = DetectLimits(score=0.1, nms=0.8, max_detections=60)
SIZE = (150, 203)


@pytest.fixture(scope="module")
def image() -> NDArray[np.float32]:
    """Grey levels (channel, row, column), whole numbers of 0 to 255."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 255, (3, 19, 26)).repeat(8, axis=1).repeat(8, axis=2)
    return coarse[:, : SIZE[0], : SIZE[1]].astype(np.float32)


@pytest.fixture(scope="module")
def imported(
    image: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[Original, ModelBundle]]:
    """A model of detectron2 by its kind, and the bundle made of its files; each made once."""
    made: dict[str, tuple[Original, ModelBundle]] = {}

    def make(kind: str) -> tuple[Original, ModelBundle]:
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            original = make_original(kind, folder, image)
            bundle = import_with_detectron2(
                original.checkpoint, config=original.config, folder=folder / "models"
            ).bundle
            made[kind] = original, bundle
        return made[kind]

    return make


def _seen(bundle: ModelBundle, image: NDArray[np.float32], padding: int = 0) -> torch.Tensor:
    """Batch of one as the segmenter makes it, with zeros around the image."""
    look = bundle.card.normalisation
    pixels = torch.from_numpy(image[: bundle.card.input_channels])
    mean, std = (torch.tensor(v).reshape(-1, 1, 1) for v in (look.mean, look.std))
    height, width = (-(-n // 32) * 32 + padding for n in SIZE)
    batch = torch.zeros((1, len(pixels), height, width))
    batch[0, :, : SIZE[0], : SIZE[1]] = (pixels - mean) / std
    return batch


def _detectron2_says(original: Original, image: NDArray[np.float32]) -> Any:
    """What the untouched model finds within the same limits, before it pastes masks."""
    model = original.model
    predictor = model.roi_heads.box_predictor
    for one in predictor if isinstance(predictor, torch.nn.ModuleList) else [predictor]:
        one.test_score_thresh, one.test_nms_thresh = LIMITS.score, LIMITS.nms
        one.test_topk_per_image = LIMITS.max_detections
    pixels = torch.from_numpy(image[: len(model.pixel_mean)])
    with torch.inference_mode():
        found = model.inference([{"image": pixels}], do_postprocess=False)
    return (found[0] if isinstance(found, tuple) else found)[0]


@pytest.mark.parametrize("kind", [kind for kind in MODELS if kind != "deep_lab"])
def test_a_wrapped_model_finds_what_detectron2_finds(
    kind: str, image: NDArray[np.float32], imported: Callable[[str], Any]
) -> None:
    original, bundle = imported(kind)
    network: Any = bundle.load_network(for_inference=True)
    theirs = _detectron2_says(original, image)
    # What is padded beyond detectron2's own need must not matter.
    ours: Detections = network.detect(_seen(bundle, image, padding=64), LIMITS, [SIZE])[0]

    assert len(ours.boxes) == len(theirs) > 4
    np.testing.assert_allclose(ours.boxes, theirs.pred_boxes.tensor, atol=1e-3)
    np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-5)
    np.testing.assert_array_equal(ours.labels, theirs.pred_classes)
    np.testing.assert_allclose(ours.mask_probs, theirs.pred_masks[:, 0], atol=1e-4)
    assert ours.mask_probs.std() > 0.05


@pytest.mark.parametrize("kind", ["fpn", "cascade", "c4", "point_rend", "one_mask_for_all"])
def test_stages_called_one_by_one_give_the_same(
    kind: str, image: NDArray[np.float32], imported: Callable[[str], Any]
) -> None:
    _, bundle = imported(kind)
    network: Any = bundle.load_network()
    batch = _seen(bundle, image)
    with torch.inference_mode():
        together = network.detect(batch, LIMITS, [SIZE])[0]
        # A C4 model pads nothing, so what it makes of zeros around the image is another thing.
        features = network.features(batch if kind != "c4" else batch[:, :, : SIZE[0], : SIZE[1]])
        (proposals,) = network.propose(features, [SIZE])
        (scored,) = network.score_boxes(features, [proposals.boxes], [SIZE])
        (masks,) = network.predict_masks(features, [together.boxes[:7]])
    assert (proposals.logits.diff() <= 0).all()
    assert scored.probabilities.shape == (len(proposals.boxes), 4)
    assert scored.boxes.shape[:2] in [(len(proposals.boxes), 1), (len(proposals.boxes), 3)]
    np.testing.assert_allclose(scored.probabilities.sum(dim=1), 1, atol=1e-5)
    # Every final box is one of the refined ones, with one of its probabilities.
    apart = (scored.boxes.reshape(1, -1, 4).clamp(min=0) - together.boxes[:, None]).abs()
    inside = (together.boxes[:, 2] < SIZE[1]) & (together.boxes[:, 3] < SIZE[0])
    assert inside.any()
    assert apart.amax(dim=2).amin(dim=1)[inside].max() < 1e-3
    assert torch.isin(together.scores, scored.probabilities).all()
    assert masks.shape[1] == (1 if kind == "one_mask_for_all" else 3)
    chosen = masks[torch.arange(len(masks)), together.labels[:7].clamp(max=masks.shape[1] - 1)]
    np.testing.assert_allclose(chosen, together.mask_probs[:7], atol=1e-5)


def test_stages_take_images_without_any_box(
    image: NDArray[np.float32], imported: Callable[[str], Any]
) -> None:
    for kind in ("fpn", "c4", "point_rend"):
        network: Any = imported(kind)[1].load_network()
        features = network.features(_seen(imported(kind)[1], image))
        none = torch.zeros((0, 4))
        assert network.score_boxes(features, [none])[0].probabilities.shape == (0, 4)
        assert network.predict_masks(features, [none])[0].shape[:2] == (0, 3)
        impossible = DetectLimits(score=1.0)
        assert len(network.detect(_seen(imported(kind)[1], image), impossible)[0].boxes) == 0


def test_a_model_without_stages_detects_and_says_so(
    image: NDArray[np.float32], imported: Callable[[str], Any]
) -> None:
    pytest.importorskip("panopticapi", reason="Panoptic-DeepLab needs panopticapi")
    original, bundle = imported("deep_lab")
    network: Any = bundle.load_network()
    for stage in ("features", "propose", "score_boxes", "predict_masks"):
        assert not hasattr(network, stage)
    with pytest.raises(UserError, match="has no stages"):
        network.features(_seen(bundle, image))

    pixels = {"image": torch.from_numpy(image), "height": SIZE[0], "width": SIZE[1]}
    with torch.inference_mode():
        theirs = original.model([pixels])[0]["instances"]
    order = theirs.scores.argsort(descending=True, stable=True)
    everything = DetectLimits(score=-100, nms=1.0, max_detections=len(order) - 2)
    ours: Detections = network.detect(_seen(bundle, image, padding=32), everything, [SIZE])[0]
    kept = order[:-2]
    assert ours.capped
    np.testing.assert_allclose(ours.scores, theirs.scores[kept], atol=1e-4)
    np.testing.assert_array_equal(ours.labels, theirs.pred_classes[kept])
    masks = paste(ours.mask_probs.numpy(), ours.boxes.numpy(), SIZE)
    wanted = CropMasks.from_full(theirs.pred_masks[kept].numpy())
    large = np.flatnonzero(wanted.area() > 50)
    assert len(large) > 5
    for i in large.tolist():
        assert masks[[i]].iou(wanted[[i]])[0, 0] > 0.97


def test_an_imported_model_segments_like_any_other(
    image: NDArray[np.float32], imported: Callable[[str], Any], tmp_path: Path
) -> None:
    # A ResNeXt, which our own importer refuses.
    _, bundle = imported("resnext")
    colours = image[::-1].transpose(1, 2, 0).astype(np.uint8)
    assert bundle.card.input_size.short_edge == 192
    config = SegmentConfig(preset="fast", device="cpu", min_score=0.3, min_size=5)
    found = Segmenter(find_bundle(bundle.path), config).segment(colours)
    assert len(found.instances) > 3
    assert found.instances.image_size == SIZE
    assert len(found.instances.masks.overlaps()[0]) == 0


def test_an_imported_model_has_its_input_on_its_card(imported: Callable[[str], Any]) -> None:
    card = imported("grey")[1].card
    assert card.input_channels == 1
    assert card.normalisation.mean == 120.0
    assert card.normalisation.std == 50.0
    assert card.precision == "float32"
    assert card.architecture.smallest_object == 32
    assert "WEIGHTS" not in card.architecture.configuration["MODEL"]
    assert imported("deformable")[1].card.normalisation.channel_order == "BGR"


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ("MODEL: {MASK_ON: false}", "without masks"),
        ("MODEL: {META_ARCHITECTURE: RetinaNet}", "RetinaNet without masks"),
        ("MODEL: {META_ARCHITECTURE: Unheard}", "cannot build the network"),
        ("MODEL: {FCOS: {TOP_LEVELS: 2}}", "sets MODEL.FCOS.TOP_LEVELS, which detectron2"),
        ("MODEL: {ROI_HEADS: {NUM_CLASSES: many}}", "refused by detectron2"),
        ("MODEL: {ROI_HEADS: {NUM_CLASSES: 0}}", "greater than or equal to 1"),
        ("MODEL: {ROI_HEADS: {NUM_CLASSES: 4}}", "has the shape"),
        ("MODEL: {LOAD_PROPOSALS: true}", "reads its proposals from a file"),
        ("MODEL: {PIXEL_STD: [1.0, 0.0, 1.0]}", "above 0 for deviations"),
        ("MODEL: {PIXEL_MEAN: [1.0, 2.0]}", "of 2 channels"),
        ("INPUT: {FORMAT: YUV-BT.601}", "only networks that see BGR, RGB or L"),
        ("MODEL: {RESNETS: {DEPTH: 101}}", "lacks backbone"),
        ("MODEL: {ROI_BOX_HEAD: {NUM_FC: 1}}", "holds tensors that the network of the config"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(
    changed: str, sentence: str, imported: Callable[[str], Any], tmp_path: Path
) -> None:
    original, _ = imported("fpn")
    config = tmp_path / "changed.yaml"
    config.write_text(f"_BASE_: {original.config}\n{changed}\n")
    with pytest.raises(UserError, match=sentence) as told:
        import_with_detectron2(original.checkpoint, config=config, folder=tmp_path / "models")
    assert "\n" not in str(told.value)
    assert not (tmp_path / "models").exists()


def test_damaged_weights_are_refused(imported: Callable[[str], Any], tmp_path: Path) -> None:
    original, _ = imported("fpn")
    weights = torch.load(original.checkpoint, weights_only=True)["model"]
    weights["backbone.fpn_lateral2.bias"][0] = torch.nan
    torch.save({"model": weights}, tmp_path / "nan.pth")
    with pytest.raises(UserError, match="NaN or infinite"):
        import_with_detectron2(tmp_path / "nan.pth", config=original.config, folder=tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_unknown_entries_that_change_nothing_are_reported(
    imported: Callable[[str], Any], tmp_path: Path
) -> None:
    original, _ = imported("fpn")
    config = tmp_path / "more.yaml"
    config.write_text(
        f"_BASE_: {original.config}\nSOLVER: {{OURS: 1}}\nTEST: {{DETECTIONS_PER_IMAGE: 300}}\n"
        "MODEL: {ROI_HEADS: {SCORE_THRESH_TEST: 0.15}}\n"
    )
    imported_model = import_with_detectron2(original.checkpoint, config=config, folder=tmp_path)
    assert "not known" in imported_model.report.settings["SOLVER.OURS"]
    assert "max_objects_per_tile" in imported_model.report.settings["TEST.DETECTIONS_PER_IMAGE"]
    assert imported_model.bundle.card.thresholds_of("class1").score == 0.15
    assert imported_model.report.of("missing") == []


def test_layers_without_a_processor_version_are_refused_in_a_sentence() -> None:
    # detectron2 runs deformable convolutions on the processor in one group of offsets only.
    content = read_configuration(zoo_file(MODELS["deformable"][0])).content
    content["MODEL"]["RESNETS"]["DEFORM_NUM_GROUPS"] = 2
    cfg, _ = complete(content, "config.yaml")
    network: Any = wrap(build_original(cfg, "config.yaml"), "theirs")
    with pytest.raises(UserError, match=r"theirs has layers .* graphics card only"):
        network.features(torch.zeros((1, 3, 64, 64)))


def test_the_command_imports_and_says_what_became_of_the_file(
    imported: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SARTORIUS_MODELS", str(tmp_path))
    original, _ = imported("point_rend")
    files = [str(original.checkpoint), "--config", str(original.config)]
    done = CliRunner().invoke(
        app, ["models", "import", *files, "--engine", "detectron2", "--categories", "a,b,c"]
    )
    assert done.exit_code == 0, done.output
    assert "0 ignored, 0 missing" in done.output
    assert "point_rend finds a, b, c" in done.output
    shown = CliRunner().invoke(app, ["models", "show", "point_rend"])
    assert "PointRendMaskHead" in shown.output
    assert "Cannot be used" not in shown.output


def test_training_a_wrapped_model_is_refused_in_a_sentence(imported: Callable[[str], Any]) -> None:
    network: Any = imported("fpn")[1].load_network()
    with pytest.raises(UserError, match="cannot be trained here"):
        network.losses(torch.zeros((1, 3, 32, 32)), [])
