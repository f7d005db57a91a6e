"""What all models of detectron2 have in common once they are wrapped."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from napari_sartorius.core.errors import UserError
from napari_sartorius.nn.network import Network

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from napari_sartorius.nn.targets import Target

# Where a backbone asks for nothing, tiles still begin on its coarsest grid.
_USUAL_DIVISIBILITY = 32


class Detectron2Network(Network):
    """A model of detectron2 that answers as our networks do.

    Parameters
    ----------
    model
        As `build_original` makes it.
    name
        Of the model, for errors.
    """

    def __init__(self, model: Any, name: str) -> None:
        super().__init__()
        self.model = model
        self.name = name
        backbone = getattr(model, "backbone", None)
        asked = int(getattr(backbone, "size_divisibility", 0))
        self.size_divisibility = asked or _USUAL_DIVISIBILITY

    def losses(self, batch: Tensor, targets: list[Target]) -> dict[str, Tensor]:
        """Refuse to train: detectron2 has its own trainer, and a card of ours could not say how.

        Raises
        ------
        UserError
            Always.
        """
        raise UserError(
            f"{self.name} runs in detectron2 and cannot be trained here; train it with detectron2 "
            "and import the result, or start from another model"
        )

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        """Turn what detectron2 cannot do on this device into one sentence."""
        try:
            yield
        except NotImplementedError as error:
            raise UserError(
                f"{self.name} has layers that the installed detectron2 runs on a graphics card "
                f"only ({error}); build detectron2 with CUDA, or import a model without deformable "
                "convolutions"
            ) from error
