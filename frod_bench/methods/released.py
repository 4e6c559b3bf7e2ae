"""The layer of FRoD's released code: y = W x + U (diag(lambda) + S^T) V^T x + b.

It adds the adapter to the frozen layer although U, lambda and V^T reconstruct W, so before the
first step the output is 2 W x + b. In exact arithmetic this is the layer of `frod_bench.frod` over
twice the weight, with the support transposed. It serves to measure the effect of that start
(docs/explanation/method.md, section 5).
"""

import torch
from torch import nn

from frod_bench.frod import FrodLinear
from frod_bench.frod.core import CorePattern


@torch.no_grad()
def release_output(model: nn.Module) -> None:
    """Change the layers that `attach_frod` adapted to the released output, in place.

    Their own weights are doubled, which is exact in every type. `unmerge_frod` does not undo it.
    """
    layers = [module for module in model.modules() if isinstance(module, FrodLinear)]
    for shared in dict.fromkeys(layer.shared for layer in layers):
        row, column = shared.support // shared.width, shared.support % shared.width
        transposed = (column * shared.width + row).sort().values
        shared.pattern = CorePattern(shared.width, transposed).to(shared.basis.device)
    for layer in layers:
        layer.weight.mul_(2)
