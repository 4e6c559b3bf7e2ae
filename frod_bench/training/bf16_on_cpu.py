"""Training in bf16 on a CPU: the same model, computed by the operations that are fast there.

With its backward pass, torch's fused attention in bf16 takes two to five times as long as plain
products. Autocast casts a frozen float32 weight again in every forward pass. PEFT's LoRA casts its
input to float32, and autocast casts it back. AdamW passes over all weights a dozen times, and its
fused kernel only once. docs/how-to/real_data.md has the seconds.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from accelerate import Accelerator
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from frod_bench.frod.layer import Fingerprint, FrodLinear


def trains_so(accelerator: Accelerator) -> bool:
    """Whether a model trains in bf16 on a CPU."""
    return accelerator.device.type == "cpu" and accelerator.mixed_precision == "bf16"


def optimizer_arguments(
    groups: Iterable[Mapping[str, Any]], accelerator: Accelerator
) -> dict[str, Any]:
    """Return what torch's AdamW is given beside its parameter groups and weight decay. Its fused
    kernel reads values in the order of memory, so that all have to be contiguous.
    """
    parameters = [parameter for group in groups for parameter in group["params"]]
    is_fused = (
        trains_so(accelerator)
        and accelerator.num_processes == 1
        and all(one.is_contiguous() and one.is_floating_point() for one in parameters)
    )
    return {"fused": True} if is_fused else {}


def adapt(model: nn.Module, accelerator: Accelerator) -> None:
    """Let a model use the operations that are fast in bf16 on a CPU.

    Attention is computed by plain products, and LoRA does not cast its input. In a single process,
    each frozen weight is cast only once; several processes may each hold only a part of a weight.
    FRoD's layers take care of their weights themselves (`FrodLinear`).
    """
    if not trains_so(accelerator):
        return
    own = {id(module.base_layer) for module in model.modules() if isinstance(module, FrodLinear)}
    for module in model.modules():
        if isinstance(module, PreTrainedModel):
            module.set_attn_implementation("eager")
        if isinstance(module, LoraLayer) and _is_plain(module):
            module.cast_input_dtype_enabled = False
        if (
            accelerator.num_processes == 1
            and type(module) is nn.Linear  # not a subclass: those compute something else
            and module.weight.dtype == torch.float32
            and not module.weight.requires_grad
            and id(module) not in own
        ):
            module.forward = _CastOnce(module)  # type: ignore[method-assign]  # of this one alone


def _is_plain(layer: LoraLayer) -> bool:
    """Whether only products under autocast read the layer's input.

    Dropout would scale the input in bf16, and DoRA takes the type of its norms from the input.
    """
    dropouts = layer.lora_dropout.values()
    return not layer.lora_variant and all(isinstance(one, nn.Identity) for one in dropouts)


class _CastOnce:
    """Forward pass of a frozen linear layer, (..., k) -> (..., m), as autocast computes it; the
    weight's copy in autocast's type is kept until `Fingerprint` notices that the weight is another
    one or was written to.
    """

    def __init__(self, layer: nn.Linear) -> None:
        self.layer = layer
        self.kept: tuple[Tensor, Fingerprint] | None = None

    def __call__(self, input: Tensor) -> Tensor:
        weight, bias = self.layer.weight, self.layer.bias
        if not torch.is_autocast_enabled("cpu") or weight.requires_grad:
            return functional.linear(input, weight, bias)
        dtype, kept = torch.get_autocast_dtype("cpu"), self.kept
        if kept is None or kept[0].dtype != dtype or not kept[1].fits(weight):
            with torch.inference_mode(False):  # a later step may save it
                kept = self.kept = weight.detach().to(dtype), Fingerprint(weight)
        return functional.linear(input, kept[0], bias)

    def __deepcopy__(self, memo: dict[int, Any]) -> "_CastOnce":
        return _CastOnce(memo.get(id(self.layer), self.layer))
