"""What makes a network usable sooner changes nothing else."""

from __future__ import annotations

import subprocess
import sys

import torch

from napari_sartorius.nn.blank import WithoutInitialValues
from napari_sartorius.nn.build import build_network
from tiny_models import tiny_architecture

_FRESH = """
import sys
from napari_sartorius.nn.quick_torchvision import import_torchvision
import_torchvision()
assert "torchvision.ops" in sys.modules
assert "torch._dynamo" not in sys.modules
import torch
from torchvision.ops import roi_align
pooled = roi_align(torch.ones(1, 1, 8, 8), torch.tensor([[0.0, 0, 0, 4, 4]]), 2, aligned=True)
assert pooled.shape == (1, 1, 2, 2)
from torchvision.ops.roi_align import is_compile_supported
assert is_compile_supported("cpu") in (True, False)
import torch._dynamo.utils
assert hasattr(torch._dynamo.utils, "counters") and hasattr(torch._dynamo, "optimize")
"""

_LEAN = """
import sys
from napari_sartorius.zoo import find_bundle
find_bundle("nuclei").load_network(for_inference=True)
heavy = [n for n in ("timm", "torch._dynamo", "torch._inductor") if n in sys.modules]
assert not heavy, heavy
"""


def _run(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def test_torchvision_works_and_the_compiler_can_be_imported_later() -> None:
    _run(_FRESH)


def test_a_bundled_model_loads_without_timm_and_the_compiler() -> None:
    _run(_LEAN)


def test_a_network_built_blank_is_whole_once_its_weights_are_loaded() -> None:
    torch.manual_seed(0)
    wanted = build_network(tiny_architecture()).eval()
    before = torch.get_rng_state()
    with WithoutInitialValues():
        blank = build_network(tiny_architecture()).eval()
    assert torch.equal(before, torch.get_rng_state())
    blank.load_state_dict(wanted.state_dict())
    batch = torch.randn(1, 1, 64, 64)
    (given,), (other,) = blank.detect(batch), wanted.detect(batch)
    assert torch.equal(given.boxes, other.boxes)
    assert torch.equal(given.mask_probs, other.mask_probs)
