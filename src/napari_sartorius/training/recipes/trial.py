"""A recipe made so small that it ends in seconds, to see whether it works with these images.

Everything is tried that the recipe does (its stages, family of networks, schedule) with a few
images, a few steps and narrow networks. The model that comes out knows nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sartorius.nn.config import (
    CenterMaskConfig,
    MaskRCNNConfig,
    ResNeStConfig,
    SOLOv2Config,
    TrunkConfig,
    VoVNetConfig,
    read_architecture,
)
from napari_sartorius.training.recipes.reading import put, recipe_of
from napari_sartorius.training.recipes.schema import ClassifierStage, TrainStage
from napari_sartorius.training.recipes.settings import settings_of

if TYPE_CHECKING:
    from napari_sartorius.nn.config import Architecture
    from napari_sartorius.training.recipes.schema import Recipe

_STEPS = 2
_CROP = 64
# The shorter edge of an image in a trial.
_EDGE = 128
_WIDTH = 32
_FEW = 32

_TRAIN: dict[str, Any] = {
    "steps": _STEPS,
    "batch_size": 2,
    "accumulate": 1,
    "warmup_steps": 1,
    "validate_every": _STEPS,
    "validate_images": 2,
    "checkpoint_every": _STEPS,
}
_BY_KIND: dict[str, dict[str, Any]] = {
    "finetune": _TRAIN | {"crop": _CROP},
    "classifier": {
        "steps": _STEPS,
        "batch_size": 2,
        "warmup_steps": 1,
        "validate_every": _STEPS,
        "checkpoint_every": _STEPS,
    },
    "pseudo_labels": {"largest": 2, "min_score": 0.0, "preset": "fast"},
    "rescore": {"trees": 10, "folds": 2, "preset": "fast"},
}


def trial_of(recipe: Recipe) -> Recipe:
    """The same recipe with few steps, small crops and narrow networks."""
    tree = recipe.model_dump(mode="json")
    tree["trial"] = True
    tree["folds"] = min(2, recipe.folds)
    for stage, out in zip(recipe.stages, tree["stages"], strict=True):
        if isinstance(stage, TrainStage):
            settings = settings_of(recipe, stage)
            small = shrunk(read_architecture(settings["architecture"] | {"num_classes": 2}))
            changes = _TRAIN | {"crop": _CROP}
            if isinstance(small.trunk, ResNeStConfig) and small.trunk.norm == "frozen":
                changes["batch_size"] = 1  # the dearest of all, even of fourteen layers
            if settings.get("schedule") == "steps":
                changes["decay_steps"] = [1]
            out["settings"] |= changes | {"architecture": small.model_dump(mode="json")}
            out["epochs"] = None
            if stage.input_size is not None:
                out["input_size"] |= {"short_edge": _EDGE, "long_edge": 2 * _EDGE}
        elif stage.kind in _BY_KIND:
            out["settings"] |= _BY_KIND[stage.kind]
            if isinstance(stage, ClassifierStage):
                _shrink_classifier(out["settings"])
    return recipe_of(tree, recipe.name)


def shrunk(architecture: Architecture) -> Architecture:
    """A network of the same family with the same stages, narrow and shallow."""
    tree = architecture.model_dump(mode="json")
    tree["trunk"] = _small_trunk(architecture.trunk).model_dump(mode="json")
    if isinstance(architecture, MaskRCNNConfig):
        for key, value in (
            ("pyramid.width", _WIDTH),
            ("proposals.batch_per_image", _FEW),
            ("proposals.pre_nms_topk_train", 4 * _FEW),
            ("proposals.post_nms_topk_train", 2 * _FEW),
            ("proposals.pre_nms_topk_test", 4 * _FEW),
            ("proposals.post_nms_topk_test", 2 * _FEW),
            ("box_head.width", _WIDTH),
            ("box_head.conv_width", _WIDTH),
            ("box_head.convolutions", min(1, architecture.box_head.convolutions)),
            ("box_head.batch_per_image", _FEW),
            ("mask_head.width", _WIDTH),
            ("mask_head.layers", 1),
            ("mask_head.batch_per_image", _FEW // 2),
        ):
            put(tree, key.split("."), value)
        if tree.get("semantic"):
            tree["semantic"]["layers"] = 1
    elif isinstance(architecture, CenterMaskConfig):
        for key, value in (
            ("pyramid.width", _WIDTH),
            ("fcos.groups", _WIDTH // 4),  # the coarsest map of a small crop is one pixel
            ("fcos.class_layers", 1),
            ("fcos.box_layers", 1),
            ("fcos.post_nms_topk_train", _FEW),
            ("fcos.post_nms_topk_test", _FEW),
            ("mask_head.width", _WIDTH),
            ("mask_head.layers", 1),
        ):
            put(tree, key.split("."), value)
        if tree["mask_iou_head"] is not None:
            tree["mask_iou_head"] |= {"layers": 1, "width": _WIDTH, "hidden": _WIDTH}
    elif isinstance(architecture, SOLOv2Config):
        put(tree, ["pyramid", "width"], _WIDTH)
    return read_architecture(tree)


def _small_trunk(trunk: Any) -> Any:
    if isinstance(trunk, VoVNetConfig):
        return trunk.model_copy(update={"size": "19-slim"})
    if isinstance(trunk, ResNeStConfig):
        return trunk.model_copy(update={"depth": 14})
    if isinstance(trunk, TrunkConfig):
        name = trunk.name
        if name.startswith(("resnet", "resnext")):
            # The stride of a basic block cannot be moved into a 1x1 convolution, so it stays.
            small = "resnet18" if not trunk.stride_in_1x1 else "resnet26"
            return trunk.model_copy(update={"name": small, "widths": (16, 16, 32, 32)})
        if "efficientnet" in name:
            return trunk.model_copy(update={"name": "tf_efficientnet_b0"})
        if name.startswith("swin"):
            return trunk.model_copy(update={"name": "swin_tiny_patch4_window7_224"})
    return trunk


def _shrink_classifier(settings: dict[str, Any]) -> None:
    """A small network of timm on small images."""
    name = settings.get("architecture", {}).get("trunk", {}).get("name", "resnet10t")
    small = "tf_efficientnetv2_b0" if "efficientnet" in name else name
    put(settings, ["architecture", "num_classes"], 2)
    put(settings, ["architecture", "image_size"], [_CROP, _CROP])
    put(settings, ["architecture", "trunk", "name"], small)
