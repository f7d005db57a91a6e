"""Imports torchvision without torch's compiler, which takes longer to import than torch itself.

torchvision asks the compiler one question (whether a device can be compiled for), and only where
pooling must be deterministic on a graphics card. The question is put off until it is asked.
"""

from __future__ import annotations

import sys
from types import ModuleType

_PACKAGE, _MODULE = "torch._dynamo", "torch._dynamo.utils"


def import_torchvision() -> None:
    """Import torchvision now, quickly where that is possible, else as it comes."""
    if "torchvision" in sys.modules or _PACKAGE in sys.modules:
        return
    import torch

    package, module = ModuleType(_PACKAGE), ModuleType(_MODULE)
    package.__path__ = []
    vars(module)["is_compile_supported"] = _is_compile_supported
    sys.modules[_PACKAGE], sys.modules[_MODULE] = package, module
    try:
        import torchvision.ops  # noqa: F401
    except (ImportError, AttributeError):
        # This torchvision wants more of the compiler: whoever needs it imports it in full.
        for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
            del sys.modules[name]
    finally:
        for name, placeholder in ((_PACKAGE, package), (_MODULE, module)):
            if sys.modules.get(name) is placeholder:
                del sys.modules[name]
        if vars(torch).get("_dynamo") is package:
            del torch._dynamo


def _is_compile_supported(device_type: str) -> bool:
    from torch._dynamo.utils import is_compile_supported

    return bool(is_compile_supported(device_type))
