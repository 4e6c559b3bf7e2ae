"""Find the layers of a model that are adapted, those that share a basis, and the model's heads.

Categories have the names that PEFT gives them, because the sorted names fix the order in which the
supports are drawn.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from types import MethodType
from typing import cast

import torch
from torch import Tensor, nn

from ..common.errors import InputError, did_you_mean
from .config import FrodConfig, SharedSide

# Class of torch, torchvision or transformers -> those of its layers whose weight it reads, at least
# in evaluation, instead of calling them; those that we know.
READ_BY_PARENT = {
    "TransformerEncoderLayer": ("linear1", "linear2"),
    "WavLMAttention": ("q_proj", "k_proj", "v_proj", "out_proj"),
    "ShiftedWindowAttention": ("qkv", "proj"),
    "ShiftedWindowAttentionV2": ("qkv", "proj"),
    "ShiftedWindowAttention3d": ("qkv", "proj"),
    "MambaMixer": ("x_proj", "dt_proj", "out_proj"),
    "FalconMambaMixer": ("x_proj", "dt_proj", "out_proj"),
    "JambaMambaMixer": ("dt_proj",),
}


@dataclass(frozen=True)
class Target:
    """One layer to adapt.

    Attributes:
        name: dotted path in the model.
        module: the plain layer, or transformers' `Conv1D`, which has the same attributes.
        block: index of its block, by which the layers of a category are ordered.
        transposed: whether the weight is stored as (in x out), as by transformers' `Conv1D`.
        on_outputs: whether its shared basis is on its outputs instead of its inputs.
    """

    name: str
    module: nn.Linear
    block: int
    transposed: bool
    on_outputs: bool = False

    @property
    def weight(self) -> Tensor:
        """View of the frozen weight as (out x in), m x k."""
        weight = self.module.weight.detach()
        return weight.T if self.transposed else weight

    @property
    def factored(self) -> Tensor:
        """View of the matrix that equals U diag(lambda) V^T: W, or W^T if V is on the outputs."""
        return self.weight.T if self.on_outputs else self.weight

    @property
    def width(self) -> int:
        """r, the width of V: the number of inputs, or of outputs if V is on these."""
        return self.factored.shape[1]


def find_targets(
    model: nn.Module, target_modules: list[str] | str, shared_side: SharedSide = "input"
) -> dict[str, list[Target]]:
    """Return category -> its layers in the order in which they are stacked.

    It uses names and shapes alone: weights may be on the meta device. A category with several input
    widths (stages of a pyramid) is split into `category@width`. The basis is on the outputs if
    `shared_side` is `smaller` and all layers have equally many outputs, fewer than inputs.
    """
    found: dict[str, list[Target]] = {}
    for index, (name, module) in enumerate(_matches(model, target_modules)):
        _check_layer(name, module)
        _check_parent(name, model.get_submodule(name.rpartition(".")[0]))
        transposed = not isinstance(module, nn.Linear)
        target = Target(name, cast(nn.Linear, module), block_of(name, index), transposed)
        found.setdefault(category_of(name), []).append(target)
    grouped = {}
    for category, members in found.items():
        members.sort(key=lambda target: target.block)  # stable: model order breaks ties
        widths = sorted({target.width for target in members})
        for width in widths:
            name = category if len(widths) == 1 else f"{category}@{width}"
            same_width = [target for target in members if target.width == width]
            heights = {target.weight.shape[0] for target in same_width}
            if shared_side == "smaller" and len(heights) == 1 and 0 < min(heights) < width:
                same_width = [replace(target, on_outputs=True) for target in same_width]
            grouped[name] = same_width
    return grouped


def _check_layer(name: str, module: nn.Module) -> None:
    """Raise InputError unless an adapted layer can stand for `module`."""
    if not _is_plain(module):
        raise InputError(
            f"target_modules: {name!r} is a {type(module).__name__}, which cannot be adapted. "
            "Targets must be plain nn.Linear or transformers Conv1D layers with their class's "
            "forward and an ordinary weight (neither quantized, parametrized nor sharded)."
        )
    if _has_hooks(module):
        raise InputError(
            f"target_modules: {name!r} has hooks (e.g. accelerate's, from device_map=), which "
            "the adapted layer would not call. Remove them before attaching (in accelerate: "
            "remove_hook_from_module), and add them again to the adapted layer."
        )
    own = vars(module).get("forward")
    if own not in (None, MethodType(type(module).forward, module)):  # accelerate leaves the latter
        raise InputError(
            f"target_modules: {name!r} has a forward of its own, which was assigned to the module "
            "and which the adapted layer would not call. Delete it before attaching (del "
            "module.forward), or leave the layer out."
        )


def _check_parent(name: str, parent: nn.Module) -> None:
    """Raise InputError for a layer whose parent reads its weight, and does not call it."""
    for base in type(parent).__mro__:
        is_known = base.__module__.partition(".")[0] in {"torch", "torchvision", "transformers"}
        if not is_known or name.rpartition(".")[2] not in READ_BY_PARENT.get(base.__name__, ()):
            continue
        if type(parent).forward is not getattr(base, "forward", None):
            continue  # a subclass with a way of its own
        if isinstance(parent, nn.TransformerEncoderLayer) and not parent.self_attn.batch_first:
            continue  # torch's fast path needs it
        raise InputError(
            f"target_modules: {name!r} is not always called: its {base.__name__} reads its weight "
            "(torch's own in evaluation alone), so that an adapter would have no effect there. "
            "Leave it out."
        )


def targets_of(model: nn.Module, config: FrodConfig) -> dict[str, list[Target]]:
    """Return `find_targets`; a layer with its own basis is its own category, `name#position`."""
    categories = find_targets(model, config.target_modules, config.shared_side)
    if config.basis != "svd":
        return categories
    return {
        f"{name}#{position}": [member]
        for name, members in categories.items()
        for position, member in enumerate(members)
    }


def role_of(category: str) -> str:
    """Return the name that a category's support is drawn for: `name` for `name#position`."""
    return category.partition("#")[0]


