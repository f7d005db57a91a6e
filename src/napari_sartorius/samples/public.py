"""Real micrographs that scikit-image hands out: one ships with it, others are downloaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def immunohistochemistry() -> NDArray[np.uint8]:
    """Return colonic glands stained with antibodies, the nuclei blue; needs no internet.

    Returns
    -------
    (512, 512, 3) uint8
        RGB, brightfield, no known copyright restriction (scikit-image, ``ihc.png``).
    """
    return np.asarray(_load("immunohistochemistry", "immunohistochemistry"), np.uint8)


def human_mitosis() -> NDArray[np.uint8]:
    """Return fluorescent nuclei of cultured human cells, some of them dividing (CC0).

    Returns
    -------
    (512, 512) uint8
        Grey values; downloaded once, checked against its checksum, then kept.

    Raises
    ------
    UserError
        If the image is not there yet and cannot be downloaded.
    """
    return np.asarray(_load("human_mitosis", "human mitosis"), np.uint8)


def nuclei_stack() -> NDArray[np.uint16]:
    """Return a z-stack of fluorescent nuclei of cultured cells (Allen Institute, public use).

    Returns
    -------
    (60, 256, 256) uint16
        Planes along z, 0.29 um apart, pixels of 0.26 um; downloaded once, then kept.

    Raises
    ------
    UserError
        If the image is not there yet and cannot be downloaded.
    """
    return np.asarray(_load("cells3d", "nuclei z-stack")[:, 1], np.uint16)


def _load(name: str, title: str) -> Any:
    """Call scikit-image's loader of that name; say plainly what went wrong, by the menu's title."""
    from skimage import data

    try:
        return getattr(data, name)()
    except (OSError, ValueError, ModuleNotFoundError) as error:
        raise UserError(
            f"The sample image '{title}' could not be downloaded ({type(error).__name__}); connect"
            " to the internet and try again, or choose a sample that ships with the package:"
            " phase contrast or immunohistochemistry."
        ) from error
