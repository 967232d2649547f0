"""Batch norm folded into the convolutions before it: the same network in evaluation, with fewer passes over memory."""

from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from semiverse.models.batch_norm import DomainBatchNorm2d


def fold_batch_norm(network: nn.Module, example: Tensor) -> nn.Module:
    """Fold every batch norm that normalises what one convolution gives to it alone, with the group selected now.

    One pass shows what flows where, so that networks of any library fold. Activations inside a batch norm stay.

    Args:
        network: In evaluation mode; changed in place, and of no use for training afterwards.
        example: What it takes, as small as you like; its values do not matter.

    Returns:
        The same network.
    """
    flow = _Flow(network)
    with torch.no_grad(), flow:
        network(example)
    flow.close()
    names = {module: name for name, module in network.named_modules()}
    for norm, convolution in flow.pairs():
        _fold(convolution, norm)
        network.set_submodule(names[norm], nn.Sequential(norm.drop, norm.act))
    return network


class _Flow(TorchFunctionMode):
    """Watches a pass: which convolution a batch norm's input comes from, and how often it is used."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._outputs: dict[int, tuple[Tensor, nn.Conv2d]] = {}  # kept alive, so that no other has their address
        self._inputs: list[tuple[DomainBatchNorm2d, int]] = []
        self._uses: Counter[int] = Counter()
        self._calls: Counter[nn.Module] = Counter()
        self._hooks = [
            module.register_forward_hook(self._note)
            for module in network.modules()
            if isinstance(module, nn.Conv2d | DomainBatchNorm2d)
        ]

    def _note(self, module: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
        self._calls[module] += 1
        if isinstance(module, nn.Conv2d):
            self._outputs[id(out)] = (out, module)
            self._uses[id(out)] = 0  # of a tensor that had this address before
        else:
            self._inputs.append((cast(DomainBatchNorm2d, module), id(given[0])))

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:  # noqa: ANN401  (whatever torch's functions take and give)
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor | tuple | list):
            given = [*args, *(kwargs or {}).values()]
            flat = [one for value in given for one in (value if isinstance(value, tuple | list) else [value])]
            self._uses.update(id(one) for one in flat if isinstance(one, Tensor))
        return result

    def close(self) -> None:
        """Watch no longer."""
        for hook in self._hooks:
            hook.remove()

    def pairs(self) -> list[tuple[DomainBatchNorm2d, nn.Conv2d]]:
        """Batch norms with the convolution that they can be folded into."""
        found = []
        for norm, source in self._inputs:
            convolution = self._outputs[source][1] if source in self._outputs else None
            if convolution is not None and self._uses[source] == self._calls[norm] == self._calls[convolution] == 1:
                found.append((norm, convolution))
        return found


@torch.no_grad()
def _fold(convolution: nn.Conv2d, norm: DomainBatchNorm2d) -> None:
    mean, variance = (value[norm.group].double() for value in (norm.running_mean, norm.running_var))
    scale = torch.rsqrt(variance + norm.eps)
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    bias = -mean if convolution.bias is None else convolution.bias.double() - mean
    bias = bias * scale
    if norm.bias is not None:
        bias = bias + norm.bias.double()
    weight = convolution.weight
    folded = (weight.double() * scale[:, None, None, None]).to(weight)
    convolution.weight = nn.Parameter(folded, requires_grad=False)
    convolution.bias = nn.Parameter(bias.to(weight), requires_grad=False)
