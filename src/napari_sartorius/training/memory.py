"""When the memory is too small for a batch: fewer crops at a time, as many in each step."""

from __future__ import annotations

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import plural


def smaller_portion(portion: int, crop: int, device: str) -> int:
    """How many crops to compute at a time after memory ran out.

    Parameters
    ----------
    portion
        Crops that were computed at a time.
    crop
        Side of a crop in pixels, for the message.
    device
        Whose memory is full.

    Raises
    ------
    UserError
        When not even one crop fits.
    """
    if portion > 1:
        return -(-portion // 2)
    raise UserError(
        f"one crop of {crop} x {crop} pixels does not fit into the memory of {device}: choose a "
        "smaller crop or network, or close other programs, then resume"
    )


def told(step: int, before: int, after: int, share: int, device: str) -> str:
    """Say what has changed.

    Parameters
    ----------
    step
        1-based, the one that did not fit.
    before, after
        Crops computed at a time.
    share
        Crops of a step on this device.
    device
        Whose memory is full.
    """
    return (
        f"step {step} did not fit into the memory of {device} with {plural(before, 'crop')} at a "
        f"time: it goes on with {after} at a time and accumulates "
        f"{plural(-(-share // after), 'time')} instead of {-(-share // before)}, so each step "
        f"still sees {plural(share, 'crop')} and takes longer"
    )
