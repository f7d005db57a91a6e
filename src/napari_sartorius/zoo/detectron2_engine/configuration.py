"""Reads a detectron2 YAML with the files that it builds on, without running anything in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_sartorius.core.errors import UserError

# Files of this kind are short; detectron2's own have four bases at most.
_LARGEST_FILE = 1 << 20
_MOST_BASES = 10
_MOST_ENTRIES = 50_000


@dataclass(frozen=True)
class Configuration:
    """What a YAML file and its bases say together.

    Attributes
    ----------
    path
        The file, for errors.
    content
        Nested sections of plain data.
    bases
        Names of the files that it builds on, nearest first.
    """

    path: Path
    content: dict[str, Any]
    bases: tuple[str, ...] = field(default=())

    def says(self, dotted: str) -> bool:
        """Whether an entry such as ``MODEL.MASK_ON`` is set by the file or its bases."""
        section: Any = self.content
        for part in dotted.split("."):
            if not isinstance(section, dict) or part not in section:
                return False
            section = section[part]
        return True


def read_configuration(path: Path) -> Configuration:
    """Read a YAML file as detectron2 writes and understands them.

    Parameters
    ----------
    path
        A ``config.yaml`` of a training run, or a file of detectron2's model zoo with its bases
        where it expects them.

    Raises
    ------
    UserError
        When the file or a base cannot be read, is a program, or is no such configuration.
    """
    bases: list[str] = []
    content = _read(path, path, bases)
    if not isinstance(content.get("MODEL"), dict):
        lazy = content.get("model")
        if isinstance(lazy, dict) and "_target_" in lazy:
            raise UserError(
                f"{path} was saved from a LazyConfig: it names Python functions to run, which is "
                "not done here; give a YAML configuration with a section MODEL"
            )
        raise UserError(
            f"{path} is not a detectron2 configuration: it has no section MODEL; give the "
            "config.yaml of the training run"
        )
    _refuse_endless(path, content)
    return Configuration(path, content, tuple(bases))


def _refuse_endless(path: Path, content: Any) -> None:
    """A few lines of YAML can refer to themselves, or unfold to more than memory holds."""
    waiting, seen = [content], 0
    while waiting:
        one = waiting.pop()
        seen += 1
        if seen > _MOST_ENTRIES:
            raise UserError(f"{path} unfolds to far more entries than a configuration has")
        if isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _read(path: Path, asked: Path, bases: list[str]) -> dict[str, Any]:
    content = _load(path)
    base = content.pop("_BASE_", None)
    if base is None:
        return content
    if not isinstance(base, str) or "://" in base:
        raise UserError(
            f"{path} builds on {base!r}, which is not a file beside it; download it and name it in "
            "_BASE_, or give the full config.yaml of the training run"
        )
    if len(bases) >= _MOST_BASES:
        raise UserError(f"{asked} builds on itself through _BASE_; correct the file")
    bases.append(Path(base).name)
    return _merged(_read(path.parent / Path(base).expanduser(), asked, bases), content)


def _load(path: Path) -> dict[str, Any]:
    import yaml

    if path.suffix == ".py":
        raise UserError(
            f"{path} is a LazyConfig, a Python program that would run when it is read, and is "
            "refused; give a YAML configuration with a section MODEL"
        )
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise UserError(f"{path} is too large for a configuration; give the config.yaml")
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): check the path") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(
            f"{path} is not a readable YAML file of plain data; give the configuration of the "
            "training run"
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a detectron2 configuration: it has no sections")
    return content


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            value = _merged(old, value)
        result[key] = value
    return result
