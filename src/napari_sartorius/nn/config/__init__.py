"""Architectures as nested trees that read like the networks, so that a card can hold them.

Torch-free on purpose: the viewer shows cards without torch. A new trunk or family is one file here,
one line in `trunks` or `architecture`, and one line in `nn.trunks.build` or `nn.build`.
"""

from napari_sartorius.nn.config.architecture import Architecture, read_architecture
from napari_sartorius.nn.config.cascade import CascadeMaskRCNNConfig, CascadeStageConfig
from napari_sartorius.nn.config.detectron2 import Detectron2Config, Detectron2Trunk
from napari_sartorius.nn.config.heads import BoxHeadConfig, MaskHeadConfig, PoolerConfig
from napari_sartorius.nn.config.mask_rcnn import MaskRCNNConfig
from napari_sartorius.nn.config.proposals import ProposalConfig
from napari_sartorius.nn.config.pyramid import PyramidConfig
from napari_sartorius.nn.config.resnest import ResNeStConfig
from napari_sartorius.nn.config.timm_trunk import TrunkConfig
from napari_sartorius.nn.config.trunks import AnyTrunk
from napari_sartorius.nn.config.vovnet import VoVNetConfig

__all__ = [
    "AnyTrunk",
    "Architecture",
    "BoxHeadConfig",
    "CascadeMaskRCNNConfig",
    "CascadeStageConfig",
    "Detectron2Config",
    "Detectron2Trunk",
    "MaskHeadConfig",
    "MaskRCNNConfig",
    "PoolerConfig",
    "ProposalConfig",
    "PyramidConfig",
    "ResNeStConfig",
    "TrunkConfig",
    "VoVNetConfig",
    "read_architecture",
]
