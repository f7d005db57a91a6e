"""The user's preferences, as napari shows them under Preferences > Sartorius.

napari offers plugin preferences from version 0.9 on. With an older napari, or when the manifest is
not registered (a dock made from a script), the defaults apply.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PLUGIN = "napari-sartorius"
SECTION = "segment"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preferences:
    """What the dock starts with.

    Parameters
    ----------
    default_device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:1`` ... or ``mps``.
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
    if not file.is_file():
        return Preferences()
    import yaml  # napari brings it along

    try:
        saved = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        logger.warning("The preferences in %s cannot be read (%s): defaults apply.", file, error)
        return Preferences()
    section = saved.get(SECTION) if isinstance(saved, Mapping) else None
    return _preferences(section if isinstance(section, Mapping) else {})


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
        return _preferences({name: getattr(section, name) for name in vars(Preferences())})
    except (AttributeError, KeyError, ValueError) as error:
        # the manifest is not registered, or an older one without this section is
        logger.debug("no preferences for %s: %s", PLUGIN, error)
        return Preferences()


def _preferences(section: Mapping[str, object]) -> Preferences:
    default = Preferences()
    return Preferences(
        default_device=str(section.get("default_device", "")).strip() or default.default_device,
        default_model=str(section.get("default_model", "")).strip() or default.default_model,
        cache_folder=str(section.get("cache_folder", "")).strip(),
        proxy=str(section.get("proxy", "")).strip(),
    )
