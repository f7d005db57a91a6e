"""A small configuration for checkpoints of programs whose own configuration is Python code.

Its keys are detectron2's where there are such, so that one guide serves all formats.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.normalise import Normalisation
from napari_sartorius.core.wording import agree, plural
from napari_sartorius.nn.stock import STOCK_ANCHOR_RATIOS
from napari_sartorius.zoo.card import InputSize
from napari_sartorius.zoo.checkpoints.setting_rules import SettingRules

if TYPE_CHECKING:
    from napari_sartorius.zoo.checkpoints.facts import Facts
    from napari_sartorius.zoo.checkpoints.settings import Settings

IMAGENET_MEAN = (123.675, 116.28, 103.53)
"""Grey levels of red, green and blue that torchvision and mmdetection subtract."""
IMAGENET_STD = (58.395, 57.12, 57.375)
"""What they divide by afterwards."""

SIZES_KEY, RATIOS_KEY = "MODEL.ANCHOR_GENERATOR.SIZES", "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS"
STEM_KEY = "MODEL.STEM_STRIDE"
SCORE_KEY = "MODEL.ROI_HEADS.SCORE_THRESH_TEST"


def plain_rules(called: str) -> SettingRules:
    """Rules that know the entries which the functions here read, and no others."""
    read = (
        r"MODEL\.ANCHOR_GENERATOR\.(SIZES|ASPECT_RATIOS)|MODEL\.STEM_STRIDE"
        r"|MODEL\.PIXEL_(MEAN|STD)|MODEL\.ROI_HEADS\.SCORE_THRESH_TEST"
        r"|MODEL\.RPN\.(NMS_THRESH|PRE_NMS_TOPK_TEST|POST_NMS_TOPK_TEST)"
        r"|INPUT\.(FORMAT|MIN_SIZE_TEST|MAX_SIZE_TEST)"
    )
    return SettingRules(stock_only={}, known=(re.compile(read),), notes={}, called=called)


def read_anchors(
    facts: Facts,
    per_place: int,
    settings: Settings,
    stock: tuple[tuple[float, ...], ...],
    assumed: list[str],
) -> tuple[tuple[tuple[float, ...], ...], tuple[float, ...]]:
    """Sizes of each level and ratios; `stock` sizes where nobody says.

    Raises
    ------
    UserError
        When they are not as many as the tensors have outputs for.
    """
    sizes = settings.rows(SIZES_KEY, stock)
    every = settings.rows(RATIOS_KEY, (STOCK_ANCHOR_RATIOS,))
    if len(set(every)) != 1:
        raise settings.wrong(RATIOS_KEY, "the same ratios on every level")
    if len(sizes) == 1:
        sizes = sizes * len(stock)
    if len(sizes) != len(stock):
        raise settings.wrong(SIZES_KEY, f"one list of sizes for each of {len(stock)} levels")
    ratios = every[0]
    described = len(sizes[0]) * len(ratios)
    if described != per_place:
        raise UserError(
            f"{facts.path} has {plural(per_place, 'anchor')} at each place, where {described} "
            f"{agree(described, 'was', 'were')} expected; name their sizes and ratios in a YAML "
            f"file ({SIZES_KEY}, {RATIOS_KEY}) and give it with --config"
        )
    if SIZES_KEY not in settings:
        named = ", ".join(f"{level[0]:g}" for level in stock)
        assumed.append(f"anchors are {named} pixels large with ratios 0.5, 1 and 2")
    return sizes, ratios


def read_imagenet(settings: Settings, assumed: list[str]) -> Normalisation:
    """Means and deviations of ImageNet's colours, red first, unless the settings say others."""
    mean = settings.numbers("MODEL.PIXEL_MEAN", IMAGENET_MEAN, 3)
    std = settings.numbers("MODEL.PIXEL_STD", IMAGENET_STD, 3)
    if min(std) <= 0:
        raise settings.wrong("MODEL.PIXEL_STD", "numbers above 0")
    order = settings.values.get("INPUT.FORMAT", "RGB")
    if order not in ("RGB", "BGR"):
        raise settings.wrong("INPUT.FORMAT", "RGB or BGR")
    if "MODEL.PIXEL_MEAN" not in settings:
        assumed.append("grey levels are normalised with ImageNet's means and deviations, red first")
    return Normalisation(
        method="fixed",
        mean=(mean[0], mean[1], mean[2]),
        std=(std[0], std[1], std[2]),
        channel_order=order,
    )


def read_size(settings: Settings, stock: InputSize | None, assumed: list[str]) -> InputSize | None:
    """Size that images are brought to; a shorter edge of 0 leaves them as they are."""
    if "INPUT.MIN_SIZE_TEST" in settings:
        short = int(settings.number("INPUT.MIN_SIZE_TEST", 800))
        long = int(settings.number("INPUT.MAX_SIZE_TEST", 1333))
        if short <= 0:
            return None
        return (stock or InputSize()).model_copy(
            update={"short_edge": max(short, 32), "long_edge": max(long, 32)}
        )
    if stock is None:
        assumed.append("images are looked at in their own pixels")
    else:
        assumed.append(
            f"images are brought to a shorter edge of {stock.short_edge} and a longer one of at "
            f"most {stock.long_edge} pixels"
        )
    return stock


def read_score(settings: Settings) -> float | None:
    """Score from which objects are kept, where the settings say one."""
    if SCORE_KEY not in settings:
        return None
    score = settings.number(SCORE_KEY, 0.0)
    if not 0 <= score <= 1:
        raise settings.wrong(SCORE_KEY, "a number from 0 to 1")
    return score
