"""Methods: one objective a file."""

from semiverse.embeddings.sources import LabelRowOptions
from semiverse.methods.adaptation import Adaptation
from semiverse.methods.adversarial import Adversarial
from semiverse.methods.finetune import Finetune
from semiverse.methods.latent import Latent
from semiverse.methods.method import Method
from semiverse.methods.supervised import Supervised
from semiverse.methods.universal import Universal

__all__ = ["Adaptation", "Adversarial", "Finetune", "LabelRowOptions", "Latent", "Method", "Supervised", "Universal"]
