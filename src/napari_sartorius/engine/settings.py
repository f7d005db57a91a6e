"""Options of a command line or a call become the one configuration object, or one sentence."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from napari_sartorius.core.errors import UserError
from napari_sartorius.inference.config import SegmentConfig


def segment_config(**options: Any) -> SegmentConfig:
    """Make a `SegmentConfig`; options that are None keep their defaults.

    Raises
    ------
    UserError
        Naming the first wrong option and what was expected.
    """
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return SegmentConfig(**given)
    except ValidationError as error:
        raise UserError(_sentence(error, "segmentation option")) from error


def _sentence(error: ValidationError, kind: str) -> str:
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else "the configuration"
    if first["type"] == "extra_forbidden":
        known = ", ".join(SegmentConfig.model_fields)
        return f"There is no {kind} {name}: the options are {known}."
    reason = str(first["msg"]).removeprefix("Value error, ").removesuffix(".")
    reason = reason[:1].lower() + reason[1:]
    return f"The {kind} {name} cannot be {first['input']!r}: {reason}."
