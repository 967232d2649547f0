"""Methods: one objective a file."""

from semiverse.methods.adaptation import Adaptation
from semiverse.methods.adversarial import Adversarial
from semiverse.methods.consistency import Consistency
from semiverse.methods.finetune import Finetune
from semiverse.methods.latent import Latent
from semiverse.methods.method import Curve, Method, Opponent, Role
from semiverse.methods.optimizer import Optimizer
from semiverse.methods.supervised import Supervised
from semiverse.methods.universal import Universal

__all__ = [
    "Adaptation",
    "Adversarial",
    "Consistency",
    "Curve",
    "Finetune",
    "Latent",
    "Method",
    "Opponent",
    "Optimizer",
    "Role",
    "Supervised",
    "Universal",
]
