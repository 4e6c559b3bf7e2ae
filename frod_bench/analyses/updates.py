"""The update of each adapted layer as one dense weight, whatever the method.

A linear layer is determined by its outputs: W = (f(I) - f(0))^T and b = f(0). So the update is that
of what the model computes, independent of how a method merges. Computed in float64, in which the
trained float32 values are exact.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from frod_bench.cells.cell import Cell
from frod_bench.config.settings import Settings
from frod_bench.methods.registry import Model, matching, prepare
from frod_bench.records import hashing
from frod_bench.training import runner

_WRAPPER = "base_model.model."  # PEFT's, around a backbone whose adapters share state


@dataclass(frozen=True)
class Update:
    """One layer's weight before the first step, and its change by training; (m, k), float64."""

    before: Tensor
    change: Tensor


def training_hash_of(cell: Cell) -> str:
    """`hashing.training_hash` of the run of a cell."""
    prints = {"backbone_fingerprint": cell.backbone_fingerprint}
    return hashing.training_hash({"config": cell.config, "provenance": prints})


def start_of(settings: Settings) -> Model:
    """Return the model of a cell before its first step."""
    model = runner.build_model(settings, runner.load_data(settings).num_labels)
    return prepare(model, settings.method, settings.backbone, settings.seed).model


def layer_updates(cell: Cell) -> dict[str, Update]:
    """Return the update of each target layer, by its name in the plain backbone."""
    models = start_of(cell.settings), runner.restore_trained(cell)
    start, end = (target_layers(model, cell.settings) for model in models)
    updates = {}
    for name, layer in start.items():
        (before, _), (after, _) = affine_map(layer), affine_map(end[name])
        updates[name] = Update(before, after - before)
    return updates


def target_layers(model: Model, settings: Settings) -> dict[str, nn.Module]:
    """Return each target layer, adapted or not, by its name in the plain backbone."""
    found = matching(model.backbone, settings.backbone.target_modules)
    return {name.removeprefix(_WRAPPER): module for name, module in found.items()}


@torch.no_grad()
def plain_layer(layer: nn.Module) -> nn.Linear:
    """Return the plain float32 layer that computes what `layer` does, frozen, on the CPU."""
    weight, bias = affine_map(layer)
    rows, columns = weight.shape
    plain = nn.utils.skip_init(nn.Linear, columns, rows).requires_grad_(False)
    plain.weight.copy_(weight)
    plain.bias.copy_(bias)
    return plain


def densified(model: Model, settings: Settings) -> Model:
    """Return a copy in evaluation mode with plain layers, which can be moved in any direction."""
    dense = copy.deepcopy(model).requires_grad_(False).eval()
    for name, layer in matching(dense.backbone, settings.backbone.target_modules).items():
        dense.backbone.set_submodule(name, plain_layer(layer))
    return dense


@torch.no_grad()
def affine_map(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Return W (m, k) and b (m,), float64, of a linear layer with or without an adapter."""
    wide = copy.deepcopy(layer).cpu().double().eval()
    columns = int(wide.in_features)  # type: ignore[arg-type]  # every linear layer has it, PEFT's included
    bias = wide(torch.zeros(1, columns, dtype=torch.float64))
    return (wide(torch.eye(columns, dtype=torch.float64)) - bias).T.contiguous(), bias[0]