def has_form_on_inputs(config: FrodConfig, members: list[Target]) -> bool:
    """Whether these layers do without U: W (x + E x) is then at least as cheap.

    Only with an exact basis on the inputs, and not in half precision, where x + E x would round
    small changes away.
    """
    return config.basis == "exact" and all(
        not target.on_outputs
        and target.weight.shape[0] > 2 * target.width
        and target.weight.dtype.itemsize >= torch.float32.itemsize
        for target in members
    )


def category_of(name: str) -> str:
    """Return the role of a layer as PEFT names it, from the last two parts of its path.

    E.g. `encoder.layer.0.attention.self.query` -> `self_query`; the last part alone if the one
    before is a number; the output of an attention is distinguished from that of an MLP.
    """
    parts = name.split(".")
    if len(parts) == 1 or parts[-2].isdigit():
        return parts[-1]
    if parts[-3:] == ["attention", "output", "dense"]:
        return "attention_output"
    return "_".join(parts[-2:])


def block_of(name: str, fallback: int) -> int:
    """Return the index of a layer's block: the number after `layers`, else the first number."""
    parts = name.split(".")
    if "layers" in parts:
        following = parts[parts.index("layers") + 1 :]
        if following and following[0].isdigit():
            return int(following[0])
    return next((int(part) for part in parts if part.isdigit()), fallback)


def _linear_class(module: nn.Module) -> type[nn.Module] | None:
    """Return `nn.Linear` or transformers' `Conv1D` (by name, without its import), if it is one."""
    for base in type(module).__mro__:
        is_conv1d = base.__name__ == "Conv1D" and base.__module__.startswith("transformers.")
        if base is nn.Linear or is_conv1d:
            return base
    return None


def _is_plain(module: nn.Module) -> bool:
    """Whether it computes x W^T + b, or x W + b, by its class's forward from a plain parameter.

    Quantized layers do not. The projection inside `nn.MultiheadAttention` is read by its parent and
    never called, so that an adapter on it would have no effect.
    """
    plain = _linear_class(module)
    return (
        plain is not None
        and type(module).forward is plain.forward
        and type(module).__name__ != "NonDynamicallyQuantizableLinear"
        and type(module.weight) is nn.Parameter  # not a quantized subclass
        and "weight" in module._parameters  # not computed by a parametrization
    )


