"""From a bundle's card and weights to a wrapped detectron2 model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import plural
from napari_sartorius.zoo.detectron2_engine.available import quiet, require_detectron2
from napari_sartorius.zoo.detectron2_engine.build import build_original, classes_of, complete
from napari_sartorius.zoo.detectron2_engine.weights import load_original

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from napari_sartorius.nn.config import Detectron2Config
    from napari_sartorius.zoo.card import ModelCard
    from napari_sartorius.zoo.detectron2_engine.network import Detectron2Network

# Edge of the image that a new model is tried on; large enough for the coarsest level.
_TRIAL_EDGE = 128


def load_wrapped(
    architecture: Detectron2Config, weights: Mapping[str, Tensor], name: str
) -> Detectron2Network:
    """Network of a card, built by the installed detectron2, in evaluation mode on the processor.

    Raises
    ------
    UserError
        When detectron2 is missing or too different, or the weights do not fit.
    """
    require_detectron2()
    where = f"the model {name}"
    cfg, _ = complete(architecture.configuration, where)
    if classes_of(cfg) != architecture.num_classes:
        raise UserError(
            f"the card of {where} speaks of {plural(architecture.num_classes, 'class', 'classes')} "
            f"and its configuration of {classes_of(cfg)}; install the model again"
        )
    original = build_original(cfg, where)
    missing, strange = load_original(original, weights, where)
    if missing or strange:
        raise UserError(
            f"the weights of {where} do not fit the network that its card describes "
            f"({(missing + strange)[0]}); install the model again"
        )
    return wrap(original, name)


def wrap(original: nn.Module, name: str) -> Detectron2Network:
    """A detectron2 model behind our protocol; stage by stage where it has detectron2's stages."""
    from napari_sartorius.zoo.detectron2_engine.rcnn import Detectron2RCNN
    from napari_sartorius.zoo.detectron2_engine.whole import Detectron2Whole

    with quiet():
        from detectron2.modeling import GeneralizedRCNN
    if isinstance(original, GeneralizedRCNN):
        return Detectron2RCNN(original, name)
    return Detectron2Whole(original, name)


def look_once(network: Detectron2Network, card: ModelCard) -> None:
    """Have a new model look at an empty image, so that what cannot run here is not installed.

    Raises
    ------
    UserError
        When the model fails.
    """
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    edge = -(-_TRIAL_EDGE // network.size_divisibility) * network.size_divisibility
    try:
        network.to(device)
        network.detect(torch.zeros((1, card.input_channels, edge, edge), device=device))
    except UserError:
        raise
    except Exception as error:  # whatever a model does that was never made for this
        first: Any = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"detectron2 built the network of {card.name} but it fails on an empty image ({first});"
            " give the configuration with which it was trained"
        ) from error
    finally:
        network.to("cpu")
