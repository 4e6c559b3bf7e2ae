"""The model that a cell trains, on the meta device: all of its shapes and none of its values."""

import torch
from torch import Tensor, nn
from transformers import AutoModel, PretrainedConfig

from frod_bench.common.errors import InputError
from frod_bench.config.settings import BackboneConfig, MethodConfig
from frod_bench.frod import FrodConfig, frod_parameters
from frod_bench.frod.adapter import install
from frod_bench.frod.layer import FrodLinear, SharedBasis
from frod_bench.frod.support import support_size
from frod_bench.frod.targets import find_targets
from frod_bench.methods.registry import APPLIERS, Groups, Model, Prepared, frod_config, prepare
from frod_bench.models.classifier import tower_of, with_head
from frod_bench.plan.ranking import ranker_shapes


def prepare_shapes(
    config: PretrainedConfig,
    backbone: BackboneConfig,
    method: MethodConfig,
    num_labels: int | None,
) -> Prepared:
    """What `methods.prepare` makes of the real backbone, its counts too, on the meta device.

    Attention is eager: its products are then seen by whoever counts.

    Args:
        num_labels: of the head; None: there is none, the language model ranks options.

    Raises:
        InputError: as `methods.prepare` does, where the method needs weights to be set up, or where
            a backbone that is to rank is no causal language model.
    """
    appliers = APPLIERS | {"frod": apply_frod}
    with torch.device("meta"):
        model = plain_shapes(config, backbone, num_labels)
        try:
            return prepare(model, method, backbone, seed=0, appliers=appliers)
        except NotImplementedError as error:  # torch's, of a meta tensor whose values are read
            raise InputError(
                f"method={method.name}: can't be planned, it is set up from the values of weights. "
                "Plan a method that is set up from shapes alone, frod instead of frod_peft say."
            ) from error


def plain_shapes(
    config: PretrainedConfig, backbone: BackboneConfig, num_labels: int | None
) -> Model:
    """The model before a method is applied, as `cell.build_model` builds it."""
    if num_labels is None:
        return ranker_shapes(config, backbone.hub_id)
    body = AutoModel.from_config(
        tower_of(config),
        dtype=torch.float32,
        attn_implementation="eager",
        trust_remote_code=False,
    )
    return with_head(body, backbone.pooling, num_labels)


def apply_frod(model: Model, method: MethodConfig, config: BackboneConfig, seed: int) -> Groups:
    """As `methods.apply_frod`, without a basis to compute."""
    attach_shapes(model.backbone, frod_config(method, config, seed))
    return dict(frod_parameters(model.backbone))


def attach_shapes(model: nn.Module, config: FrodConfig) -> None:
    """As `frod.attach_frod`, with factors and supports that have no values."""
    layers = {}
    categories = find_targets(model, config.target_modules, config.shared_side)
    for category, members in categories.items():
        dtype, width = members[0].weight.dtype, members[0].factored.shape[1]
        basis = torch.empty(width, width, dtype=dtype, device="meta")
        with torch.device("cpu"):  # sorting a support takes its values; the result is moved to V
            support = spread_support(width, config.sparse_rate)
            shared = SharedBasis(category, config, basis, support, on_outputs=members[0].on_outputs)
        for target in members:
            left = torch.empty(target.factored.shape, dtype=dtype, device="meta")
            scale = torch.empty(width, dtype=dtype, device="meta")
            layers[target.name] = FrodLinear(target.module, shared, left, scale, target.transposed)
    install(model, layers)


def probe_numbers(model: nn.Module) -> int:
    """Numbers that are kept beside trained values to tell FRoD's factors: `frod.adapter_probes`."""
    layers = [module for module in model.modules() if isinstance(module, FrodLinear)]
    bases = {id(one.shared): one.shared for one in layers}
    return sum(shared.width for shared in bases.values()) + 4 * len(layers)


def spread_support(width: int, sparse_rate: float) -> Tensor:
    """As many places as a drawn support has, evenly spread off the diagonal: int64 (nnz,).

    Drawing permutes all k (k-1) places, which takes seconds where k is large.
    """
    size = support_size(width, sparse_rate)
    ranks = torch.arange(size) * (width * (width - 1) // max(1, size))
    row, column = ranks // max(1, width - 1), ranks % max(1, width - 1)
    return row * width + column + (column >= row).to(torch.int64)
