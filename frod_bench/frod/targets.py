"""Which layers of a model are adapted, and which of them share a basis.

Categories are named as PEFT names them, because their sorted names fix the order in which the
supports are drawn.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ..common.errors import InputError, did_you_mean
from .config import SharedSide


@dataclass(frozen=True)
class Target:
    """One layer that will be adapted.

    Attributes:
        name: dotted path in the model.
        module: the plain layer.
        block: index of the block it stands in; orders the layers of a category.
        transposed: the weight is stored (in x out), as transformers' `Conv1D` does.
        on_outputs: the basis that it shares is on its outputs, not on its inputs.
    """

    name: str
    module: nn.Module
    block: int
    transposed: bool
    on_outputs: bool = False

    @property
    def weight(self) -> Tensor:
        """The frozen weight as (out x in), m x k; a view."""
        weight = self.module.weight
        assert isinstance(weight, Tensor)
        return weight.detach().T if self.transposed else weight.detach()

    @property
    def factored(self) -> Tensor:
        """What U diag(lambda) V^T is: W, or W^T where the basis is on the outputs; a view."""
        return self.weight.T if self.on_outputs else self.weight


def find_targets(
    model: nn.Module, target_modules: list[str] | str, shared_side: SharedSide = "input"
) -> dict[str, list[Target]]:
    """Category -> its layers, in the order in which they are stacked.

    Layers of one role but of different input widths (stages of a pyramid) can't share a basis:
    such a category is split, its parts named `category@width`. The basis is on the outputs where
    `shared_side` is `smaller` and all layers have the same number of them, fewer than inputs.

    Raises:
        InputError: nothing matches, a match is not a linear layer, or a weight can't be factored.
    """
    categories = group_targets(model, target_modules, shared_side)
    for targets in categories.values():
        _check_weights(targets)
    return categories


def group_targets(
    model: nn.Module, target_modules: list[str] | str, shared_side: SharedSide = "input"
) -> dict[str, list[Target]]:
    """As `find_targets`, by names and shapes alone: weights need have no values.

    Raises:
        InputError: nothing matches, or a match is not a linear layer.
    """
    found: dict[str, list[Target]] = {}
    for name, module in _matches(model, target_modules):
        target = _as_target(name, module, fallback_block=sum(map(len, found.values())))
        found.setdefault(category_of(name), []).append(target)
    return {
        part: _on_side(
            sorted(targets, key=lambda target: target.block),  # stable: model order breaks ties
            shared_side,
        )
        for category, members in found.items()
        for part, targets in _split_by_width(category, members).items()
    }


def category_of(name: str) -> str:
    """Role of a layer, from the last two parts of its path, as PEFT names it.

    `encoder.layer.0.attention.self.query` -> `self_query`; where the last part but one is a
    number, the last part alone; the output of an attention is kept apart from the MLP's.
    """
    parts = name.split(".")
    if len(parts) == 1 or parts[-2].isdigit():
        return parts[-1]
    if parts[-3:] == ["attention", "output", "dense"]:
        return "attention_output"
    return "_".join(parts[-2:])


def block_of(name: str, fallback: int) -> int:
    """Index of the block of a layer: the number after `layers`, else the first number."""
    parts = name.split(".")
    if "layers" in parts:
        following = parts[parts.index("layers") + 1 :]
        if following and following[0].isdigit():
            return int(following[0])
    return next((int(part) for part in parts if part.isdigit()), fallback)


def is_conv1d(module: nn.Module) -> bool:
    """Whether it is transformers' `Conv1D`; told by its class, so that nothing is imported."""
    return any(
        base.__name__ == "Conv1D" and base.__module__.startswith("transformers.")
        for base in type(module).__mro__
    )


