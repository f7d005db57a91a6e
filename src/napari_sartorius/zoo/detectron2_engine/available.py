"""Whether detectron2 can be used here, and what to do when not; needs neither it nor torch."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING

from napari_sartorius.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_sartorius.zoo.card import ModelCard

INSTALL = "pip install --no-build-isolation git+https://github.com/facebookresearch/detectron2"
"""What installs it; it is built on the user's computer, so a C++ compiler is needed."""

_WITHOUT = (
    "common checkpoints (Mask R-CNN, Cascade Mask R-CNN, CenterMask2, LIVECell) work without it "
    "when they are imported without --engine"
)


def why_unavailable() -> str | None:
    """One sentence when detectron2 is missing, None when it is installed. Imports nothing."""
    if find_spec("detectron2") is not None:
        return None
    return f"detectron2 is not installed: install it with '{INSTALL}'; {_WITHOUT}"


def why_unusable(card: ModelCard) -> str | None:
    """One sentence when a model needs a detectron2 that is missing, else None. Imports nothing."""
    return why_unavailable() if card.architecture_tree.get("family") == "detectron2" else None


def installed_version() -> str:
    """Version of the installed detectron2, or an empty string where its package does not say."""
    try:
        return version("detectron2")
    except PackageNotFoundError:
        return ""


def require_detectron2() -> None:
    """Make sure that detectron2 can be imported.

    Raises
    ------
    UserError
        When it is missing, cannot be loaded, or is one of the old copies that lack its parts.
    """
    missing = why_unavailable()
    if missing:
        raise UserError(missing)
    try:
        with quiet():
            import detectron2.config
            import detectron2.modeling  # noqa: F401
    except Exception as error:  # a build for another torch fails in whatever way its linker does
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"the installed detectron2 cannot be loaded ({first}): install it again for this torch "
            f"with '{INSTALL} --force-reinstall --no-deps'; {_WITHOUT}"
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep back warnings about detectron2's use of torch; no user can act on them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _TRACING.addFilter(_nothing)
        try:
            yield
        finally:
            _TRACING.removeFilter(_nothing)


# torch says here once per process that a question which detectron2 asks it has a new name.
_TRACING = logging.getLogger("torch.fx._symbolic_trace")


def _nothing(record: logging.LogRecord) -> bool:
    return record.levelno > logging.WARNING
