"""Reads the catalogue's files, one per publisher; read when somebody looks at it, not before."""

from __future__ import annotations

import difflib
import functools
from pathlib import Path
from typing import Any

from napari_sartorius.core.errors import UserError
from napari_sartorius.zoo.published.entries import PublishedModel

_FOLDER = Path(__file__).parent
_FILES = ("livecell.yaml", "centermask2.yaml", "detectron2.yaml", "torchvision.yaml")
_UNUSED = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}  # identifiers that COCO 2017 left out
_OWN_KEYS = {"groups", "models", "url_base", "config_base", "file", "config", "cells", "set"}


@functools.cache
def published_models() -> tuple[PublishedModel, ...]:
    """All entries, publisher by publisher, in the order of the publishers' own tables."""
    return tuple(model for name in _FILES for model in read_publisher(_FOLDER / name))


def published_model(name: str) -> PublishedModel | None:
    """Return the entry of this name, or None."""
    return next((model for model in published_models() if model.name == name), None)


def find_published(name: str) -> PublishedModel:
    """Return the entry of this name.

    Raises
    ------
    UserError
        When there is none; the sentence suggests names that look alike.
    """
    found = published_model(name)
    if found is not None:
        return found
    alike = difflib.get_close_matches(name, [model.name for model in published_models()], 3, 0.5)
    hint = f"did you mean {' or '.join(alike)}? " if alike else ""
    raise UserError(
        f"the catalogue has no model '{name}'; {hint}see them all with: "
        "napari-sartorius models list --all"
    )


def read_publisher(path: Path) -> list[PublishedModel]:
    """Read one publisher's file.

    What stands at the top of the file holds for all groups, what stands in a group for all its
    models; a model may say otherwise. ``set`` changes single settings by their dotted names.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with path.open(encoding="utf-8") as file:
        content: dict[str, Any] = yaml.load(file, loader)
    return [
        _entry(content | group | model) for group in content["groups"] for model in group["models"]
    ]


def _entry(facts: dict[str, Any]) -> PublishedModel:
    kept = {key: value for key, value in facts.items() if key not in _OWN_KEYS}
    words = {"cells": facts.get("cells", ""), "title": facts["title"]}
    for key in ("title", "description", "training_data"):
        kept[key] = kept[key].format(**words)
    kept["urls"] = [facts["url_base"] + facts["file"]]
    if "config" in facts:
        kept["config_url"] = facts["config_base"] + facts["config"]
    kept["metrics"] = {"mask AP": kept.pop("mask"), "box AP": kept.pop("box")}
    names = kept.get("categories")
    if isinstance(names, str):
        kept["categories"] = _NAMES[names]()
    for key, value in facts.get("set", {}).items():
        kept["settings"] = _with(kept["settings"], key.split("."), value)
    return PublishedModel.model_validate(kept)


@functools.cache
def _coco_names() -> tuple[str, ...]:
    """COCO's eighty names."""
    return tuple((_FOLDER / "coco.txt").read_text(encoding="utf-8").splitlines())


@functools.cache
def _coco_by_identifier() -> tuple[str, ...]:
    """The same for networks that have a class for each of the identifiers 1 to 90."""
    names = iter(_coco_names())
    return tuple(f"unused {i}" if i in _UNUSED else next(names) for i in range(1, 91))


_NAMES = {"coco": _coco_names, "coco by identifier": _coco_by_identifier}


def _with(settings: dict[str, Any], keys: list[str], value: Any) -> dict[str, Any]:
    first, *rest = keys
    inner = _with(settings.get(first, {}), rest, value) if rest else value
    return settings | {first: inner}
