"""A method's configuration -> a prepared model with named parameter groups.

A method changes the backbone only. Every parameter that requires a gradient belongs to exactly one
group, and every group has a learning rate, so that the optimizer leaves no parameter out.
"""

import copy
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from peft import PEFT_TYPE_TO_TUNER_MAPPING, get_peft_model, inject_adapter_in_model
from torch import Tensor, nn
from torch.nn import Parameter
from transformers import PreTrainedModel

from frod_bench.common.errors import DoesNotFitError, InputError, did_you_mean
from frod_bench.config.callables import load_callable, source_hash
from frod_bench.config.settings import BackboneConfig, MethodConfig
from frod_bench.frod import (
    FrodConfig,
    FrodLinear,
    adapter_probes,
    attach_frod,
    check_adapter_probes,
    decay_to_zero,
    frod_parameters,
)
from frod_bench.frod.core import CorePattern
from frod_bench.methods.conditioning import scale_steps, scales_of
from frod_bench.methods.peft_adapter import peft_adapter
from frod_bench.models.classifier import Classifier
from frod_bench.models.multiple_choice import MultipleChoice

Model = Classifier | MultipleChoice
# What PEFT raises for arguments of odd types and values, which it does not check itself.
REFUSALS = (
    ValueError,
    TypeError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    LookupError,
    NotImplementedError,
)
MOST_BACKBONES = 16  # times the backbone's values that an adapter may train
Groups = dict[str, list[Parameter]]
Applier = Callable[[Model, MethodConfig, BackboneConfig, int], Groups]


@dataclass(frozen=True)
class Prepared:
    """A model that is ready for training."""

    model: Model
    groups: Groups  # name -> trainable parameters
    params: dict[str, int | float]  # `params` of the record: see `count_parameters`


def prepare(
    model: Model,
    method: MethodConfig,
    backbone: BackboneConfig,
    seed: int,
    appliers: Mapping[str, Applier] | None = None,
) -> Prepared:
    """Apply `method` to the model's backbone, in place.

    Raises InputError if the target modules do not fit the backbone, the groups do not contain every
    trainable parameter once, or the learning rates do not name exactly the groups.
    """
    pretrained = model.pretrained_parameters()
    buffers_before = buffer_numbers(model)
    check_targets(model.backbone, backbone)
    groups = (appliers or APPLIERS)[method.kind](model, method, backbone, seed)
    check_groups(model, method, groups)
    if head := model.head_parameters():
        groups["head"] = head
    check_learning_rates(method, groups)
    extra = buffer_numbers(model) - buffers_before
    return Prepared(model, groups, count_parameters(model, groups, pretrained, extra))


def sketches_of(model: Model, method: MethodConfig) -> dict[str, Tensor]:
    """Return small tensors that identify what a method computes and does not train."""
    return adapter_probes(model.backbone) if method.kind == "frod" else {}


def check_sketches(model: Model, method: MethodConfig, kept: Mapping[str, Tensor]) -> None:
    """Raise InputError unless the model's frozen parts are those that `kept` identifies."""
    if method.kind == "frod":
        check_adapter_probes(model.backbone, kept)


def check_targets(backbone: PreTrainedModel, config: BackboneConfig) -> None:
    """Raise InputError unless the target modules are linear layers, in the configured number."""
    found = matching(backbone, config.target_modules)
    nonlinear = [name for name, module in found.items() if not isinstance(module, nn.Linear)]
    blocks = backbone.config.num_hidden_layers
    expected = config.modules_per_block * blocks
    if nonlinear or len(found) != expected:
        raise InputError(
            f"backbone.target_modules={list(config.target_modules)} match {len(found)} modules of "
            f"{config.name} ({len(nonlinear)} of them not linear), expected {expected} linear ones "
            f"({config.modules_per_block} in each of {blocks} blocks). {_linear_names(backbone)}"
        )


def check_own_targets(backbone: PreTrainedModel, targets: Sequence[str]) -> None:
    """Raise InputError unless each of a method's own targets is a linear layer in every block."""
    is_list = isinstance(targets, Sequence) and not isinstance(targets, str)
    if not (is_list and targets and all(isinstance(one, str) and one for one in targets)):
        raise InputError(
            f"method.peft.target_modules={targets}: must be a list of names of layers. "
            f"{_linear_names(backbone)}"
        )
    for target in targets:
        found = list(matching(backbone, [target]).values())
        blocks = backbone.config.num_hidden_layers
        if not found or len(found) % blocks or not all(isinstance(m, nn.Linear) for m in found):
            raise InputError(
                f"method.peft.target_modules: {target!r} matches {len(found)} modules of the "
                f"backbone, expected a linear one in each of {blocks} blocks. "
                f"{_linear_names(backbone)}"
            )


def matching(backbone: nn.Module, targets: Sequence[str]) -> dict[str, nn.Module]:
    """Return the modules whose name is, or ends with, one of the dotted names `targets`."""
    suffixes = "|".join(re.escape(name) for name in targets)
    pattern = re.compile(rf"(?:.*\.)?(?:{suffixes})")
    return {name: module for name, module in backbone.named_modules() if pattern.fullmatch(name)}


