"""What a method made of each adapted layer, as one dense weight, whatever the method.

A linear layer is known by its outputs: W = (f(I) - f(0))^T and b = f(0). So no method is asked how
it merges, and what is looked at is what the model computes. Done in float64, in which the float32
values that were trained are exact.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from frod_bench.cells.cell import Cell
from frod_bench.config.settings import Settings
from frod_bench.methods.registry import Model, matching, prepare
from frod_bench.training import runner

_WRAPPER = "base_model.model."  # PEFT's, around a backbone whose adapters share state


@dataclass(frozen=True)
class Update:
    """One adapted layer, before and after training.

    Attributes:
        before: the weight that it computes with before the first step, (m, k), float64.
        change: the weight after training less `before`, (m, k), float64.
    """

    before: Tensor
    change: Tensor


def start_of(settings: Settings) -> Model:
    """The model of a cell before its first step."""
    model = runner.build_model(settings, runner.load_data(settings).num_labels)
    backbone = settings.backbones[settings.task.family]
    return prepare(model, settings.method, backbone, settings.seed).model


def layer_updates(cell: Cell) -> dict[str, Update]:
    """Name in the plain backbone -> the update of each of its target layers.

    Raises what `cell.restore_trained` raises.
    """
    settings = cell.settings
    start = target_layers(start_of(settings), settings)
    end = target_layers(runner.restore_trained(cell), settings)
    updates = {}
    for name, layer in start.items():
        before = effective_weight(layer)
        updates[name] = Update(before, effective_weight(end[name]) - before)
    return updates


def target_layers(model: Model, settings: Settings) -> dict[str, nn.Module]:
    """Name in the plain backbone -> the module, adapted or not, that stands there."""
    targets = settings.backbones[settings.task.family].target_modules
    found = matching(model.backbone, targets)
    return {name.removeprefix(_WRAPPER): module for name, module in found.items()}


@torch.no_grad()
def effective_weight(layer: nn.Module) -> Tensor:
    """The weight (m, k), float64, of a layer that is linear in its input, and wears any adapter."""
    return _responses(layer)[0]


@torch.no_grad()
def plain_layer(layer: nn.Module) -> nn.Linear:
    """The plain float32 layer that computes what `layer` does, frozen, on the CPU."""
    weight, bias = _responses(layer)
    rows, columns = weight.shape
    plain = nn.utils.skip_init(nn.Linear, columns, rows).requires_grad_(False)
    plain.weight.copy_(weight)
    plain.bias.copy_(bias)
    return plain


def densified(model: Model, settings: Settings) -> Model:
    """A copy of the model in evaluation with plain layers in place of the adapted ones: the same
    outputs to rounding, and weights that can be moved in any direction.
    """
    dense = copy.deepcopy(model).requires_grad_(False).eval()
    targets = settings.backbones[settings.task.family].target_modules
    for name, layer in matching(dense.backbone, targets).items():
        dense.backbone.set_submodule(name, plain_layer(layer))
    return dense


def _responses(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """W (m, k) and b (m,), float64."""
    wide = copy.deepcopy(layer).cpu().double().eval()
    columns = int(wide.in_features)  # type: ignore[arg-type]  # every linear layer's, PEFT's too
    bias = wide(torch.zeros(1, columns, dtype=torch.float64))
    return (wide(torch.eye(columns, dtype=torch.float64)) - bias).T.contiguous(), bias[0]
