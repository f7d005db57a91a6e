"""The user's preferences, as napari shows them under Preferences > Sartorius.

napari offers plugin preferences from version 0.9 on. With an older napari, or when the manifest is
not registered (a dock made from a script), the defaults apply.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

PLUGIN = "napari-sartorius"
SECTION = "segment"
KEYS_SECTION = "keys"

# Napari offers a field for free text: it could list devices, but not all that somebody may have.

logger = logging.getLogger(__name__)


class Preferences(NamedTuple):
    """What the dock starts with.

    Parameters
    ----------
    default_device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:1`` ... or ``mps``; anything else becomes ``auto``.
    default_model : str
        Name of the model that is preselected; an unknown name falls back to the first model.
    cache_folder : str
        Folder for downloaded models; empty for the usual place of this computer.
    proxy : str
        Proxy for downloads; empty for what the computer is set to.
    """

    default_device: str = "auto"
    default_model: str = "neurons"
    cache_folder: str = ""
    proxy: str = ""


def read_preferences() -> Preferences:
    """Return the preferences that napari keeps for this plugin, or the defaults.

    napari writes each change at once to a file of this plugin's own, which is read here. Asking
    napari instead makes it parse the manifests of all plugins again, which takes longer than
    building the whole dock.
    """
    file = _preferences_file()
    if file is None or _set_by_environment():
        return _ask_napari()
    return _preferences(_saved_section(file, SECTION))


def read_keys() -> dict[str, str]:
    """Return the keys that the user chose for tools of the Correct tab, by the tools' names.

    As napari writes keys, ``Shift-G``; a minus sign alone stands for no key.
    """
    file = _preferences_file()
    saved = _saved_section(file, KEYS_SECTION) if file is not None else {}
    keys = {str(name): str(key).strip() for name, key in saved.items()}
    return {name: "" if key == "-" else key for name, key in keys.items() if key}


def _saved_section(file: Path, section: str) -> Mapping[str, object]:
    """Return what the file of preferences says; empty where it says nothing or is damaged."""
    if not file.is_file():
        return {}
    import yaml  # napari brings it along

    try:
        saved = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        logger.warning("The preferences in %s cannot be read (%s): defaults apply.", file, error)
        return {}
    found = saved.get(section) if isinstance(saved, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _preferences_file() -> Path | None:
    """Where napari keeps this plugin's preferences; None when that is not known."""
    try:
        from napari import settings
    except ImportError:
        return None
    folder = getattr(settings, "_CFG_PATH", None)
    has_preferences = hasattr(settings, "get_plugin_settings")
    return Path(folder).parent / f"{PLUGIN}.yaml" if folder and has_preferences else None


def _set_by_environment() -> bool:
    """Whether variables such as NAPARI_SEGMENT_DEFAULT_DEVICE take precedence over the file."""
    return any(name.upper().startswith(f"NAPARI_{SECTION.upper()}") for name in os.environ)


def _ask_napari() -> Preferences:
    try:
        from napari.settings import get_plugin_settings
    except ImportError:  # napari < 0.9
        return Preferences()
    try:
        section = getattr(get_plugin_settings(PLUGIN), SECTION)
        return _preferences({name: getattr(section, name) for name in Preferences._fields})
    except (AttributeError, KeyError, ValueError) as error:
        # the manifest is not registered, or an older one without this section is
        logger.debug("no preferences for %s: %s", PLUGIN, error)
        return Preferences()


def _preferences(section: Mapping[str, object]) -> Preferences:
    default = Preferences()
    return Preferences(
        default_device=_device(str(section.get("default_device", ""))) or default.default_device,
        default_model=str(section.get("default_model", "")).strip() or default.default_model,
        cache_folder=str(section.get("cache_folder", "")).strip(),
        proxy=str(section.get("proxy", "")).strip(),
    )


def _device(text: str) -> str:
    """Return a device as networks know it; empty where it is none, and the log says so."""
    name = text.strip().lower()
    kind, _, number = name.partition(":")
    numbered = kind == "cuda" and number.isascii() and number.isdecimal()
    if name in ("", "auto", "cpu", "mps", "cuda") or numbered:
        return name
    logger.warning(
        "There is no device %r, chosen under Preferences > Sartorius: auto is used instead; "
        "expected auto, cpu, cuda, cuda:1 or mps.",
        text,
    )
    return ""
