"""A configuration file of detectron2 or a program that is built on it."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_sartorius.core.errors import UserError

# No entry of a configuration is larger; it also keeps infinity and NaN out.
_LARGEST = 1e9


@dataclass(frozen=True)
class Settings:
    """Entries of a configuration by dotted key; empty when none was given.

    Attributes
    ----------
    path
        The file, for errors; None when there is none.
    values
        All entries.
    notes
        What became of entries that were not simply used.
    """

    path: Path | None = None
    values: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def number(self, key: str, default: float) -> float:
        """One number."""
        value = self.values.get(key, default)
        if not _is_number(value):
            raise self.wrong(key, "one number")
        return float(value)

    def count(self, key: str, default: int) -> int:
        """One whole number from 1 on."""
        value = self.number(key, default)
        if value < 1 or value != int(value):
            raise self.wrong(key, "a whole number from 1 on")
        return int(value)

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def numbers(self, key: str, default: tuple[float, ...], count: int = 0) -> tuple[float, ...]:
        """Several numbers; `count` of them where it is not 0."""
        value = self.values.get(key, default)
        flat = isinstance(value, list | tuple) and all(_is_number(v) for v in value)
        if not flat or not value or (count and len(value) != count):
            raise self.wrong(key, f"a list of {count or 'some'} numbers")
        return tuple(float(v) for v in value)

    def rows(
        self, key: str, default: tuple[tuple[float, ...], ...]
    ) -> tuple[tuple[float, ...], ...]:
        """Lists of numbers above 0 in a list."""
        value = self.values.get(key, default)
        if not isinstance(value, list | tuple) or not value:
            raise self.wrong(key, "lists of numbers")
        for row in value:
            plain = isinstance(row, list | tuple) and row and all(map(_is_number, row))
            if not plain or min(row) <= 0:
                raise self.wrong(key, "lists of numbers above 0")
        return tuple(tuple(float(v) for v in row) for row in value)

    def wrong(self, key: str, expected: str) -> UserError:
        """Sentence for an entry that cannot be understood."""
        return UserError(
            f"{self.path}: {key} is {self.values.get(key)!r}, expected {expected}; correct the "
            "configuration"
        )


def read_settings(path: Path) -> Settings:
    """Read a detectron2 YAML, in full or with the entries that differ from ``_BASE_``.

    Raises
    ------
    UserError
        When the file is no such configuration.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): check the path") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(
            f"{path} is not a readable YAML file; give the configuration of the training run"
        ) from error
    if not isinstance(content, dict) or not {"MODEL", "_BASE_"} & set(content):
        raise UserError(
            f"{path} is not a detectron2 configuration: it has no section MODEL; give the "
            "config.yaml of the training run"
        )
    values: dict[str, Any] = {}
    notes: dict[str, str] = {}
    if "_BASE_" in content:
        notes["_BASE_"] = (
            f"{content.pop('_BASE_')} was not read; what this file does not say is taken as in "
            "the stock network of this kind"
        )
    _flatten("", content, values)
    return Settings(path, values, notes)


def _flatten(prefix: str, section: dict[Any, Any], into: dict[str, Any]) -> None:
    for key, value in section.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            _flatten(f"{name}.", value, into)
        else:
            into[name] = _plain(value)


def _plain(value: Any) -> Any:
    """A value as detectron2 reads it: tuples are written as text there."""
    if isinstance(value, str) and value[:1] in ("(", "["):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return value
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


def _is_number(value: Any) -> bool:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return plain and abs(value) < _LARGEST
