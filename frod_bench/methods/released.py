"""The output of the layer that FRoD's authors released: y = W x + U (diag(lambda) + S^T) V^T x + b.

They add the adapter to the frozen layer, and V^T, lambda and U rebuild W: before the first step the
output is 2 W x + b. In exact arithmetic it is the layer of `frod_bench.frod` over twice the weight,
with the support mirrored. Here to measure what that start is worth (docs/explanation/method.md,
section 5).
"""

import torch
from torch import nn

from frod_bench.frod import FrodLinear
from frod_bench.frod.core import CorePattern


@torch.no_grad()
def release_output(model: nn.Module) -> None:
    """Give the layers that `attach_frod` adapted the released output, in place.

    Their own weights are doubled, exactly in every type. `unmerge_frod` does not undo it.
    """
    layers = [module for module in model.modules() if isinstance(module, FrodLinear)]
    for shared in dict.fromkeys(layer.shared for layer in layers):
        row, column = shared.support // shared.width, shared.support % shared.width
        mirrored = (column * shared.width + row).sort().values
        shared.pattern = CorePattern(shared.width, mirrored).to(shared.basis.device)
    for layer in layers:
        layer.weight.mul_(2)
