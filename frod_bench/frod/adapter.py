"""Attach FRoD to a model, find its trained parameters, and merge or remove it."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.utils.hooks import RemovableHandle

from ..common.errors import InputError
from .basis import JointBasis, exact_basis, factors_in, peft_basis, random_basis, svd_basis
from .config import FrodConfig
from .core import SharedBasis, draw_supports
from .layer import FrodLinear
from .storage import basis_cache_dir, basis_key, cached_basis
from .targets import Target, check_weights, has_form_on_inputs, head_parameters, role_of, targets_of

M = TypeVar("M", bound=nn.Module)
GivenBasis = tuple[Tensor, Tensor]  # V (r, r) and the support (nnz,) of a category, from a file


def attach_frod(
    model: M, config: FrodConfig, *, cache_dir: Path | None = None, use_cache: bool = True
) -> M:
    """Replace the target layers by adapted ones, in place, and freeze the rest of the body.

    Args:
        model: any module with `nn.Linear` or transformers `Conv1D` layers. A head on top of its
            body (see `head_parameters`) remains trainable or frozen, as it was.
        config: settings of the adapter.
        cache_dir: folder of the cached joint bases; by default, in the user's cache folder.
        use_cache: if False, the bases are computed and not stored, and `cache_dir` is ignored.

    Returns:
        The same model.

    Raises:
        InputError: a target cannot be adapted, or FRoD is already attached. The model is then left
            unchanged.
    """
    folder = basis_cache_dir(cache_dir) if use_cache else None
    install(model, build_layers(plain_targets(model, config), config, folder))
    return model


def frod_parameters(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Return the trained parameters by optimizer group, in model order.

    `lambda` are the differences from lambda_0, `rotation` the values of S.
    """
    layers = frod_layers(model).values()
    return {
        "lambda": [layer.delta for layer in layers],
        "rotation": [layer.rotation for layer in layers],
    }


def decay_to_zero(model: nn.Module, optimizer: torch.optim.Optimizer) -> RemovableHandle:
    """Let decoupled weight decay (AdamW) draw lambda to 0, as in the paper, instead of lambda_0.

    Decay of the trained difference draws the layer back to W; decay of lambda shrinks W itself, by
    1 % in 100 steps at decay 0.1 and learning rate 1e-3. Returns the hook's handle.

    Raises:
        InputError: FRoD is not attached, or the optimizer has none of its parameters.
    """
    layers = {layer.delta: layer for layer in attached_layers(model).values()}
    if not any(p in layers for group in optimizer.param_groups for p in group["params"]):
        raise InputError(
            "decay_to_zero: the optimizer has no parameter of the adapter. Build it from "
            "frod_parameters(model), after the model was wrapped."
        )

    @torch.no_grad()
    def after_step(stepped: torch.optim.Optimizer, *_: object) -> None:
        for group in stepped.param_groups:
            shrink = group["lr"] * group["weight_decay"]
            for parameter in group["params"] if group["weight_decay"] else ():
                if parameter in layers and parameter.grad is not None:  # as AdamW does
                    lambda_0 = layers[parameter].lambda_0
                    if isinstance(parameter, DTensor):  # FSDP2 shards it, and not the buffer
                        mesh, placements = parameter.device_mesh, parameter.placements
                        lambda_0 = distribute_tensor(lambda_0, mesh, placements)
                    parameter.sub_(lambda_0 * shrink)

    return optimizer.register_step_post_hook(after_step)


def merge_frod(model: M) -> M:
    """Restore plain layers with the adapted weights, in place; the parameters remain frozen.

    Raises:
        InputError: FRoD is not attached, FSDP2 shards a layer, or its weight is tied to another
            module. The model is then left unchanged.
    """
    layers = attached_layers(model)
    # FSDP2 sets the weights that it gathers anew in each step, and so would undo the merge.
    if any(_is_sharded(part) and frod_layers(part) for part in model.modules()) or any(
        isinstance(layer.weight, DTensor) for layer in layers.values()
    ):
        raise InputError(
            "merge_frod: the adapted layers are sharded. Save the adapter with save_frod, which "
            "every process must call, load it into the plain base with load_frod, and merge there; "
            "or load the gathered state dict into an adapted model that is not sharded."
        )
    _refuse_tied(model, layers)
    for layer in layers.values():
        layer.base_layer.weight = nn.Parameter(layer.merged().clone(), requires_grad=False)
    return unmerge_frod(model)


def unmerge_frod(model: M) -> M:
    """Restore the plain layers as they were before attaching, in place; they remain frozen.

    Raises:
        InputError: FRoD is not attached, or FSDP2 shards the layers one by one. The model is then
            left unchanged.
    """
    layers = attached_layers(model)
    # Removing the layers would also remove what gathers their weights.
    if any(map(_is_sharded, layers.values())):
        raise InputError(
            "unmerge_frod: the adapted layers are sharded one by one. Load the plain base again: "
            "the adapter never writes into it."
        )
    _replace(model, {layer: layer.base_layer for layer in layers.values()})
    return model


def frod_layers(model: nn.Module) -> dict[str, FrodLinear]:
    """Return the adapted layers by name, in model order."""
    modules = model.named_modules()
    return {name: module for name, module in modules if isinstance(module, FrodLinear)}