def _linear_names(backbone: nn.Module) -> str:
    linear = {n.split(".")[-1] for n, m in backbone.named_modules() if isinstance(m, nn.Linear)}
    return f"Its linear layers are called {', '.join(sorted(linear))}."


def apply_full(model: Model, _method: MethodConfig, _config: BackboneConfig, _seed: int) -> Groups:
    """Train every weight of the backbone, and the head of a language model."""
    pretrained = model.pretrained_parameters()
    for parameter in pretrained:
        parameter.requires_grad_(True)
    return {"backbone": pretrained}


def apply_frozen(
    model: Model, _method: MethodConfig, _config: BackboneConfig, _seed: int
) -> Groups:
    """Freeze the whole backbone: the head-only baseline."""
    model.backbone.requires_grad_(False)
    return {}


def apply_bitfit(model: Model, method: MethodConfig, config: BackboneConfig, _seed: int) -> Groups:
    """Train the biases of the backbone, including those of its norms (BitFit, arXiv 2106.10199)."""
    model.backbone.requires_grad_(False)
    named = model.backbone.named_parameters()
    biases = [p for name, p in named if name.rpartition(".")[2] == "bias"]
    if not biases:
        raise DoesNotFitError(
            f"method={method.name}: trains biases, but the backbone {config.name} has none. "
            "Choose another method, or tasks of a family whose backbone has biases."
        )
    for bias in biases:
        bias.requires_grad_(True)
    return {"bias": biases}


def apply_peft(model: Model, method: MethodConfig, config: BackboneConfig, _seed: int) -> Groups:
    """Add the adapter that `method.peft` describes: LoRA, DoRA and the others of PEFT.

    If its layers share state (PEFT's FRoD, VeRA), PEFT refuses to inject it into the backbone, and
    its wrapper around the backbone holds that state instead.
    """
    arguments = copy.deepcopy(dict(method.peft))  # PEFT may change its arguments
    own = arguments.pop("target_modules", None)
    if own is not None:
        check_own_targets(model.backbone, own)
    adapter = peft_adapter(arguments, list(own or config.target_modules))
    most = MOST_BACKBONES * sum(p.numel() for p in model.pretrained_parameters())
    try:
        if PEFT_TYPE_TO_TUNER_MAPPING[adapter.peft_type].uses_shared_state:
            with warnings.catch_warnings():  # PEFT uses old names of transformers
                warnings.simplefilter("ignore", FutureWarning)
                model.backbone = get_peft_model(model.backbone, adapter)
        else:
            inject_adapter_in_model(adapter, model.backbone)
    except REFUSALS as error:
        if isinstance(error, NotImplementedError) and "meta" in str(error).lower():
            raise  # torch's: the method reads values, and the plan's model has none
        raise InputError(
            f"method.peft: PEFT refuses {method.peft} ({error}). Change the argument that it names."
        ) from error
    except RuntimeError as error:
        if "allocate" not in str(error).lower():
            raise
        raise InputError(
            f"method.peft: {method.peft} needs more memory than this machine has. Choose a smaller "
            "rank."
        ) from error
    trained = [p for p in model.backbone.parameters() if p.requires_grad]
    if (count := sum(p.numel() for p in trained)) > most:
        raise InputError(
            f"method.peft: {method.peft} trains {count:,} values. At most {most:,} are allowed, "
            f"{MOST_BACKBONES} times the backbone's. Choose a smaller rank."
        )
    return {"adapter": trained}


def apply_frod(model: Model, method: MethodConfig, config: BackboneConfig, seed: int) -> Groups:
    """Attach FRoD; the cell's seed draws the support, so that seeds differ in it too.

    The joint basis is computed anew. With the cache it would cost only the first cell of a sweep,
    and every comparison charges set-up seconds to the method.
    """
    attach_frod(model.backbone, frod_config(method, config, seed), use_cache=False)
    if method.released_output:
        release_output(model.backbone)
    return dict(frod_parameters(model.backbone))


def adapt_steps(model: Model, method: MethodConfig, optimizer: torch.optim.Optimizer) -> None:
    """Let the optimizer's steps be what `method.decay` and `method.rotation_scale` say."""
    optimizer = getattr(optimizer, "optimizer", optimizer)  # accelerate wraps it
    if method.kind == "frod" and method.decay == "zero":
        decay_to_zero(model.backbone, optimizer)
    if scales := step_scales(model, method):
        scale_steps(optimizer, scales)


def step_scales(model: Model, method: MethodConfig) -> dict[Parameter, Tensor]:
    """Return, for parameters whose steps are scaled entry by entry, the factors on them."""
    if method.kind != "frod" or method.rotation_scale == "none":
        return {}
    return scales_of(model.backbone)


