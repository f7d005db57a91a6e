"""Starting from a checkpoint that fits in part: what is taken over, what is said of the rest."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_sartorius.core.errors import UserError
from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.config import VoVNetConfig
from napari_sartorius.nn.stock_centermask import stock_centermask_lite
from napari_sartorius.zoo.checkpoints import import_checkpoint
from napari_sartorius.zoo.checkpoints.partial import describe_checkpoint, fit_partially
from tiny_centermask import centermask_shapes, tiny_checkpoint, write_tiny

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.nn.config import Architecture
    from napari_sartorius.zoo.checkpoints.partial import PartialFit


def _wanted(tree: Architecture) -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        return build_network(tree).state_dict()


def _counts(fit: PartialFit) -> dict[str, Counter[str]]:
    """Fates of the tensors of each part of the network."""
    result: dict[str, Counter[str]] = {}
    for note in fit.notes:
        if note.fate != "ignored":
            part = (note.reason if note.fate == "used" else note.name).split(".")[0]
            result.setdefault(part, Counter())[note.fate] += 1
    return result


def test_of_livecells_v99_a_lite_v39_takes_the_trunk_and_the_report_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    livecell = centermask_shapes("99", 1, 256, 4)
    monkeypatch.setattr(
        "napari_sartorius.zoo.checkpoints.partial.read_checkpoint",
        lambda path: {n: np.broadcast_to(np.float32(1), s) for n, s in livecell.items()},
    )
    wanted = _wanted(stock_centermask_lite(VoVNetConfig(size="39"), 3))
    fit = fit_partially(tmp_path / "livecell.pth", wanted)
    counts = _counts(fit)
    assert counts["trunk"]["used"] > 100
    assert counts["trunk"]["missing"] == 0
    others = {part: count for part, count in counts.items() if part != "trunk"}
    assert set(others) == {"pyramid", "top", "fcos", "mask_head", "mask_iou_head"}
    assert all(count["used"] == 0 for count in others.values())
    assert {name.split(".")[0] for name in fit.values} == {"trunk"}
    lines = fit.lines()
    used = counts["trunk"]["used"]
    assert f"trunk: {used} of {used} tensors taken over" in lines
    assert "mask_head: 0 of 9 tensors taken over" in lines
    assert any("the network has no such layer" in line for line in lines)
    assert any("its shape differs" in line for line in lines)
    every = fit.lines(every_tensor=True)
    name = "backbone.fpn_lateral3.weight"
    assert f"  ignored  {name} shape 256x512x1x1, where 128x512x1x1 is needed" in every
    # Each tensor of the file has one note.
    noted = [note.name for note in fit.notes if note.fate != "missing"]
    assert noted == list(livecell)
    assert len(every) == len(counts) + len(fit.notes)


def test_other_classes_and_grey_images_keep_everything_else(tmp_path: Path) -> None:
    checkpoint, config = write_tiny(tmp_path)
    network = describe_checkpoint(checkpoint, config)
    grey = network.architecture.trunk.model_copy(update={"in_channels": 1})
    tree = network.architecture.model_copy(update={"num_classes": 3, "trunk": grey})
    fit = fit_partially(checkpoint, _wanted(tree))
    missing = {note.name for note in fit.notes if note.fate == "missing"}
    last = ("fcos.classes", "mask_head.predictor", "mask_iou_head.fit")
    assert missing == {f"{layer}.{part}" for layer in last for part in ("weight", "bias")}
    weights = tiny_checkpoint()
    first = weights["backbone.bottom_up.stem.stem_1/conv.weight"]
    torch.testing.assert_close(fit.values["trunk.stem.0.0.weight"], first.sum(1, keepdim=True))
    torch.testing.assert_close(
        fit.values["mask_iou_head.hidden.2.weight"],
        weights["roi_heads.maskiou_head.maskiou_fc2.weight"],
    )
    built = build_network(tree)
    unexpected = built.load_state_dict(fit.values, strict=False).unexpected_keys
    assert not unexpected


def test_the_same_network_is_taken_over_as_an_import_does(tmp_path: Path) -> None:
    checkpoint, config = write_tiny(tmp_path)
    network = describe_checkpoint(checkpoint, config)
    bundle = import_checkpoint(checkpoint, config=config, folder=tmp_path / "models").bundle
    assert network.architecture == bundle.card.architecture
    assert network.normalisation == bundle.card.normalisation
    state = bundle.load_network().state_dict()
    fit = fit_partially(checkpoint, _wanted(network.architecture))
    assert {n for n in state if not n.endswith("num_batches_tracked")} == set(fit.values)
    for name, value in fit.values.items():
        torch.testing.assert_close(value, state[name], rtol=0, atol=0)


def test_failed_trainings_are_refused(tmp_path: Path) -> None:
    checkpoint, config = write_tiny(tmp_path)
    weights = tiny_checkpoint()
    weights["backbone.fpn_output3.bias"][0] = float("nan")
    torch.save({"model": weights}, checkpoint)
    network = describe_checkpoint(checkpoint, config)
    with pytest.raises(UserError, match=r"fpn_output3\.bias holds NaN"):
        fit_partially(checkpoint, _wanted(network.architecture))
