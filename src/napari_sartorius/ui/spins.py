"""Number fields that can also say "as the model has it"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDoubleSpinBox, QWidget

from napari_sartorius.ui.wheel import is_passed_on

if TYPE_CHECKING:
    from qtpy.QtGui import QWheelEvent


class OptionalSpin(QDoubleSpinBox):
    """A number, or None, which is shown as a word and sits below the smallest number.

    Parameters
    ----------
    low, high : float
        Range of the numbers.
    step : float
        Change per click.
    decimals : int
        Digits after the point.
    unit : str
        Shown after the number, without a space in front.
    word : str
        Shown for None.
    """

    def __init__(
        self,
        low: float,
        high: float,
        step: float,
        decimals: int,
        unit: str = "",
        word: str = "automatic",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._low = low
        self._start = low
        self.setDecimals(decimals)
        self.setRange(low - step, high)
        self.setSingleStep(step)
        self.setSuffix(f" {unit}" if unit else "")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setKeyboardTracking(False)
        self.set_word(word)
        self.set_number(None)

    def set_word(self, word: str) -> None:
        """Say what None means, for example the value that the model would use."""
        self.setSpecialValueText(word)

    def set_start(self, value: float) -> None:
        """Say which number the first click from None leads to."""
        self._start = min(max(value, self._low), self.maximum())

    def number(self) -> float | None:
        """Return the number, or None while the word is shown."""
        return self.value() if self.value() >= self._low - 1e-9 else None

    def set_number(self, value: float | None) -> None:
        """Show a number, or the word for None."""
        self.setValue(self.minimum() if value is None else value)

    def stepBy(self, steps: int) -> None:
        """Step; from the word the first step leads to the start number."""
        if self.number() is None and steps != 0:
            self.setValue(self._start)
        elif steps < 0 and self.value() + steps * self.singleStep() < self._low - 1e-9:
            self.set_number(None)
        else:
            super().stepBy(steps)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Pass the wheel on to the scroll area unless the field has the focus."""
        if not is_passed_on(self, event):
            super().wheelEvent(event)
