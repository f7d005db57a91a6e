"""From a configuration to detectron2's own model, ready for our images instead of its files."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import plural
from napari_sartorius.zoo.detectron2_engine.available import installed_version, quiet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import nn

# Parts of the configuration that decide what a network computes once it is trained.
_KEPT = ("VERSION", "MODEL")
# Where weights lie and run is not the network's; nor is what only training or viewers read.
_NOT_KEPT = ("WEIGHTS", "DEVICE")
BY_REGIONS = ("GeneralizedRCNN", "PanopticFPN")
# It pools over the area of a training crop, and looks up among its data which categories are
# countable things.
_NEEDS_ITS_DATA = "PanopticDeepLab"
# Instance segmentation models beyond the core that are installed with it, and what adds their
# entries to a configuration.
_PROJECTS = (
    ("point_rend", "add_pointrend_config"),
    ("panoptic_deeplab", "add_panoptic_deeplab_config"),
)
_WITHOUT_MASKS = ("RetinaNet", "FCOS", "ProposalNetwork", "SemanticSegmentor")


def complete(content: Mapping[str, Any], where: str) -> tuple[Any, dict[str, str]]:
    """detectron2's configuration object: its defaults and what a file says.

    Parameters
    ----------
    content
        Nested sections of plain data.
    where
        Names the source in errors.

    Returns
    -------
    CfgNode
        With every entry.
    dict of str to str
        Entries that detectron2 does not know and that change nothing, with that remark.

    Raises
    ------
    UserError
        When an entry of the model is unknown or has an impossible value.
    """
    from detectron2.config import CfgNode

    cfg = _defaults()
    known, unknown = _split(content, cfg)
    changing = [key for key in unknown if key.startswith("MODEL.")]
    if changing:
        raise UserError(
            f"{where} sets {changing[0]}, which detectron2 {installed_version()} does not know: it "
            "belongs to a program that extends detectron2, or to another version of it"
        )
    try:
        with quiet():
            cfg.merge_from_other_cfg(CfgNode(known))
    except Exception as error:  # yacs raises by the kind of mistake, without a common class
        raise UserError(
            f"{where} is refused by detectron2 {installed_version()} ({_first_line(error)}); "
            "correct the entry"
        ) from error
    return cfg, dict.fromkeys(unknown, "not known to this detectron2 and not used")


def without_the_rest(content: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a configuration that a card must hold to build the network again."""
    kept: dict[str, Any] = {name: content[name] for name in _KEPT if name in content}
    kept["MODEL"] = {k: v for k, v in kept["MODEL"].items() if k not in _NOT_KEPT}
    if kept["MODEL"].get("META_ARCHITECTURE") == _NEEDS_ITS_DATA:
        kept["INPUT"] = content.get("INPUT", {})
        kept["DATASETS"] = {"TRAIN": content.get("DATASETS", {}).get("TRAIN", [])}
    return kept


def refuse_other_tasks(cfg: Any, where: str) -> None:
    """Say in one sentence when a model finds something else than objects with masks.

    Raises
    ------
    UserError
        For boxes without masks, semantic maps, proposals from files, other colour spaces.
    """
    model = cfg.MODEL
    by_regions = model.META_ARCHITECTURE in BY_REGIONS
    if model.META_ARCHITECTURE in _WITHOUT_MASKS or (by_regions and not model.MASK_ON):
        raise UserError(
            f"{where} describes a {model.META_ARCHITECTURE} without masks; only models of "
            "detectron2 that give every object its mask can be used"
        )
    if model.LOAD_PROPOSALS:
        raise UserError(
            f"{where} describes a network that reads its proposals from a file; only networks that "
            "make their own can be used"
        )
    if len(model.PIXEL_MEAN) not in (1, 3) or len(model.PIXEL_STD) != len(model.PIXEL_MEAN):
        raise UserError(
            f"{where} describes a network of {plural(len(model.PIXEL_MEAN), 'channel')}; one or "
            "three can be used"
        )
    if cfg.INPUT.FORMAT not in ("BGR", "RGB", "L"):
        raise UserError(
            f"{where} feeds images as {cfg.INPUT.FORMAT}; only networks that see BGR, RGB or L can "
            "be used"
        )


def classes_of(cfg: Any) -> int:
    """How many categories the network tells apart, as its output numbers them."""
    if cfg.MODEL.META_ARCHITECTURE == _NEEDS_ITS_DATA:
        return int(cfg.MODEL.SEM_SEG_HEAD.NUM_CLASSES)
    return int(cfg.MODEL.ROI_HEADS.NUM_CLASSES)


def build_original(cfg: Any, where: str) -> nn.Module:
    """Untrained model as detectron2 builds it, on the processor, in evaluation mode.

    Its own normalisation is switched off: the card's is the only one. What would be computed and
    then thrown away (keypoints, semantic maps) is left out.

    Raises
    ------
    UserError
        When detectron2 cannot build it.
    """
    from detectron2.modeling import build_model

    cfg = cfg.clone()
    cfg.defrost()
    channels = len(cfg.MODEL.PIXEL_MEAN)
    cfg.MODEL.PIXEL_MEAN, cfg.MODEL.PIXEL_STD = [0.0] * channels, [1.0] * channels
    cfg.MODEL.DEVICE, cfg.MODEL.WEIGHTS, cfg.VIS_PERIOD = "cpu", "", 0
    cfg.MODEL.KEYPOINT_ON = False
    cfg.MODEL.ROI_BOX_HEAD.USE_FED_LOSS = False  # looks up a data set, for training only
    if cfg.MODEL.META_ARCHITECTURE == "PanopticFPN":
        cfg.MODEL.META_ARCHITECTURE = "GeneralizedRCNN"
    if cfg.MODEL.META_ARCHITECTURE == _NEEDS_ITS_DATA:
        cfg.MODEL.PANOPTIC_DEEPLAB.PREDICT_INSTANCES = True
    try:
        with quiet():
            model: nn.Module = build_model(cfg)
    except Exception as error:  # whatever a part of detectron2 raises for an odd entry
        raise UserError(
            f"detectron2 {installed_version()} cannot build the network of {where} "
            f"({_first_line(error)}); give the configuration with which it was trained"
        ) from error
    return model.eval().requires_grad_(False)


def _defaults() -> Any:
    """detectron2's defaults and those of the projects that are installed with it."""
    from detectron2.config import get_cfg

    cfg = get_cfg()
    for project, name in _PROJECTS:
        try:
            with quiet():
                add = getattr(import_module(f"detectron2.projects.{project}"), name)
        except ImportError:  # not installed with it, or lacks what it needs itself
            continue
        add(cfg)
    return cfg


def _split(content: Mapping[str, Any], known: Any) -> tuple[dict[str, Any], list[str]]:
    """Entries that detectron2 knows, and the dotted names of the others."""
    kept: dict[str, Any] = {}
    strangers: list[str] = []
    for key, value in content.items():
        if key not in known:
            strangers += _leaves(str(key), value)
        elif isinstance(value, dict) and hasattr(known[key], "items"):
            kept[key], more = _split(value, known[key])
            strangers += [f"{key}.{name}" for name in more]
        else:
            kept[key] = value
    return kept, strangers


def _leaves(prefix: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(f"{prefix}.{key}", inner)
    else:
        yield prefix


def _first_line(error: BaseException) -> str:
    """Beginning of a foreign error, fit for a sentence."""
    lines = str(error).strip().splitlines()
    text = "".join(c if c.isprintable() else " " for c in lines[0][:200]) if lines else ""
    return text.rstrip(".") or type(error).__name__
