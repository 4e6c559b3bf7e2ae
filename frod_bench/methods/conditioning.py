"""FRoD's rotation in coordinates in which every entry counts equally.

An entry S_ab adds S_ab u_a v_b^T to a weight. u_a has norm 1, but the columns v_b of the joint
basis do not, so that equal steps of S are unequal steps of W. With S_ab = c_b T_ab and c_b in
proportion to 1 / |v_b|, equal steps of T are steps of W of equal size.

T itself is never formed. Adam's step for an entry does not depend on the scale of its gradient (up
to Adam's epsilon). So training T at a learning rate is the same as training S at c_b times this
rate: the steps of S are multiplied by c after the optimizer has taken them. The layers, their start
and their saved adapters are those of plain FRoD. docs/explanation/method.md (section 8) has the
argument, and what differs.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn import Parameter

from frod_bench.common.errors import InputError
from frod_bench.frod.adapter import frod_layers
from frod_bench.frod.layer import FrodLinear


def scales_of(model: nn.Module) -> dict[Parameter, Tensor]:
    """Return c, (nnz,), for the trained values of S of each adapted layer.

    The mean of 1 / c^2 over a layer's entries is 1. So if all entries of S take steps of one size,
    W moves about as far with c as without. Entries that do not move W are left out of the mean.
    """
    return {layer.rotation: _column_scales(layer) for layer in frod_layers(model).values()}


def _column_scales(layer: FrodLinear) -> Tensor:
    shared = layer.shared
    width = shared.width
    # With V on the outputs the layer is V C U^T: V's columns then belong to the rows of C.
    owner = shared.support // width if shared.on_outputs else shared.support % width
    norms = torch.linalg.vector_norm(shared.V.to(layer.rotation.dtype), dim=0)[owner]
    used = norms[norms > 0]
    if not len(used):
        return torch.ones_like(norms)
    # The entry of an unused direction has no effect.
    return (used.square().mean().sqrt() / norms).where(norms > 0, 1.0)


def scale_steps(optimizer: torch.optim.Optimizer, scales: Mapping[Parameter, Tensor]) -> None:
    """Multiply every later step of `optimizer` on the parameters of `scales` by these, by entry.

    Weight decay is part of the step, as it is under AdamW's own learning rate. Raises InputError
    for parameters that are sharded over processes.
    """
    if any(isinstance(p, DTensor) for group in optimizer.param_groups for p in group["params"]):
        raise InputError(
            "method.rotation_scale=columns: is unavailable with sharded parameters (FSDP). Use "
            "conf/accelerate/ddp.yaml, or method.rotation_scale=none."
        )
    before: dict[Parameter, Tensor] = {}

    def keep(*_: object) -> None:
        before.update((parameter, parameter.detach().clone()) for parameter in scales)

    @torch.no_grad()
    def rescale(*_: object) -> None:
        for parameter, old in before.items():
            parameter.copy_(old + (parameter - old) * scales[parameter].to(old))
        before.clear()

    optimizer.register_step_pre_hook(keep)
    optimizer.register_step_post_hook(rescale)
