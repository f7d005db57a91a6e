"""The second level itself: a regressor of the IoU that an object's mask will have with the truth.

Gradient boosted trees on the features of `features`, with the settings of the 7th place of the
Sartorius challenge. The file is CatBoost's own binary format, of which nothing is executed; what
else must be known (names of the features, what it was taught on) is written into it.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.errors import MissingPackage, UserError
from napari_sartorius.core.wording import agree, plural
from napari_sartorius.postprocess.second_level.selection import select_features

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Table = Mapping[str, NDArray[np.float64]]

FORMAT_VERSION = 1
_KEY = "napari_sartorius"
# CatBoost cannot tell "not known" from a number by itself as the original taught it.
_UNKNOWN = -1.0
MISSING = 'rescoring needs catboost; install it with pip install "napari-sartorius[all]"'


@dataclass(frozen=True)
class FitSettings:
    """Settings of the regressor; the defaults are the 7th place's.

    Attributes
    ----------
    trees, depth, learning_rate, l2
        Number of trees, their depth, how much each counts, and how large leaves are punished.
    seed
        Same data, same seed: same regressor.
    """

    trees: int = 700
    depth: int = 2
    learning_rate: float = 0.02
    l2: float = 1.0
    seed: int = 67


@dataclass(frozen=True, eq=False)
class Rescorer:
    """A regressor and what it must be given.

    Attributes
    ----------
    features
        Names, in the order of the regressor's columns.
    model
        The CatBoost regressor.
    facts
        What is known of how it was made: ``data_sha256``, ``objects``, ``images``, figures, ...
    """

    features: tuple[str, ...]
    model: Any
    facts: dict[str, Any] = field(default_factory=dict)

    def predict(self, table: Table) -> NDArray[np.float32]:
        """Predicted IoU of each object, (N,) float32, 0..1.

        Features that the table lacks count as not known.
        """
        rows = _matrix(table, self.features)
        if not len(rows):
            return np.zeros(0, np.float32)
        predicted: NDArray[np.float32] = np.asarray(self.model.predict(rows), np.float32)
        return np.clip(predicted, 0, 1)

    def staged(self, table: Table, every: int) -> list[tuple[int, NDArray[np.float64]]]:
        """Predictions of the first trees alone: how many, and the IoU (N,) of each object.

        Parameters
        ----------
        table
            As for `predict`.
        every
            Trees between two predictions; all of them are always the last.
        """
        rows, trees = _matrix(table, self.features), int(self.model.tree_count_)
        if not len(rows):
            return []
        numbers = [*range(every, trees, every), trees]
        staged = self.model.staged_predict(rows, eval_period=every)
        return [
            (number, np.clip(np.asarray(values, np.float64), 0, 1))
            for number, values in zip(numbers, staged, strict=True)
        ]

    def importance(self) -> dict[str, float]:
        """How much each feature counts, in percent of all, by its name."""
        shares: Sequence[float] = self.model.get_feature_importance()
        return {name: float(share) for name, share in zip(self.features, shares, strict=True)}

    def to_bytes(self) -> bytes:
        """The file ``rescorer.cbm``."""
        metadata = self.model.get_metadata()
        metadata[_KEY] = json.dumps(
            {"version": FORMAT_VERSION, "features": self.features, "facts": self.facts}
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rescorer.cbm"
            self.model.save_model(str(path))
            return path.read_bytes()

    @staticmethod
    def check_available() -> None:
        """Make sure that what rescoring needs is installed.

        Raises
        ------
        MissingPackage
            When catboost or OpenCV is not.
        """
        _catboost()
        try:
            import cv2  # noqa: F401
        except ImportError as error:
            raise MissingPackage(MISSING.replace("catboost", "OpenCV")) from error

    @classmethod
    def from_bytes(cls, data: bytes, place: str = "the rescorer") -> Rescorer:
        """Read what `to_bytes` gave.

        Parameters
        ----------
        data
            The file's content.
        place
            What to call it in an error.

        Raises
        ------
        UserError
            When catboost is missing, or the data is no rescorer or of a newer version.
        """
        catboost = _catboost()
        model = catboost.CatBoostRegressor()
        try:
            model.load_model(blob=data)
            said = json.loads(model.get_metadata()[_KEY])
            version, features = int(said["version"]), tuple(map(str, said["features"]))
        except (catboost.CatBoostError, KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{place} cannot be read: it is damaged or was not made by napari-sartorius; make "
                "it again with 'napari-sartorius rescore fit'"
            ) from error
        if version > FORMAT_VERSION:
            raise UserError(f"{place} comes from a newer version: update napari-sartorius")
        return cls(features, model, dict(said.get("facts", {})))


def fit_rescorer(
    table: Table,
    target: NDArray[np.floating],
    settings: FitSettings = FitSettings(),
    *,
    features: Sequence[str] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Rescorer:
    """Learn to predict IoU from features.

    Parameters
    ----------
    table : mapping of str to (N,) float64
        Features of the objects of all images, from predictions that the network was not trained on.
    target : (N,) float
        Largest IoU of each object with any true object of its image, 0..1.
    settings : FitSettings
        Of the regressor.
    features : sequence of str, optional
        What to learn from; by default what `select_features` leaves.
    facts : mapping, optional
        Kept in the file.

    Raises
    ------
    UserError
        When catboost is missing, or there is nothing to learn from.
    """
    catboost = _catboost()
    chosen = select_features(table) if features is None else tuple(features)
    if not chosen or len(target) < 2 or float(np.ptp(target)) == 0:
        raise UserError(
            f"there is nothing to teach a rescorer with: {plural(len(target), 'object')} "
            f"{agree(len(target), 'was', 'were')} found, with "
            "the same fit to the truth; use more annotated images"
        )
    model = catboost.CatBoostRegressor(
        n_estimators=settings.trees,
        max_depth=settings.depth,
        learning_rate=settings.learning_rate,
        reg_lambda=settings.l2,
        random_state=settings.seed,
        loss_function="RMSE",
        verbose=False,
        allow_writing_files=False,
    )
    model.fit(_matrix(table, chosen), np.asarray(target, np.float64))
    return Rescorer(chosen, model, dict(facts or {}))


def _matrix(table: Table, names: Sequence[str]) -> NDArray[np.float64]:
    count = len(next(iter(table.values()))) if table else 0
    unknown = np.full(count, np.nan)
    columns = [np.asarray(table.get(name, unknown), np.float64) for name in names]
    return np.nan_to_num(np.stack(columns, axis=1), nan=_UNKNOWN)


def _catboost() -> Any:
    try:
        import catboost
    except ImportError as error:
        raise MissingPackage(MISSING) from error
    return catboost