@torch.no_grad()
def release_output(model: nn.Module) -> None:
    """Give FRoD's layers the output of its released code: y = W x + U (diag(lambda) + S^T) V^T x.

    The released code adds the adapter to the frozen layer, although U, lambda and V^T already
    reconstruct W. Before the first step its output is therefore 2 W x (docs/explanation/method.md,
    section 5). In exact arithmetic, this is our layer over twice the weight, with the support
    transposed. Such a layer cannot be unmerged.
    """
    layers = [module for module in model.modules() if isinstance(module, FrodLinear)]
    for shared in dict.fromkeys(layer.shared for layer in layers):
        row, column = shared.support // shared.width, shared.support % shared.width
        transposed = (column * shared.width + row).sort().values
        shared.pattern = CorePattern(shared.width, transposed).to(shared.V.device)
    for layer in layers:
        layer.hold_U()  # U is the given weight's
        layer.weight.mul_(2)  # exact in every type


def frod_config(method: MethodConfig, config: BackboneConfig, seed: int) -> FrodConfig:
    """Return FRoD's settings for a backbone."""
    return FrodConfig(
        target_modules=list(config.target_modules),
        sparse_rate=method.sparse_rate,
        regularization=method.regularization,
        basis=method.basis,  # type: ignore[arg-type]  # checked by settings.validate
        shared_side=method.shared_side,  # type: ignore[arg-type]  # checked there too
        seed=seed,
    )


def apply_python(model: Model, method: MethodConfig, config: BackboneConfig, seed: int) -> Groups:
    """Call the user's own function (docs/reference/methods.md)."""
    assert method.apply is not None  # settings.validate
    if method.source not in (None, source_hash(method.apply)):
        raise InputError(
            f"method.apply={method.apply}: its file is no longer the one that the cell was planned "
            "or trained with. Restore that file, or start the command again."
        )
    returned = load_callable(method.apply)(model, method, config, seed)
    if not isinstance(returned, Mapping) or not returned:
        raise InputError(
            f"method.apply={method.apply}: must return a mapping of group names to lists of "
            f"parameters, but returned {type(returned).__name__}."
        )
    return {str(name): list(parameters) for name, parameters in returned.items()}


APPLIERS: dict[str, Applier] = {
    "full": apply_full,
    "frozen": apply_frozen,
    "bitfit": apply_bitfit,
    "peft": apply_peft,
    "frod": apply_frod,
    "python": apply_python,
}


def check_groups(model: Model, method: MethodConfig, groups: Groups) -> None:
    """Raise InputError unless each trainable parameter but the head's is once in the groups."""
    about = f"method.apply={method.apply}" if method.apply else f"method={method.name}"
    if refused := [name for name, group in groups.items() if not group or name == "head"]:
        raise InputError(
            f"{about}: the group {refused[0]!r} is empty, or is the head, which the suite adds "
            "itself. Leave it out."
        )
    head = set(map(id, model.head_parameters()))
    trained = {
        id(parameter): name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and id(parameter) not in head
    }
    grouped = [id(parameter) for group in groups.values() for parameter in group]
    if outside := [name for key, name in trained.items() if key not in set(grouped)]:
        raise InputError(
            f"{about}: {len(outside)} parameters require a gradient but are in no group, the first "
            f"is {outside[0]}. Put them into one, or freeze them with requires_grad_(False)."
        )
    if len(grouped) != len(trained):
        raise InputError(
            f"{about}: its groups contain {len(grouped)} parameters, but {len(trained)} are "
            "trainable. List each of them once, and none that is frozen or part of the head."
        )


def check_learning_rates(method: MethodConfig, groups: Groups) -> None:
    """Raise InputError unless `method.learning_rates` names exactly the groups."""
    unknown = sorted(set(method.learning_rates) - set(groups))
    missing = sorted(set(groups) - set(method.learning_rates))
    if unknown:
        raise InputError(
            f"method.learning_rates.{unknown[0]}: method {method.name} has no such parameter group."
            + did_you_mean(unknown[0], groups)
        )
    if missing:
        raise InputError(
            f"method.learning_rates.{missing[0]} is missing: method {method.name} trains this "
            "parameter group. Give it a learning rate."
        )


def buffer_numbers(model: nn.Module) -> int:
    """Count the numbers in the model's floating-point buffers, each tensor once."""
    return sum({id(b): b.numel() for b in model.buffers() if b.is_floating_point()}.values())


def count_parameters(
    model: Model, groups: Groups, pretrained: Sequence[Parameter], extra_buffers: int
) -> dict[str, int | float]:
    """Return `params` of the record; percentages are of the loaded backbone, without a new head."""
    trainable = sum(p.numel() for group in groups.values() for p in group)
    head = sum(p.numel() for p in groups.get("head", []))
    loaded = set(map(id, pretrained))
    backbone_total = sum(p.numel() for p in pretrained)
    new = (p for p in model.parameters() if not p.requires_grad and id(p) not in loaded)
    return {
        "trainable": trainable,
        "trainable_head": head,
        "backbone_total": backbone_total,
        "extra_frozen": sum(p.numel() for p in new) + extra_buffers,
        "trainable_percent": 100.0 * (trainable - head) / backbone_total,
    }