def is_plain_linear(module: nn.Module) -> bool:
    """Whether it computes x W^T + b by `nn.Linear.forward`, and not in another way.

    Quantised layers bring their own forward, or a weight of their own kind; the projection inside
    `nn.MultiheadAttention` is read by its parent and never called, so an adapter on it would do
    nothing.
    """
    return (
        isinstance(module, nn.Linear)
        and type(module).forward is nn.Linear.forward
        and type(module).__name__ != "NonDynamicallyQuantizableLinear"
        and type(module.weight) is nn.Parameter  # no subclass with a quantised inside
        and "weight" in module._parameters  # and none that is computed (parametrizations)
    )


def _matches(model: nn.Module, wanted: list[str] | str) -> Iterator[tuple[str, nn.Module]]:
    modules = [(name, module) for name, module in model.named_modules() if name]
    if isinstance(wanted, str):
        matches = [(name, module) for name, module in modules if re.fullmatch(wanted, name)]
        if not matches:
            raise InputError(
                f"target_modules={wanted!r} matches the whole name of no layer."
                f"{did_you_mean(wanted, _linear_suffixes(modules))}"
            )
        yield from matches
        return
    for suffix in wanted:
        if not any(_ends_with(name, suffix) for name, _ in modules):
            raise InputError(
                f"target_modules: no layer is named {suffix!r}."
                f"{did_you_mean(suffix, _linear_suffixes(modules))}"
            )
    yield from (
        (name, module)
        for name, module in modules
        if any(_ends_with(name, suffix) for suffix in wanted)
    )


def _ends_with(name: str, suffix: str) -> bool:
    return name == suffix or name.endswith(f".{suffix}")


def _linear_suffixes(modules: list[tuple[str, nn.Module]]) -> set[str]:
    """Last parts of the names of all layers that could be adapted."""
    return {
        name.rsplit(".", 1)[-1]
        for name, module in modules
        if is_plain_linear(module) or is_conv1d(module)
    }


def _as_target(name: str, module: nn.Module, fallback_block: int) -> Target:
    transposed = is_conv1d(module)
    if not transposed and not is_plain_linear(module):
        raise InputError(
            f"target_modules: {name!r} is a {type(module).__name__}, which can't be adapted. "
            "Targets must be plain nn.Linear or transformers Conv1D layers with a weight of their "
            "own (quantised layers have none that could be factored, parametrised ones compute it)."
        )
    return Target(name, module, block_of(name, fallback_block), transposed)


def _check_weights(targets: list[Target]) -> None:
    """Of one category: each can be factored, and all of them together."""
    first = targets[0]
    for target in targets:
        weight = target.weight
        kind, other = (f"{w.dtype} on {w.device}" for w in (weight, first.weight))
        if kind != other:
            raise InputError(
                f"The weight of {target.name!r} is {kind}, that of {first.name!r} is {other}: "
                "layers that share a basis must have one type and one device. Load the model in "
                "one type, or adapt them apart."
            )
        if weight.is_meta:
            raise InputError(
                f"The weight of {target.name!r} is on the meta device: it has a shape and no "
                "values. Load the weights before attaching."
            )
        if not weight.is_floating_point():
            raise InputError(
                f"The weight of {target.name!r} is {weight.dtype}: quantised weights can't be "
                "factored. Load the model in a floating-point type."
            )
        if weight.numel() and not bool(torch.stack(torch.aminmax(weight)).isfinite().all()):
            raise InputError(
                f"The weight of {target.name!r} has NaN or infinite values; a basis can't be "
                "computed from it. Load another checkpoint."
            )


def _split_by_width(category: str, members: list[Target]) -> dict[str, list[Target]]:
    widths = sorted({target.weight.shape[1] for target in members})
    if len(widths) == 1:
        return {category: members}
    return {
        f"{category}@{width}": [target for target in members if target.weight.shape[1] == width]
        for width in widths
    }


def _on_side(members: list[Target], shared_side: SharedSide) -> list[Target]:
    """The layers of a category, which have one input width, with the side that its basis is on."""
    rows = {target.weight.shape[0] for target in members}
    width = members[0].weight.shape[1]
    if shared_side == "input" or len(rows) > 1 or not 0 < rows.pop() < width:
        return members
    return [replace(target, on_outputs=True) for target in members]
