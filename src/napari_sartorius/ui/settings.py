"""The user's preferences, as napari shows them under Preferences > Sartorius.

napari offers plugin preferences from version 0.9 on. With an older napari, or when the manifest is
not registered (a dock made from a script), the defaults apply.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

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
    """

    default_device: str = "auto"
    default_model: str = "neurons"
    cache_folder: str = ""


def read_preferences() -> Preferences:
    """Return the preferences that napari keeps for this plugin, or the defaults."""
    try:
        from napari.settings import get_plugin_settings
    except ImportError:  # napari < 0.9
        return Preferences()
    try:
        section = getattr(get_plugin_settings(PLUGIN), SECTION)
        return Preferences(
            default_device=str(section.default_device).strip() or "auto",
            default_model=str(section.default_model).strip() or "neurons",
            cache_folder=str(section.cache_folder).strip(),
        )
    except (AttributeError, KeyError, ValueError) as error:
        # the manifest is not registered, or an older one without this section is
        logger.debug("no preferences for %s: %s", PLUGIN, error)
        return Preferences()
