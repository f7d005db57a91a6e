"""Images that no training was meant for are learnt from all the same, or are one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.normalise import Normalisation
from napari_sartorius.core.progress import Monitor
from napari_sartorius.training import fit
from napari_sartorius.training.fit import Trainer
from napari_sartorius.training.images import pack_image
from tiny_runs import square_image, tiny_run

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.training.images import AnnotatedImage


def _image(name: str, pixels: np.ndarray, masks: np.ndarray) -> AnnotatedImage:
    packed = CropMasks.from_full(masks) if len(masks) else CropMasks.empty(pixels.shape)
    return pack_image(name, pixels, packed, np.zeros(len(masks), np.int64), Normalisation(), 1)


def test_odd_images_are_learnt_from(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (90, 70)).astype(np.uint8)
    dot = np.zeros((1, 20, 200), bool)
    dot[0, 3, 5] = True
    images = [
        _image("giant.png", noise, np.ones((1, 90, 70), bool)),
        _image("empty.png", noise, np.zeros((0, 90, 70), bool)),
        _image("flat16.png", np.full((30, 30), 4000, np.uint16), np.ones((1, 30, 30), bool)),
        _image("low.png", rng.integers(0, 65535, (20, 200)).astype(np.uint16), dot),
        square_image(0),
    ]
    config = tiny_run(steps=6, batch_size=4, balance="image", validate_every=6)
    trainer = Trainer(config, images, images, tmp_path, Monitor())
    assert trainer.fit().steps == 6
    row = trainer.progress.rows[-1]
    assert all(np.isfinite(value) for value in row.values())
    assert 0 <= row["ap"] <= row["ap50"] <= 1


def test_nothing_but_empty_images_is_learnt_from_and_scores_nothing(tmp_path: Path) -> None:
    empty = _image("empty.png", np.zeros((64, 64), np.uint8), np.zeros((0, 64, 64), bool))
    trainer = Trainer(tiny_run(steps=2), [empty], [empty], tmp_path, Monitor())
    assert trainer.fit().best.exists()
    assert trainer.progress.rows[-1]["ap50"] == 0


def test_validation_images_that_do_not_fit_into_memory_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(fit, "validate", full)
    image = square_image(0)
    trainer = Trainer(tiny_run(steps=4), [image], [image], tmp_path, Monitor())
    with pytest.raises(UserError, match="validation images do not fit into the memory of cpu"):
        trainer.fit()
    assert torch.load(tmp_path / "last.pt")["progress"]["step"] == 2
