"""A model as a folder or one zip file: ``model.json`` and ``weights.safetensors``."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import ValidationError

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.atomic import write_bytes
from napari_sartorius.zoo.card import Card, ModelCard
from napari_sartorius.zoo.first_problem import first_problem
from napari_sartorius.zoo.folders import CARD_FILE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from napari_sartorius.nn.config import Architecture
    from napari_sartorius.nn.network import Network
    from napari_sartorius.zoo.ensemble_bundle import EnsembleBundle

AnyBundle: TypeAlias = "ModelBundle | EnsembleBundle"

WEIGHTS_FILE = "weights.safetensors"
RESCORER_FILE = "rescorer.cbm"
LARGEST = {CARD_FILE: 4 << 20, WEIGHTS_FILE: 4 << 30, RESCORER_FILE: 1 << 30}
"""Most bytes that a file of a bundle can have; what unpacks to more is no model."""


@dataclass(frozen=True)
class ModelBundle:
    """A card and where its weights are. Cheap: nothing is loaded before it is asked for.

    Attributes
    ----------
    card
        What is known of the model.
    path
        The bundle's folder or zip file.
    inside
        Where it lies in there: empty, or, of a member of an ensemble, a folder with a slash at
        the end.
    """

    card: ModelCard
    path: Path
    inside: str = ""

    @classmethod
    def open(cls, path: Path) -> ModelBundle:
        """Read the card of a single model's folder or zip; see `napari_sartorius.zoo.open_bundle`.

        Raises
        ------
        UserError
            When there is no bundle at `path`, its card is damaged, or it is that of an ensemble.
        """
        return single(open_bundle(path))

    def read_weights(self) -> bytes:
        """Bytes of the weights file after checking them against the card.

        Raises
        ------
        UserError
            When the file is missing or its checksum differs from the card's.
        """
        try:
            data = read_file(self.path, self.inside + WEIGHTS_FILE)
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise UserError(
                f"the model at {self._place} has no readable {WEIGHTS_FILE}; install the model "
                "again"
            ) from error
        found = hashlib.sha256(data).hexdigest()
        if found != self.card.sha256:
            raise UserError(
                f"the weights of the model at {self._place} do not match its card (checksum "
                f"{found[:12]}..., expected {self.card.sha256[:12] or 'none'}...); the file is "
                "damaged or was exchanged: install the model again"
            )
        return data

    @property
    def _place(self) -> str:
        return f"{self.path} ({self.card.name})" if self.inside else str(self.path)

    @property
    def lead(self) -> ModelBundle:
        """The bundle itself; of an ensemble its first member that finds objects."""
        return self

    def verify(self) -> int:
        """Compare the weights with the card; returns their bytes. Errors as in `read_weights`."""
        self.read_rescorer()
        return len(self.read_weights())

    def try_out(self) -> None:
        """Make sure that the weights become a network; errors as in `load_network`."""
        self.load_network()

    def weights_files(self) -> dict[str, ModelBundle]:
        """Which weights there are: their place in the bundle, and whose they are."""
        return {self.inside + WEIGHTS_FILE: self}

    def read_rescorer(self) -> bytes | None:
        """Bytes of the second level after checking them; None where there is none.

        Raises
        ------
        UserError
            When the file is missing or damaged.
        """
        return read_rescorer(self.card, self.path, self.inside)

    def _architecture(self) -> Architecture:
        try:
            return self.card.architecture
        except ValidationError as error:
            raise UserError(
                f"the card of the model at {self._place} describes a network that is not known "
                f"({first_problem(error)}); it may come from a newer version: update "
                "napari-sartorius"
            ) from error

    def load_network(
        self,
        device: str = "cpu",
        *,
        for_inference: bool = False,
        precision: Literal["float32", "mixed", "bfloat16"] = "float32",
    ) -> Network:
        """Network in evaluation mode with this bundle's weights, on `device`.

        With `for_inference` normalisation layers are folded into convolutions: the same result
        with less work, but the network can no longer be trained or saved. Its weights are then
        also stored in the arithmetic that it will run in: with ``bfloat16`` it has to run under
        autocast, with ``mixed`` only its masks are made so, and it sees to that itself.

        Raises
        ------
        UserError
            When the weights are damaged or do not fit the architecture of the card, or the model
            needs detectron2 and it is missing.
        """
        from safetensors import SafetensorError

        from napari_sartorius.nn.config import Detectron2Config
        from napari_sartorius.nn.loading import load_network, make_ready, move

        tree, data = self._architecture(), self.read_weights()
        try:
            if isinstance(tree, Detectron2Config):
                from safetensors.torch import load

                from napari_sartorius.zoo.detectron2_engine.loading import load_wrapped

                return load_wrapped(tree, load(data), self.card.name).to(device)
            network = load_network(tree, data)
        except (SafetensorError, RuntimeError) as error:
            raise UserError(
                f"the weights of the model at {self._place} do not fit the network that its card "
                "describes; install the model again"
            ) from error
        if for_inference:
            make_ready(network, device, precision)
        return move(network, device)


def save_bundle(
    folder: Path,
    card: ModelCard,
    weights: Mapping[str, Tensor],
    precision: Literal["float16", "float32"] = "float16",
) -> ModelBundle:
    """Write a bundle folder; floating-point weights are stored in this precision.

    Half the size costs no accuracy worth measuring, but a network that shall answer exactly as
    another program does needs ``float32``. The card is written last and atomically, with the
    checksum of the weights, so that a folder with a card is always whole. A second level that the
    card speaks of judged other weights and is left out.
    """
    import torch
    from safetensors.torch import save

    folder.mkdir(parents=True, exist_ok=True)
    stored = torch.float16 if precision == "float16" else torch.float32
    kept = {
        name: (value.to(stored) if value.dtype.is_floating_point else value).cpu().contiguous()
        for name, value in weights.items()
    }
    for name, value in kept.items():
        if value.dtype == torch.float16 and not torch.isfinite(value).all():
            raise ValueError(f"weight {name} does not fit 16-bit floats")
    data = save(kept)
    write_bytes(folder / WEIGHTS_FILE, data)
    sealed = card.with_changes(sha256=hashlib.sha256(data).hexdigest(), rescorer=None)
    write_bytes(folder / CARD_FILE, (sealed.model_dump_json(indent=1) + "\n").encode())
    return ModelBundle(sealed, folder)


def open_bundle(path: Path) -> AnyBundle:
    """Read the card of a bundle's folder or zip, and say by the type which kind it is.

    Raises
    ------
    UserError
        When there is no bundle at `path` or its card is damaged.
    """
    try:
        text = read_file(path, CARD_FILE)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path} is not a model bundle: it holds no readable {CARD_FILE}; choose a folder "
            "or .zip made by napari-sartorius"
        ) from error
    try:
        data = json.loads(text)
        if not (isinstance(data, dict) and data.get("kind") == "ensemble"):
            return ModelBundle(ModelCard.model_validate(data), path)
        # Few have ensembles, and their cards know all strategies.
        from napari_sartorius.zoo.ensemble_bundle import EnsembleBundle
        from napari_sartorius.zoo.ensemble_card import EnsembleCard

        return EnsembleBundle(EnsembleCard.model_validate(data), path)
    except (ValidationError, ValueError) as error:
        raise UserError(
            f"the card of the model at {path} cannot be read ({first_problem(error)}); "
            "it may come from a newer version: update napari-sartorius"
        ) from error


def single(bundle: AnyBundle) -> ModelBundle:
    """The bundle, when it is of a single model.

    Raises
    ------
    UserError
        When it is of an ensemble.
    """
    if isinstance(bundle, ModelBundle):
        return bundle
    names = ", ".join(bundle.card.member_names)
    raise UserError(
        f"{bundle.card.name} is an ensemble, where a single model is needed: choose one such as "
        f"those that it was made of ({names})"
    )


def read_file(path: Path, name: str) -> bytes:
    """Bytes of a file of a bundle's folder or zip, which may be `name` with folders in front.

    Raises
    ------
    OSError, KeyError, zipfile.BadZipFile
        When it cannot be read.
    """
    if path.is_dir():
        return (path / name).read_bytes()
    with zipfile.ZipFile(path) as archive:
        if archive.getinfo(name).file_size > LARGEST[name.rsplit("/", 1)[-1]]:
            raise zipfile.BadZipFile(f"{name} is too large")
        return archive.read(name)


def read_rescorer(card: Card, path: Path, inside: str = "") -> bytes | None:
    """Bytes of the second level that a card names, checked; None where it names none.

    Raises
    ------
    UserError
        When the file is missing or damaged.
    """
    if card.rescorer is None:
        return None
    try:
        data = read_file(path, inside + RESCORER_FILE)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(
            f"the model at {path} has no readable {RESCORER_FILE}; install it again"
        ) from error
    if hashlib.sha256(data).hexdigest() != card.rescorer.sha256:
        raise UserError(
            f"{RESCORER_FILE} of the model at {path} does not match its card; the file is damaged "
            "or was exchanged: install the model again"
        )
    return data
