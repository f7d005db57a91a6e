"""Architectures as nested trees that read like the networks, so that a card can hold them.

Torch-free on purpose: the viewer shows cards without torch. A new trunk or family is one file here,
one line in `trunks` or `architecture`, and one line in `nn.trunks.build` or `nn.build`.
"""

from napari_sartorius.nn.config.architecture import Architecture, read_architecture
from napari_sartorius.nn.config.cascade import CascadeMaskRCNNConfig, CascadeStageConfig
from napari_sartorius.nn.config.centermask import (
    AreaPoolerConfig,
    AttentiveMaskHeadConfig,
    CenterMaskConfig,
    MaskIoUHeadConfig,
    TopPyramidConfig,
)
from napari_sartorius.nn.config.classifier import ClassifierTrunkConfig, ImageClassifierConfig
from napari_sartorius.nn.config.detectron2 import Detectron2Config, Detectron2Trunk
from napari_sartorius.nn.config.fcos import FCOSConfig
from napari_sartorius.nn.config.heads import BoxHeadConfig, MaskHeadConfig, PoolerConfig
from napari_sartorius.nn.config.htc import HTCConfig, SemanticConfig
from napari_sartorius.nn.config.mask_rcnn import MaskRCNNConfig
from napari_sartorius.nn.config.points import PointHeadConfig
from napari_sartorius.nn.config.proposals import ProposalConfig
from napari_sartorius.nn.config.pyramid import PyramidConfig
from napari_sartorius.nn.config.resnest import ResNeStConfig
from napari_sartorius.nn.config.solov2 import (
    GridConfig,
    GridHeadConfig,
    MaskFeatureConfig,
    MatrixNMSConfig,
    SOLOv2Config,
)
from napari_sartorius.nn.config.timm_trunk import TrunkConfig
from napari_sartorius.nn.config.trunks import AnyTrunk
from napari_sartorius.nn.config.vovnet import VoVNetConfig

__all__ = [
    "AnyTrunk",
    "Architecture",
    "AreaPoolerConfig",
    "AttentiveMaskHeadConfig",
    "BoxHeadConfig",
    "CascadeMaskRCNNConfig",
    "CascadeStageConfig",
    "CenterMaskConfig",
    "ClassifierTrunkConfig",
    "Detectron2Config",
    "Detectron2Trunk",
    "FCOSConfig",
    "GridConfig",
    "GridHeadConfig",
    "HTCConfig",
    "ImageClassifierConfig",
    "MaskFeatureConfig",
    "MaskHeadConfig",
    "MaskIoUHeadConfig",
    "MaskRCNNConfig",
    "MatrixNMSConfig",
    "PointHeadConfig",
    "PoolerConfig",
    "ProposalConfig",
    "PyramidConfig",
    "ResNeStConfig",
    "SOLOv2Config",
    "SemanticConfig",
    "TopPyramidConfig",
    "TrunkConfig",
    "VoVNetConfig",
    "read_architecture",
]
