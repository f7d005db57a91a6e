"""What the worker tells about the images of a walk, such as a limit that was reached, in words."""

from __future__ import annotations

from pathlib import PurePosixPath

from napari_sartorius.core.wording import plural, sentence

_MOST = 4  # sentences; hundreds of images may each have one


class WalkNotices:
    """Collects notices; what holds for several images is said once."""

    def __init__(self) -> None:
        self._images: dict[str, list[str]] = {}

    def add(self, image: str, text: str) -> bool:
        """Note what was told about an image file; False when that is known already."""
        images = self._images.setdefault(sentence(text), [])
        if image in images:
            return False
        images.append(image)
        return True

    def sentences(self, name_images: bool) -> list[str]:
        """A sentence per notice, at most a handful.

        Parameters
        ----------
        name_images
            Whether more than one image is walked over, so that it must be said which is meant.
        """
        told = [
            _of_images(text, images) if name_images else text
            for text, images in self._images.items()
        ]
        more = len(told) - _MOST
        return told[:_MOST] + ([f"And {plural(more, 'more notice')}."] if more > 0 else [])


def _of_images(text: str, images: list[str]) -> str:
    of = PurePosixPath(images[0]).name
    if len(images) > 1:
        of += f" and {len(images) - 1} more"
    return f"{text[:-1]} ({of}){text[-1]}"  # what it is comes first: a message may be cut
