"""Networks: encoders, decoders, label embeddings and the segmentation model that holds them."""

from semiverse.models.batch_norm import DomainBatchNorm2d, convert_batch_norm, select_group
from semiverse.models.config import ModelConfig
from semiverse.models.decoder import build_decoder
from semiverse.models.deeplab import DeepLabResNet101, SummedAspp
from semiverse.models.dense import dense_convolution
from semiverse.models.depthwise import quicker_with_channels_last
from semiverse.models.discriminator import Discriminator
from semiverse.models.domain_statistics import DomainStatistics
from semiverse.models.drn import DilatedResidualNetwork
from semiverse.models.encoder import Encoder, build_encoder
from semiverse.models.folding import fold_batch_norm
from semiverse.models.label_embeddings import LabelEmbeddings
from semiverse.models.latent_branch import LatentBranch
from semiverse.models.model import SegmentationModel
from semiverse.models.network import Network, build_head
from semiverse.models.precision import computes_in, warn_of_slow_halves
from semiverse.models.published import KeyReport, load_weights, read_tensors

__all__ = [
    "DeepLabResNet101",
    "DilatedResidualNetwork",
    "Discriminator",
    "DomainBatchNorm2d",
    "DomainStatistics",
    "Encoder",
    "KeyReport",
    "LabelEmbeddings",
    "LatentBranch",
    "ModelConfig",
    "Network",
    "SegmentationModel",
    "SummedAspp",
    "build_decoder",
    "build_encoder",
    "build_head",
    "computes_in",
    "convert_batch_norm",
    "dense_convolution",
    "fold_batch_norm",
    "load_weights",
    "quicker_with_channels_last",
    "read_tensors",
    "select_group",
    "warn_of_slow_halves",
]
