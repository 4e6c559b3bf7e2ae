"""The model that a cell trains, on the meta device: all of its shapes and none of its values."""

import torch
from torch import Tensor, nn
from transformers import AutoModel, PretrainedConfig

from frod_bench.common.errors import InputError
from frod_bench.config.settings import BackboneConfig, MethodConfig
from frod_bench.frod import FrodConfig, frod_parameters
from frod_bench.frod.adapter import install
from frod_bench.frod.core import CorePattern, support_size
from frod_bench.frod.layer import FrodLinear, SharedBasis
from frod_bench.frod.targets import find_targets
from frod_bench.methods.registry import APPLIERS, Groups, Model, Prepared, frod_config, prepare
from frod_bench.models.classifier import tower_of, with_head
from frod_bench.plan.ranking import ranker_shapes


class DensePattern(CorePattern):
    """The trained entries of C without their indices, for products with C written out.

    Written out because torch has sparse kernels on CPUs only, and counts no FLOPs of theirs.
    """

    def __init__(self, width: int, rotations: int) -> None:
        nn.Module.__init__(self)
        self.width = width
        indices = torch.empty(width + rotations, dtype=torch.int64, device="meta")
        self.register_buffer("indices", indices, persistent=False)

    def is_sparse_on(self, device: torch.device, dtype: torch.dtype) -> bool:  # noqa: ARG002
        return False


class FrodShapes(FrodLinear):
    """FRoD's layer where values cannot be compared.

    The merged weight stays valid, because nothing changes before the optimizer's step. The factors
    give W, as they do if V was computed from the weights. (`frod_released` doubles W: its layers
    take m k multiply-adds more per token in float32.)
    """

    def merged(self, dtype: torch.dtype | None = None) -> Tensor:
        if self._merged is not None and self._merged.merged.dtype == (dtype or self.weight.dtype):
            return self._merged.merged
        return super().merged(dtype)

    def _factors_give_weight(self) -> bool:
        return True


def prepare_shapes(
    config: PretrainedConfig,
    backbone: BackboneConfig,
    method: MethodConfig,
    num_labels: int | None,
) -> Prepared:
    """Return what `methods.prepare` makes of the real backbone, counts included, on meta.

    Attention is eager, so that its products are visible to a counter.

    Args:
        num_labels: of the head; None if the language model ranks options without a head.

    Raises:
        InputError: as `methods.prepare` does; if the method reads values of weights to set itself
            up; or if a backbone that is to rank is not a causal language model.
    """
    with torch.device("meta"):
        model = plain_shapes(config, backbone, num_labels)
        try:
            appliers = APPLIERS | {"frod": _apply_frod}
            return prepare(model, method, backbone, seed=0, appliers=appliers)
        except NotImplementedError as error:  # torch's, when values of a meta tensor are read
            raise InputError(
                f"method={method.name}: can't be planned, because it is set up from the values of "
                "weights. Plan a method that is set up from shapes alone, e.g. frod for frod_peft."
            ) from error


def plain_shapes(
    config: PretrainedConfig, backbone: BackboneConfig, num_labels: int | None
) -> Model:
    """Return the model before a method is applied, as `runner.build_model` builds it."""
    if num_labels is None:
        return ranker_shapes(config, backbone.hub_id)
    body = AutoModel.from_config(
        tower_of(config),
        dtype=torch.float32,
        attn_implementation="eager",
        trust_remote_code=False,
    )
    return with_head(body, backbone.pooling, num_labels)


def _apply_frod(model: Model, method: MethodConfig, config: BackboneConfig, seed: int) -> Groups:
    attach_shapes(model.backbone, frod_config(method, config, seed))
    return dict(frod_parameters(model.backbone))


def attach_shapes(model: nn.Module, config: FrodConfig) -> None:
    """Do as `frod.attach_frod` does, with factors and supports that have no values."""
    layers: dict[str, FrodLinear] = {}
    categories = find_targets(model, config.target_modules, config.shared_side)
    for category, members in categories.items():
        dtype, width = members[0].weight.dtype, members[0].factored.shape[1]
        basis = torch.empty(width, width, dtype=dtype, device="meta")
        nowhere = torch.empty(0, dtype=torch.int64, device="cpu")
        shared = SharedBasis(category, config, basis, nowhere, on_outputs=members[0].on_outputs)
        shared.pattern = DensePattern(width, support_size(width, config.sparse_rate))
        for target in members:
            left = torch.empty(target.factored.shape, dtype=dtype, device="meta")
            scale = torch.empty(width, dtype=dtype, device="meta")
            layers[target.name] = FrodShapes(target.module, shared, left, scale, target.transposed)
    install(model, layers)


def probe_numbers(model: nn.Module) -> int:
    """Count the numbers that an adapter's file stores besides trained values, to check factors.

    They are those of `frod.adapter_probes`.
    """
    layers = [module for module in model.modules() if isinstance(module, FrodLinear)]
    bases = {id(one.shared): one.shared for one in layers}
    return sum(shared.width for shared in bases.values()) + 4 * len(layers)
