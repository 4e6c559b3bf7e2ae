"""The model that a cell trains, on the meta device: all of its shapes and none of its values.

With `head=rank` a row of options has a bounding length, since real ones are unknown without data:

    question … answer: | longest option | another | another ...
    \\_________ max_length ___________/ \\_ OPTION_TOKENS each _/
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModel, AutoModelForCausalLM, PretrainedConfig

from frod_bench.common.errors import NeedsValuesError
from frod_bench.config.settings import BackboneConfig, MethodConfig, TaskConfig
from frod_bench.frod import FrodConfig, frod_parameters
from frod_bench.frod.adapter import install
from frod_bench.frod.core import CorePattern, SharedBasis, support_size
from frod_bench.frod.layer import FrodLinear
from frod_bench.frod.targets import has_form_on_inputs, targets_of
from frod_bench.methods.registry import APPLIERS, Groups, Model, Prepared, frod_config, prepare
from frod_bench.models.classifier import tower_of, with_head
from frod_bench.models.multiple_choice import MultipleChoice, Packed, check_causal

# Of 18,299 real rows of seven of the eight tasks (SmolLM2's tokenizer, max_length 256), two rows,
# both PIQA's, are longer than this bounds them to be.
OPTION_TOKENS = 64


@dataclass(frozen=True)
class Options:
    """The options of a row: how many, and tokens of each."""

    count: int
    tokens: int


def options_of(task: TaskConfig, max_length: int) -> Options:
    """Return the task's options, which leave at least one token of `max_length` to the question."""
    stated = task.rank.options if task.rank is not None else []  # have at most a token per byte
    tokens = max((len(f" {option}".encode()) for option in stated), default=OPTION_TOKENS)
    return Options(task.num_labels, max(1, min(tokens, max_length - 1)))


class RankerShapes(MultipleChoice):
    """`MultipleChoice` of packed rows; the packing is an input, since it depends on values."""

    def forward(  # type: ignore[override]
        self, ids: Tensor, positions: Tensor, visible: Tensor, before: Tensor
    ) -> Tensor:
        """Return the scores, (N, C), of N rows of P tokens: ids and positions (N, P), visible
        (N, P, P) and before (N, C, an option's tokens), as in `Packed`.
        """
        packed = Packed(ids, positions, visible, before)
        rows = torch.arange(len(ids)).repeat_interleave(before[0].numel())
        logits = self.lm_head(self.read(packed)[rows, before.flatten()]).float()
        targets = ids[:, : before[0].numel()].flatten()  # their number matters, not which they are
        found = -functional.cross_entropy(logits, targets, reduction="none")
        return found.view(before.shape).sum(dim=-1) / before.shape[-1]


class DensePattern(CorePattern):
    """The trained entries of C without indices; products are dense, whose FLOPs torch counts."""

    def __init__(self, width: int, rotations: int) -> None:
        nn.Module.__init__(self)
        self.width = width
        indices = torch.empty(width + rotations, dtype=torch.int64, device="meta")
        self.register_buffer("indices", indices, persistent=False)

    def is_sparse_on(self, device: torch.device, dtype: torch.dtype) -> bool:  # noqa: ARG002
        return False


class FrodShapes(FrodLinear):
    """FRoD's layer on tensors without values, which cannot be compared.

    So it assumes that nothing changes before the optimizer's step, and that the factors give W, as
    they do if V was computed from the weights. (`frod_released` doubles W: its layers take m k
    multiply-adds more per token in float32.)
    """

    def _formed_once(self, what: str, dtype: torch.dtype, values: Tensor) -> Tensor:
        if what in self._kept and self._kept[what][0].dtype == dtype:
            return self._kept[what][0]
        return super()._formed_once(what, dtype, values)

    def _spares_weight(self, dtype: torch.dtype) -> bool:
        return dtype == self.weight.dtype and not self.is_half

    def _is_at_start(self) -> bool:
        return False

    def _stacked_once(self, *_: object) -> None:
        return None  # kept by processes on a CPU alone


def prepare_shapes(
    config: PretrainedConfig,
    backbone: BackboneConfig,
    method: MethodConfig,
    num_labels: int | None,
) -> Prepared:
    """Return what `methods.prepare` makes of the real backbone, counts included, on meta.

    If `num_labels` is None, the language model ranks options without a head. Raises InputError if
    the method does not fit or the backbone cannot rank, NeedsValuesError if the method needs values
    of weights.
    """
    with torch.device("meta"):
        model = plain_shapes(config, backbone, num_labels)
        try:
            appliers = APPLIERS | {"frod": _apply_frod}
            return prepare(model, method, backbone, seed=0, appliers=appliers)
        except NotImplementedError as error:  # torch's, when values of a meta tensor are read
            raise NeedsValuesError(
                f"method={method.name}: can't be planned, because it is set up from the values of "
                "weights. Plan a method that is set up from shapes alone, e.g. frod for frod_peft."
            ) from error


def plain_shapes(
    config: PretrainedConfig, backbone: BackboneConfig, num_labels: int | None
) -> Model:
    """Return the model before a method is applied, as `runner.build_model` builds it."""
    how = {"dtype": torch.float32, "attn_implementation": "eager"}
    if num_labels is not None:
        body = AutoModel.from_config(tower_of(config), trust_remote_code=False, **how)
        return with_head(body, backbone.pooling, num_labels)
    check_causal(config, backbone.hub_id)
    model = AutoModelForCausalLM.from_config(config, trust_remote_code=False, **how)
    return RankerShapes(model.base_model, model.get_output_embeddings(), reads_packed=True)


def _apply_frod(model: Model, method: MethodConfig, config: BackboneConfig, seed: int) -> Groups:
    attach_shapes(model.backbone, frod_config(method, config, seed))
    return dict(frod_parameters(model.backbone))


def attach_shapes(model: nn.Module, config: FrodConfig) -> None:
    """Do as `frod.attach_frod` does, with factors and supports that have no values."""
    layers: dict[str, FrodLinear] = {}
    for category, members in targets_of(model, config).items():
        dtype, width = members[0].weight.dtype, members[0].width
        V = torch.empty(width, width, dtype=dtype, device="meta")
        nowhere = torch.empty(0, dtype=torch.int64, device="cpu")
        on_outputs = members[0].on_outputs
        P = torch.empty_like(V) if has_form_on_inputs(config, members) else None
        shared = SharedBasis(category, config, V, nowhere, P=P, on_outputs=on_outputs)
        shared.pattern = DensePattern(width, support_size(width, config.sparse_rate))
        for target in members:
            shape = target.factored.shape
            U = torch.empty(shape, dtype=dtype, device="meta") if P is None else None
            lambda_0 = torch.empty(width, dtype=dtype, device="meta")
            layers[target.name] = FrodShapes(target.module, shared, U, lambda_0, target.transposed)
    install(model, layers)


def probe_numbers(model: nn.Module) -> int:
    """Count the numbers of `frod.adapter_probes`, which an adapter's file adds."""
    layers = [module for module in model.modules() if isinstance(module, FrodLinear)]
    bases = {id(one.shared): one.shared for one in layers}
    return sum(shared.width for shared in bases.values()) + 4 * len(layers)
