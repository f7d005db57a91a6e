"""Makes a bundle of any instance segmentation model of detectron2, which goes on running it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.normalise import Normalisation
from napari_sartorius.core.progress import Monitor
from napari_sartorius.nn.config import Detectron2Config, Detectron2Trunk
from napari_sartorius.zoo.card import InputSize
from napari_sartorius.zoo.checkpoints.checkpoint_format import ImportedNetwork
from napari_sartorius.zoo.checkpoints.importing import (
    ImportedModel,
    about_the_card,
    checksum,
    make_card,
    no_usable_network,
    refuse_taken,
    save_imported,
    wished_name,
)
from napari_sartorius.zoo.checkpoints.reading import read_checkpoint
from napari_sartorius.zoo.checkpoints.report import ImportReport
from napari_sartorius.zoo.detectron2_engine.available import installed_version, require_detectron2
from napari_sartorius.zoo.detectron2_engine.build import (
    BY_REGIONS,
    build_original,
    classes_of,
    complete,
    refuse_other_tasks,
    without_the_rest,
)
from napari_sartorius.zoo.detectron2_engine.configuration import read_configuration
from napari_sartorius.zoo.detectron2_engine.loading import look_once, wrap
from napari_sartorius.zoo.detectron2_engine.weights import fit_original
from napari_sartorius.zoo.folders import user_models_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sartorius.zoo.detectron2_engine.configuration import Configuration

_CITATION = "detectron2 (Wu et al. 2019, https://github.com/facebookresearch/detectron2)"
_SCORE = "MODEL.ROI_HEADS.SCORE_THRESH_TEST"
_CHOSEN_LATER = {
    "MODEL.ROI_HEADS.NMS_THRESH_TEST": "chosen when segmenting (box_nms)",
    "TEST.DETECTIONS_PER_IMAGE": "chosen when segmenting (max_objects_per_tile)",
}


def import_with_detectron2(
    checkpoint: str | Path,
    *,
    config: str | Path | None,
    name: str | None = None,
    categories: Sequence[str] | None = None,
    cell_diameter: float | None = None,
    folder: str | Path | None = None,
    monitor: Monitor | None = None,
) -> ImportedModel:
    """Turn a detectron2 model into a bundle whose network detectron2 builds and runs.

    Needed for networks that this package does not have itself (C4 and DC5 heads, ResNeXt,
    deformable convolutions, GIoU heads, ...). Nothing in the checkpoint or the configuration is
    executed. The bundle appears only when every tensor fits and the model has looked at an image.

    Parameters
    ----------
    checkpoint
        ``.pth`` or ``.pkl``.
    config
        The ``config.yaml`` of the training run, or a YAML of detectron2's model zoo with its bases.
        None is refused: shapes alone do not tell these networks.
    name, categories, cell_diameter, folder, monitor
        As in `napari_sartorius.zoo.checkpoints.import_checkpoint`.

    Raises
    ------
    UserError
        When detectron2 is missing, a file cannot be read, the two do not belong together, the
        model finds something else than objects with masks, or the name is taken.
    """
    require_detectron2()
    monitor = monitor or Monitor()
    path = Path(checkpoint)
    if config is None:
        raise UserError(
            "the detectron2 engine needs the configuration of the training run, which describes "
            f"the network of {path.name}: give it with --config config.yaml"
        )
    target_name = wished_name(path, name)
    place = Path(folder) if folder is not None else user_models_folder()
    refuse_taken(target_name, place, everywhere=folder is None)
    said = read_configuration(Path(config))
    cfg, settings = complete(said.content, str(said.path))
    refuse_other_tasks(cfg, str(said.path))
    monitor.progress("read", 0.0)
    weights = read_checkpoint(path)
    monitor.check()
    try:
        network = _describe(path, said, cfg, weights)
        card = make_card(
            path, target_name, network, _title(cfg), _CITATION, categories, cell_diameter
        )
    except ValidationError as error:
        raise no_usable_network(said.path, error) from error
    monitor.progress("build", 0.3)
    original = build_original(cfg, str(said.path))
    state, notes = fit_original(path, weights, original)
    monitor.check()
    monitor.progress("try", 0.5)
    look_once(wrap(original, target_name), card)
    monitor.check()
    report = ImportReport(
        source=path.name,
        source_sha256=checksum(path),
        tensors=tuple(notes),
        assumptions=tuple(about_the_card(card, network, cell_diameter)),
        settings=settings | {k: v for k, v in _CHOSEN_LATER.items() if said.says(k)},
    )
    monitor.progress("write", 0.8)
    imported = save_imported(place / target_name, card, state, report)
    monitor.progress("write", 1.0)
    return imported


def _describe(
    path: Path, said: Configuration, cfg: Any, weights: Mapping[str, NDArray[Any]]
) -> ImportedNetwork:
    channels = len(cfg.MODEL.PIXEL_MEAN)
    short, long = int(cfg.INPUT.MIN_SIZE_TEST), int(cfg.INPUT.MAX_SIZE_TEST)
    return ImportedNetwork(
        architecture=Detectron2Config(
            num_classes=classes_of(cfg),
            trunk=Detectron2Trunk(in_channels=3 if channels == 3 else 1),
            configuration=without_the_rest(said.content),
            version=installed_version(),
        ),
        normalisation=Normalisation(
            method="fixed",
            mean=_constant(path, said, weights, "mean", cfg.MODEL.PIXEL_MEAN),
            std=_constant(path, said, weights, "std", cfg.MODEL.PIXEL_STD),
            channel_order="RGB" if cfg.INPUT.FORMAT == "L" else cfg.INPUT.FORMAT,
        ),
        input_size=InputSize(short_edge=short, long_edge=long) if short > 0 else None,
        score=float(cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST) if said.says(_SCORE) else None,
        assumptions=(),
    )


def _constant(
    path: Path,
    said: Configuration,
    weights: Mapping[str, NDArray[Any]],
    name: str,
    configured: Sequence[float],
) -> float | tuple[float, float, float]:
    """A mean or deviation of the configuration, which a stored one must not contradict."""
    values = np.array(configured, np.float64)
    stored = weights.get(f"pixel_{name}")
    if stored is not None and stored.size == values.size:
        apart = not np.allclose(stored.ravel(), values, rtol=1e-3, atol=1e-3)
        if apart and said.says(f"MODEL.PIXEL_{name.upper()}"):
            raise UserError(
                f"{said.path}: MODEL.PIXEL_{name.upper()} is not the one stored in {path}; give "
                "the configuration with which this checkpoint was trained"
            )
        if apart:
            values = np.array(stored.ravel(), np.float64).round(5)
    if not np.isfinite(values).all() or (name == "std" and (values <= 0).any()):
        raise UserError(
            f"{said.path}: MODEL.PIXEL_{name.upper()} is {values.tolist()}, expected finite "
            "numbers (above 0 for deviations); correct the configuration"
        )
    if values.size == 1:
        return float(values[0])
    return float(values[0]), float(values[1]), float(values[2])


def _title(cfg: Any) -> str:
    """What a model is and needs, in words."""
    model = cfg.MODEL
    parts = ""
    if model.META_ARCHITECTURE in BY_REGIONS:
        parts = f" ({model.ROI_HEADS.NAME}, {model.ROI_MASK_HEAD.NAME})"
    return f"{model.META_ARCHITECTURE}{parts} run by detectron2, which must be installed"