def attached_layers(model: nn.Module) -> dict[str, FrodLinear]:
    """Return `frod_layers`; raise InputError if there are none."""
    layers = frod_layers(model)
    if not layers:
        raise InputError("FRoD is not attached to this model. Call attach_frod first.")
    return layers


def plain_targets(model: nn.Module, config: FrodConfig) -> dict[str, list[Target]]:
    """Return category -> the layers that `config` adapts; raise InputError if it cannot."""
    if frod_layers(model):
        raise InputError(
            "FRoD is already attached to this model. Call merge_frod or unmerge_frod first."
        )
    categories = targets_of(model, config)
    for targets in categories.values():
        check_weights(targets)
    return categories


def build_layers(
    categories: dict[str, list[Target]],
    config: FrodConfig,
    cache_folder: Path | None = None,
    given: Mapping[str, GivenBasis] | None = None,
) -> dict[str, FrodLinear]:
    """Return adapted layers by the name of the layer to replace, without touching the model.

    Joint bases and supports are those `given`, or computed and cached if there is a folder.
    """
    if given:
        bases = {
            category: factors_in(
                given[category][0].to(members[0].weight.dtype), [one.factored for one in members]
            )
            for category, members in categories.items()
        }
        supports = {category: support for category, (_, support) in given.items()}
    else:
        widths = {role_of(name): members[0].width for name, members in categories.items()}
        with ThreadPoolExecutor(max_workers=1) as thread:  # drawing takes one core
            drawn = thread.submit(draw_supports, widths, config.sparse_rate, config.seed)
            bases = {
                category: _joint_basis(members, config, cache_folder)
                for category, members in categories.items()
            }
        supports = {category: drawn.result()[role_of(category)] for category in categories}
    layers = {}
    for category, members in categories.items():
        first, factors = members[0], bases.pop(category)
        V, support = factors.V.to(first.weight), supports[category].sort().values
        shared = SharedBasis(category, config, V, support, P=factors.P, on_outputs=first.on_outputs)
        own: Sequence[Tensor | None] = factors.U or [None] * len(members)
        for target, U, lambda_0 in zip(members, own, factors.lambda_0, strict=True):
            layers[target.name] = FrodLinear(target.module, shared, U, lambda_0, target.transposed)
    return layers


def install(model: nn.Module, layers: dict[str, FrodLinear]) -> None:
    """Insert the adapted layers and freeze the rest of the model except for its heads."""
    heads = head_parameters(model, {layer.base_layer for layer in layers.values()})
    for parameter in model.parameters():
        if parameter not in heads:
            parameter.requires_grad_(False)
    _replace(model, {layer.base_layer: layer for layer in layers.values()})


def _refuse_tied(model: nn.Module, layers: dict[str, FrodLinear]) -> None:
    """Raise InputError if a weight to merge is tied (docs/explanation/method.md, section 7)."""
    holders: dict[int, list[str]] = {}
    for module_name, module in model.named_modules():
        for name, parameter in module.named_parameters(module_name, recurse=False):
            if address := parameter.data_ptr():  # 0 of what is empty or lies elsewhere
                holders.setdefault(address, []).append(name)
    for name, layer in layers.items():
        own = f"{name}.base_layer.weight"
        others = [holder for holder in holders.get(layer.weight.data_ptr(), []) if holder != own]
        if others:
            raise InputError(
                f"The weight of {name!r} is tied to {others[0]!r}, which merging would change or "
                "leave behind. Give the layer a separate weight before attaching (in transformers: "
                "config.tie_word_embeddings=False and a cloned weight), leave it out of "
                "target_modules, or keep the adapter separate with save_frod."
            )


def _is_sharded(module: nn.Module) -> bool:
    """Whether `fully_shard` was called on it, recognized by name: its import takes 40 ms."""
    return any(base.__name__ == "FSDPModule" for base in type(module).__mro__)


def _joint_basis(
    members: list[Target], config: FrodConfig, cache_folder: Path | None
) -> JointBasis:
    """Return the factors of a category from the cache, or compute them, in the layers' types."""
    weights = [target.factored for target in members]
    blocks = [target.block for target in members]
    by_P = has_form_on_inputs(config, members)

    def build() -> JointBasis:
        if config.basis == "exact":
            dtype = weights[0].dtype
            return exact_basis(weights, config.regularization, dtype, by_P=by_P)
        if config.basis == "svd":
            return svd_basis(weights)
        if config.basis == "random":
            return random_basis(weights, config.seed)
        stacked = dict(zip(blocks, weights, strict=True))  # PEFT keeps one layer per block
        return peft_basis(list(stacked.values()), weights, config.regularization)

    try:
        with torch.autocast(weights[0].device.type, enabled=False):
            if cache_folder is None:
                return build()
            key = basis_key(config, blocks, weights, by_P=by_P)
            return cached_basis(key, build, cache_folder)
    except torch.linalg.LinAlgError as error:
        raise InputError(
            f"The weights of {members[0].name!r} and the layers that share its basis cannot be "
            f"factored with regularization={config.regularization!r} ({error}). Use a larger one; "
            "the default is 1e-3."
        ) from None


def _replace(model: nn.Module, substitutes: dict[nn.Module, nn.Module]) -> None:
    """Replace modules under all of their names."""
    for name, module in list(model.named_modules(remove_duplicate=False)):
        if module in substitutes:
            model.set_submodule(name, substitutes[module])
