"""Networks: encoders, decoders, label embeddings and the segmentation model that holds them."""

from semiverse.models.batch_norm import DomainBatchNorm2d, convert_batch_norm, select_group
from semiverse.models.checkpoints import KeyReport, load_weights, read_tensors
from semiverse.models.decoder import build_decoder
from semiverse.models.drn import DilatedResidualNetwork
from semiverse.models.encoder import Encoder, build_encoder
from semiverse.models.label_embeddings import LabelEmbeddings
from semiverse.models.model import ModelConfig, Network, SegmentationModel

__all__ = [
    "DilatedResidualNetwork",
    "DomainBatchNorm2d",
    "Encoder",
    "KeyReport",
    "LabelEmbeddings",
    "ModelConfig",
    "Network",
    "SegmentationModel",
    "build_decoder",
    "build_encoder",
    "convert_batch_norm",
    "load_weights",
    "read_tensors",
    "select_group",
]