def _has_hooks(module: nn.Module) -> bool:
    """Whether the module has hooks, which an adapted layer in its place would not call."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return hasattr(module, "_hf_hook") or any(getattr(module, kind) for kind in kinds)


def _matches(model: nn.Module, wanted: list[str] | str) -> list[tuple[str, nn.Module]]:
    """Return the named modules that `wanted` selects, in model order."""
    modules = [(name, module) for name, module in model.named_modules() if name]
    adaptable = {name.rsplit(".", 1)[-1] for name, module in modules if _is_plain(module)}
    if isinstance(wanted, str):
        matches = [(name, module) for name, module in modules if re.fullmatch(wanted, name)]
        if not matches:
            raise InputError(
                f"target_modules={wanted!r} does not match the full name of any layer."
                f"{did_you_mean(wanted, adaptable)}"
            )
        return matches
    for suffix in wanted:
        if not any(f".{name}".endswith(f".{suffix}") for name, _ in modules):
            raise InputError(
                f"target_modules: no layer is named {suffix!r}.{did_you_mean(suffix, adaptable)}"
            )
    suffixes = tuple(f".{suffix}" for suffix in wanted)
    return [(name, module) for name, module in modules if f".{name}".endswith(suffixes)]


def check_weights(targets: list[Target]) -> None:
    """Raise InputError unless the weights of a category can be factored together."""
    first = targets[0]
    for target in targets:
        weight, problem = target.weight, ""
        kind, other = (f"{w.dtype} on {w.device}" for w in (weight, first.weight))
        if kind != other:
            problem = (
                f"is {kind}, that of {first.name!r} is {other}: layers that share a basis must "
                "have the same type and device. Load the model in one type, or adapt these layers "
                "separately."
            )
        elif weight.is_meta:
            problem = "is on the meta device and has no values. Load the weights before attaching."
        elif not weight.is_floating_point():
            problem = (
                f"is {weight.dtype}: quantized weights cannot be factored. Load the model in a "
                "floating-point type."
            )
        elif weight.numel() and not bool(torch.stack(torch.aminmax(weight)).isfinite().all()):
            problem = (
                "has NaN or infinite values, from which no basis can be computed. Load another "
                "checkpoint."
            )
        if problem:
            raise InputError(f"The weight of {target.name!r} {problem}")


def head_parameters(model: nn.Module, targets: Collection[nn.Module]) -> set[nn.Parameter]:
    """Return the parameters outside the body that contains the target layers.

    docs/explanation/method.md (section 7) defines a head. Parameters of a target, and those shared
    with the body (tied embeddings), belong to the body.
    """
    parts = [model, *(part for part in model.modules() if _is_transformers(part))]
    heads = {child for part in parts for child in _heads(part, part is model, targets)}
    inside: set[nn.Parameter] = set()
    outside: set[nn.Parameter] = set()

    def sort(module: nn.Module, in_head: bool) -> None:
        in_head = (in_head or module in heads) and module not in targets
        (inside if in_head else outside).update(module.parameters(recurse=False))
        for child in module.children():
            sort(child, in_head)

    sort(model, in_head=False)
    return inside - outside


def _heads(part: nn.Module, is_whole: bool, targets: Collection[nn.Module]) -> list[nn.Module]:
    """Return the children of `part` that are heads."""
    children = list(part.children())
    if _is_transformers(part):
        body = getattr(part, str(part.base_model_prefix), None)
        if isinstance(body, nn.Module):
            others = [child for child in children if body not in child.modules()]
            return others if _has_target(body, targets) else []
        # transformers names models with heads like RobertaForMaskedLM, unlike Mask2FormerModel
        may_have_head = re.search("For[A-Z]", type(part).__name__) is not None
    else:
        may_have_head = is_whole
    adapted = [index for index, child in enumerate(children) if _has_target(child, targets)]
    if not may_have_head or not adapted:
        return []
    following = children[adapted[-1] + 1 :]
    if isinstance(part, nn.Sequential | nn.ModuleList):  # the others may be blocks
        following = following[-1:]
    return [
        child
        for child in following
        if any(isinstance(inner, nn.Linear) for inner in child.modules())
    ]


def _is_transformers(module: nn.Module) -> bool:
    """Whether it is a `PreTrainedModel`, recognized by an attribute to avoid the import."""
    return bool(getattr(module, "base_model_prefix", ""))


def _has_target(module: nn.Module, targets: Collection[nn.Module]) -> bool:
    return any(inner in targets for inner in module.modules())
