"""Methods: one objective a file."""

from semiverse.methods.finetune import Finetune
from semiverse.methods.label_rows import LabelRowOptions
from semiverse.methods.method import Method
from semiverse.methods.supervised import Supervised
from semiverse.methods.universal import Universal

__all__ = ["Finetune", "LabelRowOptions", "Method", "Supervised", "Universal"]
