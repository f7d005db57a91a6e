"""Decides where the network runs, and can say why in one sentence.

A device that reports itself present may still fail at region pooling (Metal) or at its first
kernel (driver mismatch). So every choice is proven by a tiny run of the operations that the
networks need; what fails falls back to the processor with the reason, never to a crash later.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from napari_sartorius.core.wording import agree, plural

_log = logging.getLogger(__name__)

Precision = Literal["float32", "mixed", "bfloat16"]


@dataclass(frozen=True)
class DeviceChoice:
    """A device for torch and one sentence that says why it is used.

    Attributes
    ----------
    device
        ``cpu``, ``cuda:0``, ``mps`` ...
    reason
        For people.
    fallback
        True when something better was asked for or found but cannot be used.
    """

    device: str
    reason: str
    fallback: bool = False


def choose_device(request: str = "auto") -> DeviceChoice:
    """Choose a device that is proven to work.

    Parameters
    ----------
    request
        ``auto`` (best available), ``cpu``, ``cuda``, ``cuda:1`` ... or ``mps``.
    """
    if request == "cpu":
        return DeviceChoice("cpu", "The processor is used because it was asked for.")
    wanted = _best_present() if request == "auto" else request
    if wanted is None:
        return DeviceChoice("cpu", f"The processor is used because {_why_no_gpu()}.")
    wanted = "cuda:0" if wanted == "cuda" else wanted
    problem = _problem_with(wanted)
    if problem is not None:
        return DeviceChoice(
            "cpu", f"The processor is used because {wanted} cannot be: {problem}.", fallback=True
        )
    asked = "was found" if request == "auto" else "was asked for"
    return DeviceChoice(wanted, f"{_name_of(wanted)} is used because it {asked} and works.")


def choose_precision(wanted: Literal["auto"] | Precision, device: str) -> Precision:
    """Arithmetic for the network: what was asked for, or bfloat16 where hardware computes it.

    ``mixed`` is float32 but for the masks, where hardware computes bfloat16.
    """
    if wanted in ("float32", "bfloat16"):
        return "float32" if wanted == "float32" else "bfloat16"
    if not _computes_bfloat16(device):
        return "float32"
    return "mixed" if wanted == "mixed" else "bfloat16"


def free_memory(device: str) -> int:
    """Bytes that could be allocated on a device now (unified memory for mps)."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    import psutil

    return int(psutil.virtual_memory().available)


def _best_present() -> str | None:
    import torch

    if torch.cuda.is_available():
        return "cuda:0"
    return "mps" if torch.backends.mps.is_available() else None


def _why_no_gpu() -> str:
    import torch

    if torch.version.cuda is None and torch.version.hip is None:
        return "this torch build supports no graphics card"
    return "no usable graphics card or driver was found"


@lru_cache(maxsize=8)
def _problem_with(device: str) -> str | None:
    """Reason why a device cannot be used, or None. Asked once per process."""
    import torch

    kind, _, index = device.partition(":")
    if kind == "cuda":
        if not torch.cuda.is_available():
            return _why_no_gpu()
        count = torch.cuda.device_count()
        if int(index or 0) >= count:
            are = agree(count, "is", "are")
            return f"there {are} only {plural(count, 'such device')}, counted from 0"
    if kind == "mps" and not torch.backends.mps.is_available():
        return "this computer or torch build has no Metal device"
    try:
        probe(device)
    except Exception as error:
        _log.warning("device %s failed its probe", device, exc_info=True)
        text = " ".join(str(error).split()) or type(error).__name__
        return f"its test run failed ({text[:200]})"
    return None


def probe(device: str) -> None:
    """Run the operations that the networks need on a tiny input; raises whatever fails."""
    import torch
    from torch.nn.functional import conv2d

    from napari_sartorius.nn.quick_torchvision import import_torchvision

    import_torchvision()
    from torchvision.ops import batched_nms, roi_align

    with torch.inference_mode():
        image = torch.ones((1, 4, 16, 16), device=device)
        features = conv2d(image, torch.ones((4, 4, 3, 3), device=device), padding=1)
        boxes = torch.tensor([[0.0, 0.0, 8.0, 8.0], [1.0, 1.0, 9.0, 9.0]], device=device)
        pooled = roi_align(features, [boxes], output_size=7, sampling_ratio=2, aligned=True)
        labels = torch.zeros(2, dtype=torch.int64, device=device)
        kept = batched_nms(boxes, pooled.mean(dim=(1, 2, 3)), labels, 0.5)
        if len(kept) != 1 or not bool(torch.isfinite(pooled.cpu()).all()):
            raise RuntimeError("it computed a wrong result")


@lru_cache(maxsize=8)
def _computes_bfloat16(device: str) -> bool:
    import torch

    if device.startswith("cuda"):
        # Before compute capability 8 bfloat16 is emulated and slower than float32.
        return torch.cuda.get_device_capability(device)[0] >= 8
    if device != "cpu":
        return False
    # AVX512 alone is not enough; these two checks exist since torch 2.4 but are not published.
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name, bool)()) for name in checks)


def _name_of(device: str) -> str:
    import torch

    if device.startswith("cuda"):
        return f"{torch.cuda.get_device_name(device)} ({device})"
    return "The Metal device" if device == "mps" else device
