"""Attach FRoD to a model, find what it trains, and take it off again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from ..common.errors import InputError
from .basis import JointBasis, exact_basis, factors_in, peft_basis
from .cache import basis_cache_dir, basis_key, cached_basis, tensor_digests
from .config import FrodConfig
from .heads import head_parameters
from .layer import FrodLinear, SharedBasis
from .support import draw_supports
from .targets import Target, find_targets

M = TypeVar("M", bound=nn.Module)


def attach_frod(
    model: M, config: FrodConfig, *, cache_dir: Path | None = None, use_cache: bool = True
) -> M:
    """Replace the target layers by adapted ones, in place, and freeze the rest of the body.

    Args:
        model: any module with `nn.Linear` or transformers `Conv1D` layers. A head on top of its
            body stays trainable, or frozen, as it was; `head_parameters` tells what a head is.
        cache_dir: where joint bases are kept; the user's cache folder if not given.
        use_cache: False makes the bases afresh and keeps none; `cache_dir` is not looked at.

    Returns:
        The same model.

    Raises:
        InputError: a target can't be adapted, or FRoD is attached already. The model is then left
            as it was.
    """
    kept_in = basis_cache_dir(cache_dir) if use_cache else None
    install(model, build_layers(plain_targets(model, config), config, kept_in))
    return model


def frod_parameters(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """What FRoD trains, by optimizer group: `lambda` and `rotation`, in the model's order."""
    layers = [layer for _, layer in frod_layers(model)]
    return {
        "lambda": [layer.lambda_ for layer in layers],
        "rotation": [layer.rotation for layer in layers],
    }


def merge_frod(model: M) -> M:
    """Plain layers again, with the adapted weights, in place; the parameters stay frozen.

    Raises:
        InputError: FRoD is not attached, or a layer's weight is tied to another module. The model
            is then left as it was.
    """
    layers = attached_layers(model)
    _refuse_tied(model, layers)
    for _, layer in layers:
        layer.base_layer.weight = nn.Parameter(layer.merged().clone(), requires_grad=False)
    return unmerge_frod(model)


def unmerge_frod(model: M) -> M:
    """The plain layers again, as they were before attaching, in place; they stay frozen.

    Raises:
        InputError: FRoD is not attached.
    """
    _replace(model, {layer: layer.base_layer for _, layer in attached_layers(model)})
    return model


def frod_layers(model: nn.Module) -> Iterator[tuple[str, FrodLinear]]:
    """Adapted layers and their names, in the model's order."""
    for name, module in model.named_modules():
        if isinstance(module, FrodLinear):
            yield name, module


def attached_layers(model: nn.Module) -> list[tuple[str, FrodLinear]]:
    """As `frod_layers`, but none is an error."""
    layers = list(frod_layers(model))
    if not layers:
        raise InputError("FRoD is not attached to this model. Call attach_frod first.")
    return layers


def plain_targets(model: nn.Module, config: FrodConfig) -> dict[str, list[Target]]:
    """Category -> the layers that `config` adapts.

    Raises:
        InputError: FRoD is attached already, or a target can't be adapted.
    """
    if any(True for _ in frod_layers(model)):
        raise InputError(
            "FRoD is attached to this model already. Call merge_frod or unmerge_frod first."
        )
    return find_targets(model, config.target_modules, config.shared_side)


@dataclass(frozen=True)
class GivenBasis:
    """What a file says of a category.

    Attributes:
        basis: V, (r, r): r is k, or m where it is on the outputs.
        support: sorted places row * r + column of S, int64 (nnz,).
    """

    basis: Tensor
    support: Tensor


def build_layers(
    categories: dict[str, list[Target]],
    config: FrodConfig,
    kept_in: Path | None = None,
    given: Mapping[str, GivenBasis] | None = None,
) -> dict[str, FrodLinear]:
    """Adapted layers by the name of the layer that each will replace; the model is not touched.

    Args:
        kept_in: the folder of joint bases; None: they are made afresh and not kept.
        given: V and the support of every category, where they are not to be computed.
    """
    widths = {name: members[0].factored.shape[1] for name, members in categories.items()}
    if given is None:
        supports = draw_supports(widths, config.sparse_rate, config.seed)
    else:
        supports = {name: given[name].support for name in categories}
    layers = {}
    for category, members in categories.items():
        if given is None:
            factors = joint_basis(members, config, kept_in)
        else:
            factors = _factors_in_given(given[category].basis, members)
        first = members[0]
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
    """Freeze the model, its heads excepted, and put the adapted layers in."""
    heads = head_parameters(model, {layer.base_layer for layer in layers.values()})
    for parameter in model.parameters():
        if parameter not in heads:
            parameter.requires_grad_(False)
    _replace(model, {layer.base_layer: layer for layer in layers.values()})


def _refuse_tied(model: nn.Module, layers: list[tuple[str, FrodLinear]]) -> None:
    """Raise InputError where a merged weight would be another module's weight too.

    A merged layer could be given a weight of its own, but a checkpoint saved from it would be
    tied again by whoever loads it, and the adapted weight lost.
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
                f"The weight of {name!r} is tied to {others[0]!r}: merging would change, or leave "
                "behind, the other. Give the layer a weight of its own before attaching (in "
                "transformers: config.tie_word_embeddings=False and a cloned weight), leave it out "
                "of target_modules, or keep the adapter apart with save_frod."
            )


def joint_basis(members: list[Target], config: FrodConfig, kept_in: Path | None) -> JointBasis:
    """Factors of a category, from the cache if they are there, in the types they are used in."""
    weights = [target.factored for target in members]
    blocks = [target.block for target in members]

    def build() -> JointBasis:
        if config.basis == "exact":
            factors = exact_basis(weights, config.regularization, weights[0].dtype)
        else:
            stacked = dict(zip(blocks, weights, strict=True))  # PEFT keeps one layer a block
            factors = peft_basis(list(stacked.values()), weights, config.regularization)
        return _stored(factors, weights)

    with torch.autocast(weights[0].device.type, enabled=False):
        if kept_in is None:
            return build()
        key = basis_key(config, blocks, tensor_digests(weights))
        return cached_basis(key, build, kept_in)


def _factors_in_given(basis: Tensor, members: list[Target]) -> JointBasis:
    """U and lambda in the V of a file, which is rounded to the base's type as it will be used."""
    weights = [target.factored for target in members]
    return _stored(factors_in(basis.to(weights[0].dtype), weights), weights)


def _stored(factors: JointBasis, weights: list[Tensor]) -> JointBasis:
    """U and V in the base's type, lambda in float32 at least, as the layers will hold them."""
    pairs = zip(factors.left, weights, strict=True)
    return JointBasis(
        factors.basis.to(weights[0].dtype),
        [left.to(weight.dtype) for left, weight in pairs],
        [scale.to(torch.promote_types(torch.float32, weights[0].dtype)) for scale in factors.scale],
    )


def _replace(model: nn.Module, substitutes: dict[nn.Module, nn.Module]) -> None:
    """Put the substitute wherever a module stands, under each of its names."""
    for name, module in list(model.named_modules(remove_duplicate=False)):
        if module in substitutes:
            model.set_submodule(name, substitutes[module])
