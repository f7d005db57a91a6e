"""Sample predictions against the truth, before and now, as a run writes them into its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtGui import QColor, QPixmap
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_sartorius.training.picture_names import BEFORE, BEST, FOUND, NOW, TRUTH
from napari_sartorius.ui.forms import heading, quiet
from napari_sartorius.ui.train.thumbnails import LargePictures, Thumbnails

if TYPE_CHECKING:
    from pathlib import Path

_MEANING = "Filled blue: a cell that was missed. Filled orange: one that is not there."
_CAPTIONS = {BEFORE: "Before", NOW: "Now", BEST: "After"}


class SamplePictures(QWidget):
    """Thumbnails of the validation images, with a legend.

    Parameters
    ----------
    kinds : tuple of str
        Which pictures of each image are shown beside each other: `BEFORE`, `NOW`, `BEST`.
    title : str
        Above them.
    """

    def __init__(self, kinds: tuple[str, ...], title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._kinds = kinds
        self._folder: Path | None = None
        self._stamp: tuple[tuple[str, int], ...] = ()
        self._shown: list[Path] = []
        self.pictures = Thumbnails(2)
        self._captions = dict(_CAPTIONS)
        heads = QWidget()
        row = QHBoxLayout(heads)
        row.setContentsMargins(0, 0, 0, 0)
        self._heads = {kind: quiet(_CAPTIONS[kind]) for kind in kinds}
        for head in self._heads.values():
            row.addWidget(head, 1)
        heads.setVisible(len(kinds) > 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(heading(title))
        layout.addLayout(_legend())
        layout.addWidget(heads)
        layout.addWidget(self.pictures)
        layout.addWidget(quiet(_MEANING))
        self.pictures.chosen.connect(self._enlarge)
        self.hide()

    def name_first(self, caption: str) -> None:
        """Say what the first picture of an image shows; not every start could be measured."""
        self._captions[BEFORE] = caption
        if BEFORE in self._heads:
            self._heads[BEFORE].setText(caption)

    def watch(self, folder: Path | None) -> None:
        """Show the pictures of another run."""
        self._folder, self._stamp, self._shown = folder, (), []
        self.hide()
        self.refresh()

    def refresh(self) -> None:
        """Read the pictures again if there are newer ones."""
        if self._folder is None or not self._folder.is_dir():
            return
        stems = sorted(
            path.name.removesuffix(f"-{NOW}.png") for path in self._folder.glob(f"*-{NOW}.png")
        )
        wanted = [self._folder / f"{stem}-{kind}.png" for stem in stems for kind in self._kinds]
        there = [path for path in wanted if path.is_file()]
        stamp = tuple((path.name, path.stat().st_mtime_ns) for path in there)
        if not there or stamp == self._stamp:
            return
        self._stamp, self._shown = stamp, there
        hints = [f"{_image(path)}: click to see it large" for path in there]
        self.pictures.show_pictures([QPixmap(str(path)) for path in there], hints)
        self.show()

    def _enlarge(self, place: int) -> None:
        stem = self._shown[place].name.rsplit("-", 1)[0]
        other = BEST if BEST in self._kinds else NOW
        shown = []
        for kind in (BEFORE, other):
            path = self._shown[place].with_name(f"{stem}-{kind}.png")
            if path.is_file():
                shown.append((self._captions[kind], QPixmap(str(path))))
        note = f"Blue: true. Orange: found. {_MEANING}"
        LargePictures(_image(self._shown[place]), shown, note, self).show()


def _image(path: Path) -> str:
    """Name of the image that a picture is of."""
    return path.name.rsplit("-", 1)[0].split("-", 1)[1]


def _legend() -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(5)
    for colour, word in ((TRUTH, "true"), (FOUND, "found")):
        swatch = QLabel()
        swatch.setFixedSize(14, 3)
        swatch.setStyleSheet(f"background: {QColor(*colour).name()};")
        row.addWidget(swatch)
        row.addWidget(QLabel(word))
        row.addSpacing(8)
    row.addStretch(1)
    return row
