"""How near a FRoD layer's training step is to what its multiply-adds alone would take.

The floor of a step is the multiply-adds of the cheaper of the two exact forms that go over W both
ways (docs/explanation/method.md, section 2; a layer that goes back without W takes fewer), at the
rate of a plain matrix product: `torch.mm` of `PRODUCT_SIZE`^3 multiply-adds in the layer's type
(float32 on a CPU), timed in turns with the layer's step in the same process.

The step is forward and backward of one layer with an input that requires a gradient, and with a
trained value that changed since the last step, as an optimizer would have it: whatever a layer
forms from its trained values is formed anew.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from frod_bench.bench.timing import seconds
from frod_bench.frod import FrodLinear

PRODUCT_SIZE = {"cpu": 2048, "cuda": 8192}  # long enough for the device to reach its rate
CHANGE = 1e-6  # of a trained value between two steps


# The paper's choice, the basis on a layer's inputs: r = k.


def merged_multiply_adds(tokens: int, rows: int, width: int) -> int:
    """Of one training step from a weight that is formed once; products with C left out."""
    return 3 * tokens * rows * width + 2 * rows * width**2


def factored_multiply_adds(tokens: int, rows: int, width: int) -> int:
    """Of one training step of the factors on top of the frozen layer; products with C left out."""
    return 4 * tokens * rows * width + 2 * tokens * width**2


def floor_multiply_adds(tokens: int, rows: int, width: int) -> int:
    """Of the cheaper of the two, for T tokens and a weight (rows x width), m x k."""
    return min(
        merged_multiply_adds(tokens, rows, width), factored_multiply_adds(tokens, rows, width)
    )


@dataclass(frozen=True)
class LayerTimes:
    """One layer shape at one number of tokens; a list has an entry a round.

    Attributes:
        out_features: m.
        in_features: k.
        layers: how many of this shape the model has.
        multiply_adds: of the floor.
        frod_sec: the adapted layer's training step.
        linear_sec: the same of a plain layer whose weight is trained.
        floor_sec: the floor's multiply-adds at the rate of that round.
    """

    out_features: int
    in_features: int
    layers: int
    tokens: int
    multiply_adds: int
    frod_sec: list[float]
    linear_sec: list[float]
    floor_sec: list[float]

    @property
    def ratio(self) -> float:
        """Seconds over the floor: the median of the rounds' ratios."""
        pairs = zip(self.frod_sec, self.floor_sec, strict=True)
        return statistics.median(ours / floor for ours, floor in pairs)

    @property
    def rate(self) -> float:
        """Multiply-adds a second of the matrix product."""
        return self.multiply_adds / statistics.median(self.floor_sec)


def over_the_floor(layers: Sequence[LayerTimes]) -> float:
    """Seconds over the floor of all layers of a model, each shape as often as it has it."""
    ours = sum(times.layers * statistics.median(times.frod_sec) for times in layers)
    floor = sum(times.layers * statistics.median(times.floor_sec) for times in layers)
    return ours / floor


def time_layers(
    model: nn.Module, tokens: int, rounds: int, device: torch.device
) -> list[LayerTimes]:
    """Time one layer of each shape of an attached model; the widest come last.

    Its trained values come back as they were.
    """
    shapes: dict[tuple[int, int], list[FrodLinear]] = {}
    for module in model.modules():
        if isinstance(module, FrodLinear) and not module.shared.on_outputs:
            shapes.setdefault((module.in_features, module.out_features), []).append(module)
    return [
        _time_layer(layers[0], len(layers), tokens, rounds, device)
        for _, layers in sorted(shapes.items())
    ]


def _time_layer(
    layer: FrodLinear, count: int, tokens: int, rounds: int, device: torch.device
) -> LayerTimes:
    """In turns: a product of known size, a plain layer's step, and ours; one turn to warm up."""
    rows, width, dtype = layer.out_features, layer.in_features, layer.weight.dtype
    x = torch.randn(tokens, width, device=device, dtype=dtype, requires_grad=True)
    grad = torch.randn(tokens, rows, device=device, dtype=dtype)
    size = PRODUCT_SIZE[device.type]
    square = torch.randn(size, size, device=device, dtype=dtype)
    work = floor_multiply_adds(tokens, rows, width)
    plain = nn.Linear(width, rows, device=device, dtype=dtype)
    start = layer.lambda_.detach().clone()
    frod_sec, linear_sec, floor_sec = [], [], []
    for turn in range(rounds + 1):
        with torch.no_grad():
            layer.lambda_.add_(CHANGE)
        product = seconds(lambda: torch.mm(square, square), device)
        linear = seconds(_step_of(plain, x, grad), device)
        ours = seconds(_step_of(layer, x, grad), device)
        if turn > 0:
            floor_sec.append(work * product / size**3)
            linear_sec.append(linear)
            frod_sec.append(ours)
    with torch.no_grad():
        layer.lambda_.copy_(start)
    return LayerTimes(rows, width, count, tokens, work, frod_sec, linear_sec, floor_sec)


def _step_of(layer: nn.Module, x: Tensor, grad: Tensor) -> Callable[[], None]:
    """A training step without the optimizer; gradients are written and not added to."""
    x.grad = None
    layer.zero_grad(set_to_none=True)

    def step() -> None:
        layer(x).backward(grad)

    return step
