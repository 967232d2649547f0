"""Methods: one objective a file."""

from semiverse.methods.finetune import Finetune
from semiverse.methods.method import Method
from semiverse.methods.supervised import Supervised
from semiverse.methods.universal import Universal

__all__ = ["Finetune", "Method", "Supervised", "Universal"]
