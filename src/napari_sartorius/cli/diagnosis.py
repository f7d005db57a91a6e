"""A look at the installation that ends in at most one remedy, for ``doctor`` and bug reports."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

from napari_sartorius import __version__
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import plural
from napari_sartorius.zoo import list_bundles, user_models_folder

if TYPE_CHECKING:
    from types import ModuleType

_PACKAGES = ("numpy", "torch", "torchvision", "timm", "scikit-image", "tifffile", "napari")
_BINDINGS = ("PyQt6", "PySide6", "PyQt5")
_LEAST_MEMORY = 2 << 30


@dataclass
class Diagnosis:
    """What was found.

    Attributes
    ----------
    facts
        Name and value, in the order in which to show them.
    problems
        What is wrong and how to put it right, gravest first.
    unusable
        Whether nothing can be segmented before the first problem is solved.
    """

    facts: list[tuple[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unusable: bool = False

    @property
    def remedy(self) -> str | None:
        """The one thing to fix first."""
        return self.problems[0] if self.problems else None


def diagnose() -> Diagnosis:
    """Look at versions, torch, device, memory and models. Imports torch."""
    found = Diagnosis()
    found.facts.append(("napari-sartorius", __version__))
    found.facts.append(("Python", f"{platform.python_version()} ({sys.executable})"))
    found.facts.append(("System", f"{platform.system()} {platform.release()} {platform.machine()}"))
    found.facts += [(name, version_of(name) or "not installed") for name in _PACKAGES]
    binding = next((name for name in _BINDINGS if version_of(name)), None)
    found.facts.append(
        ("Qt binding", f"{binding} {version_of(binding)}" if binding else "not installed")
    )
    _look_at_torch(found)
    _look_at_models(found)
    _look_at_memory(found)
    if version_of("napari") and binding is None:
        found.problems.append(
            "napari has no Qt binding and cannot open a window: pip install PyQt6."
        )
    return found


def version_of(package: str) -> str | None:
    """Version of an installed distribution, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _look_at_torch(found: Diagnosis) -> None:
    try:
        import torch

        from napari_sartorius.inference.device import choose_device
    except (ImportError, OSError) as error:
        found.unusable = True
        found.facts.append(("Device", "none, torch cannot be loaded"))
        found.problems.append(
            f"torch cannot be loaded ({' '.join(str(error).split())}): "
            "pip install --force-reinstall torch torchvision."
        )
        return
    choice = choose_device("auto")
    found.facts.append(("Torch build", _build(torch)))
    found.facts.append(("Device", f"{choice.device}: {choice.reason}"))
    found.facts.append(
        (
            "Processor",
            f"{plural(psutil.cpu_count() or 1, 'core')}, torch uses {torch.get_num_threads()}",
        )
    )
    if shutil.which("nvidia-smi") and torch.version.cuda is None:
        found.problems.append(
            "an NVIDIA driver is installed but this torch is built for the processor only: "
            "install the CUDA build as https://pytorch.org/get-started/locally shows."
        )
    elif shutil.which("nvidia-smi") and not torch.cuda.is_available():
        found.problems.append(
            f"torch is built for CUDA {torch.version.cuda} but finds no usable GPU: "
            "update the NVIDIA driver (nvidia-smi shows what it supports)."
        )


def _build(torch: ModuleType) -> str:
    if torch.version.cuda:
        return f"CUDA {torch.version.cuda}"
    return f"ROCm {torch.version.hip}" if torch.version.hip else "processor only"


def _look_at_models(found: Diagnosis) -> None:
    bundles = list_bundles()
    for bundle in bundles:
        try:
            size = bundle.verify() / 1e6
            found.facts.append((f"Model {bundle.card.name}", f"{bundle.path} ({size:.1f} MB)"))
        except UserError as error:
            found.facts.append((f"Model {bundle.card.name}", f"{bundle.path} (damaged)"))
            found.problems.insert(0, str(error))
    found.facts.append(("Folder for your models", str(user_models_folder())))
    if not bundles:
        found.unusable = True
        found.problems.insert(0, "no model is installed: install napari-sartorius again.")


def _look_at_memory(found: Diagnosis) -> None:
    memory = psutil.virtual_memory()
    found.facts.append(
        ("Memory", f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB free")
    )
    if memory.available < _LEAST_MEMORY:
        found.problems.append(
            f"only {memory.available / 1e9:.1f} GB of memory are free: close other programs."
        )
