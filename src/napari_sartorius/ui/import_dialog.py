"""Asks for what a file does not say of a model: its name, and where a checkpoint is from."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sartorius.core.errors import UserError
from napari_sartorius.ui.forms import add_row, new_form, quiet

if TYPE_CHECKING:
    from napari_sartorius.engine.model_jobs import ImportModelJob

_WIDTH = 460


class ImportDialog(QDialog):
    """Fields for one file; a zip brings all but its name.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path, parent: QWidget | None = None) -> None:
        from napari_sartorius.zoo import open_bundle
        from napari_sartorius.zoo.archive import is_bundle_zip

        super().__init__(parent)
        self.setWindowTitle("Import a model")
        self._path = path
        self.is_zip = is_bundle_zip(path)
        self.name = QLineEdit(_plain(path.stem))
        if self.is_zip:
            with contextlib.suppress(UserError):  # the import will say it
                self.name.setText(open_bundle(path).card.name)
        self.config = QLineEdit(_config_beside(path))
        self.config.setPlaceholderText("none")
        self.categories = QLineEdit()
        self.categories.setPlaceholderText("for example: round, long")
        self.diameter = QLineEdit()
        self.diameter.setPlaceholderText("not known")
        form = new_form()
        add_row(form, "Name", self.name, "import_name")
        if not self.is_zip:
            add_row(form, "Config file", self._with_browse(), "import_config")
            add_row(form, "Classes", self.categories, "import_categories")
            add_row(form, "Diameter", self.diameter, "import_diameter")
        self.problem = quiet(role="error")
        self.problem.hide()
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.ok = buttons.addButton("Import", QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setSpacing(8)
        layout.addWidget(quiet(self._introduction()))
        layout.addLayout(form)
        layout.addWidget(self.problem)
        layout.addWidget(buttons)
        self.setMinimumWidth(_WIDTH)

    def job(self) -> ImportModelJob:
        """Return the job that the fields describe.

        Raises
        ------
        UserError
            When the diameter is no number.
        """
        from napari_sartorius.engine.model_jobs import ImportModelJob

        name = self.name.text().strip() or None
        if self.is_zip:
            return ImportModelJob(self._path, name)
        config = self.config.text().strip()
        names = tuple(one.strip() for one in self.categories.text().split(",") if one.strip())
        return ImportModelJob(
            self._path,
            name,
            config=Path(config) if config else None,
            categories=names or None,
            cell_diameter=_number(self.diameter.text()),
        )

    def accept(self) -> None:
        """Close when the fields can be understood, else say what is wrong."""
        try:
            self.job()
        except UserError as error:
            self.problem.setText(str(error))
            self.problem.show()
            return
        super().accept()

    def _introduction(self) -> str:
        if self.is_zip:
            return f"{self._path.name} is a model that somebody exported."
        return (
            f"{self._path.name} is taken for a checkpoint. Nothing in it is executed. What you "
            "leave empty is read from the file or assumed, and you are told."
        )

    def _with_browse(self) -> QWidget:
        row = QWidget()
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.config, 1)
        browse = QPushButton("Browse …")
        browse.clicked.connect(self._on_browse)
        layout.addWidget(browse)
        return row

    def _on_browse(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, "Configuration", str(self._path.parent), "YAML (*.yaml *.yml)"
        )
        if path:
            self.config.setText(path)


def _plain(stem: str) -> str:
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in stem)
    return kept.strip("._-") or "imported"


def _config_beside(path: Path) -> str:
    """The configuration that training programs write beside their checkpoints."""
    beside = path.with_name("config.yaml")
    return str(beside) if beside.is_file() else ""


def _number(text: str) -> float | None:
    text = text.strip().replace(",", ".")
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise UserError(f"the diameter is '{text}', expected a number of pixels") from None
