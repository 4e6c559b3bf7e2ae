"""Attach FRoD to a model, find its trained parameters, and merge or remove it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from ..common.errors import InputError
from .basis import JointBasis, exact_basis, factors_in, peft_basis
from .cache import basis_cache_dir, basis_key, cached_basis, tensor_digests
from .config import FrodConfig
from .heads import head_parameters
from .layer import FrodLinear, SharedBasis
from .support import draw_supports
from .targets import Target, check_weights, find_targets

M = TypeVar("M", bound=nn.Module)


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
    """Return the trained parameters by optimizer group: `lambda` and `rotation`, in model order."""
    layers = [layer for _, layer in frod_layers(model)]
    return {
        "lambda": [layer.lambda_ for layer in layers],
        "rotation": [layer.rotation for layer in layers],
    }


def merge_frod(model: M) -> M:
    """Restore plain layers with the adapted weights, in place; the parameters remain frozen.

    Raises:
        InputError: FRoD is not attached, or the weight of a layer is tied to another module. The
            model is then left unchanged.
    """
    layers = attached_layers(model)
    _refuse_tied(model, layers)
    for _, layer in layers:
        layer.base_layer.weight = nn.Parameter(layer.merged().clone(), requires_grad=False)
    return unmerge_frod(model)


def unmerge_frod(model: M) -> M:
    """Restore the plain layers as they were before attaching, in place; they remain frozen.

    Raises:
        InputError: FRoD is not attached.
    """
    _replace(model, {layer: layer.base_layer for _, layer in attached_layers(model)})
    return model


def frod_layers(model: nn.Module) -> Iterator[tuple[str, FrodLinear]]:
    """Iterate over the adapted layers and their names, in model order."""
    for name, module in model.named_modules():
        if isinstance(module, FrodLinear):
            yield name, module


def attached_layers(model: nn.Module) -> list[tuple[str, FrodLinear]]:
    """List `frod_layers`; raise InputError if there are none."""
    layers = list(frod_layers(model))
    if not layers:
        raise InputError("FRoD is not attached to this model. Call attach_frod first.")
    return layers


def plain_targets(model: nn.Module, config: FrodConfig) -> dict[str, list[Target]]:
    """Return category -> the layers that `config` adapts.

    Raises:
        InputError: FRoD is already attached, or a target cannot be adapted.
    """
    if any(True for _ in frod_layers(model)):
        raise InputError(
            "FRoD is already attached to this model. Call merge_frod or unmerge_frod first."
        )
    categories = find_targets(model, config.target_modules, config.shared_side)
    for targets in categories.values():
        check_weights(targets)
    return categories


class GivenBasis(NamedTuple):
    """Basis and support of a category as read from a file.

    Attributes:
        basis: V, (r, r): r is k, or m if V is on the outputs.
        support: sorted flat indices row * r + column of S, int64 (nnz,).
    """

    basis: Tensor
    support: Tensor


def build_layers(
    categories: dict[str, list[Target]],
    config: FrodConfig,
    cache_folder: Path | None = None,
    given: Mapping[str, GivenBasis] | None = None,
) -> dict[str, FrodLinear]:
    """Return adapted layers by the name of the layer to replace, without touching the model.

    Args:
        categories: category -> its layers.
        config: settings of the adapter.
        cache_folder: folder of the cached joint bases; None: they are computed and not stored.
        given: V and support of every category if they are not to be computed.
    """
    if given is None:
        widths = {name: members[0].factored.shape[1] for name, members in categories.items()}
        supports = draw_supports(widths, config.sparse_rate, config.seed)
    else:
        supports = {name: given[name].support for name in categories}
    layers = {}
    for category, members in categories.items():
        weights = [target.factored for target in members]
        first = members[0]
        if given is None:
            factors = _joint_basis(members, config, cache_folder)
        else:
            rounded = given[category].basis.to(first.weight.dtype)
            factors = _in_layer_types(factors_in(rounded, weights), weights)
        shared = SharedBasis(
            category,
            config,
            factors.basis.to(first.weight),
            supports[category].sort().values,
            on_outputs=first.on_outputs,
        )
        for target, left, scale in zip(members, factors.left, factors.scale, strict=True):
            layers[target.name] = FrodLinear(target.module, shared, left, scale, target.transposed)
    return layers


def install(model: nn.Module, layers: dict[str, FrodLinear]) -> None:
    """Insert the adapted layers and freeze the rest of the model except for its heads."""
    heads = head_parameters(model, {layer.base_layer for layer in layers.values()})
    for parameter in model.parameters():
        if parameter not in heads:
            parameter.requires_grad_(False)
    _replace(model, {layer.base_layer: layer for layer in layers.values()})


def _refuse_tied(model: nn.Module, layers: list[tuple[str, FrodLinear]]) -> None:
    """Raise InputError if a merged weight would be the weight of another module too.

    Untying it here would not suffice: loading a checkpoint of the merged model ties the weights
    again, and the adapted weight is lost.
    """
    holders: dict[int, list[str]] = {}
    for module_name, module in model.named_modules():
        for name, parameter in module.named_parameters(module_name, recurse=False):
            holders.setdefault(parameter.data_ptr(), []).append(name)
    for name, layer in layers:
        own = f"{name}.base_layer.weight"
        others = [holder for holder in holders[layer.weight.data_ptr()] if holder != own]
        if others and layer.weight.numel():
            raise InputError(
                f"The weight of {name!r} is tied to {others[0]!r}, which merging would change or "
                "leave behind. Give the layer a separate weight before attaching (in transformers: "
                "config.tie_word_embeddings=False and a cloned weight), leave it out of "
                "target_modules, or keep the adapter separate with save_frod."
            )


def _joint_basis(
    members: list[Target], config: FrodConfig, cache_folder: Path | None
) -> JointBasis:
    """Return the factors of a category from the cache, or compute them, in the layers' types."""
    weights = [target.factored for target in members]
    blocks = [target.block for target in members]

    def build() -> JointBasis:
        if config.basis == "exact":
            factors = exact_basis(weights, config.regularization, weights[0].dtype)
        else:
            stacked = dict(zip(blocks, weights, strict=True))  # PEFT keeps one layer per block
            factors = peft_basis(list(stacked.values()), weights, config.regularization)
        return _in_layer_types(factors, weights)

    with torch.autocast(weights[0].device.type, enabled=False):
        if cache_folder is None:
            return build()
        key = basis_key(config, blocks, tensor_digests(weights))
        return cached_basis(key, build, cache_folder)


def _in_layer_types(factors: JointBasis, weights: list[Tensor]) -> JointBasis:
    """Cast U and V to the type of the base, and lambda to float32 or wider, as the layers do."""
    pairs = zip(factors.left, weights, strict=True)
    return JointBasis(
        factors.basis.to(weights[0].dtype),
        [left.to(weight.dtype) for left, weight in pairs],
        [scale.to(torch.promote_types(torch.float32, weights[0].dtype)) for scale in factors.scale],
    )


def _replace(model: nn.Module, substitutes: dict[nn.Module, nn.Module]) -> None:
    """Replace modules under all of their names."""
    for name, module in list(model.named_modules(remove_duplicate=False)):
        if module in substitutes:
            model.set_submodule(name, substitutes[module])
