"""Draws what each augmentation does, with the truth in colour, for the guide.

Run it from the repository root::

    python docs/images/augmentation.py

The picture is made of the generated phase-contrast field alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

from napari_sartorius.core.normalise import Normalisation
from napari_sartorius.samples.phase_contrast import phase_contrast_scene
from napari_sartorius.training.augment.config import AugmentConfig
from napari_sartorius.training.augment.preview import preview_crops
from napari_sartorius.training.config import TrainConfig
from napari_sartorius.training.images import pack_image
from napari_sartorius.training.recipes import light_architecture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.training.augment.preview import CropPicture

HERE = Path(__file__).parent
SIDE, COLUMNS, CAPTION, GAP = 160, 5, 18, 6
# Half of the crops get noise; with this seed it does, and the other draws are strong.
SEED = 50
PLAIN: dict[str, Any] = {
    "scale": (1, 1), "flip": 0, "turn": 0, "contrast": 0, "brightness": 0, "gamma": 1, "noise": 0,
}  # fmt: skip
OPTIONS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "flip, turn": {"flip": 1, "turn": 1},
    "rotate": {"rotate": 175},
    "scale (here 2)": {"scale": (2, 2)},
    "contrast, brightness": {"contrast": 0.5, "brightness": 1.0},
    "gamma": {"gamma": 3},
    "noise": {"noise": 2.0},
    "invert": {"invert": 1},
    "blur": {"blur": 1},
    "gaussian_blur": {"gaussian_blur": 1},
    "median_blur": {"median_blur": 1},
    "motion_blur": {"motion_blur": 1},
    "clahe": {"clahe": 1},
    "sharpen": {"sharpen": 1},
    "emboss": {"emboss": 1},
    "mosaic, fixed": {"mosaic": {"fixed": 1}},
    "mosaic, random": {"mosaic": {"random": 1}},
    "mixup": {"mixup": {"probability": 1, "alpha": 50}},
    "flip_paste": {"flip_paste": {"probability": 1}},
    "copy_paste": {"copy_paste": {"probability": 1}},
}
COLOURS = np.array([[230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [204, 121, 167]])


def outlined(picture: CropPicture) -> NDArray[np.uint8]:
    """Grey levels with the border of every object in colour."""
    labels, shown = picture.labels, picture.pixels.copy()
    edge = np.zeros(labels.shape, bool)
    for axis in (0, 1):
        for step in (-1, 1):
            edge |= labels != np.roll(labels, step, axis)
    edge &= labels > 0
    shown[edge] = COLOURS[labels[edge] % len(COLOURS)]
    return shown


def main() -> None:
    """Write ``augmentation.png``."""
    images = []
    for seed in range(4):
        pixels, truth = phase_contrast_scene(seed=seed, cells=80)
        categories = truth.categories.astype(np.int64)
        images.append(pack_image(str(seed), pixels, truth.masks, categories, Normalisation(), 1))
    rows = -(-len(OPTIONS) // COLUMNS)
    sheet = Image.new(
        "RGB", (COLUMNS * (SIDE + GAP) - GAP, rows * (SIDE + CAPTION + GAP) - GAP), "white"
    )
    pen = ImageDraw.Draw(sheet)
    for number, (name, option) in enumerate(OPTIONS.items()):
        augment = AugmentConfig.model_validate({**PLAIN, **option})
        config = TrainConfig(architecture=light_architecture(1), crop=SIDE, augment=augment)
        (picture,) = preview_crops(images, config, 1, seed=SEED)
        row, column = divmod(number, COLUMNS)
        x, y = column * (SIDE + GAP), row * (SIDE + CAPTION + GAP)
        pen.text((x + 2, y + 2), name, fill="black")
        sheet.paste(Image.fromarray(outlined(picture)), (x, y + CAPTION))
    few = Image.new("P", (1, 1))
    few.putpalette([*COLOURS.ravel().tolist(), *np.repeat(np.linspace(0, 255, 64), 3).astype(int)])
    sheet = sheet.quantize(palette=few, dither=Image.Dither.NONE)
    sheet.save(HERE / "augmentation.png", optimize=True)


if __name__ == "__main__":
    main()
