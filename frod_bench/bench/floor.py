"""How close a FRoD layer's training step is to what its multiply-adds alone would take.

The floor of a step is the time of the multiply-adds of the cheapest form in `multiply_adds`: exact
forms that use W in both passes (docs/explanation/method.md, section 2). A layer whose backward pass
does without W takes fewer. The rate is that of a `torch.mm` of `PRODUCT_SIZE`^3 multiply-adds in
the layer's type, interleaved with the step. A step is the forward and backward pass of one layer.
Its input requires a gradient, and its trained values have changed, so that whatever is formed from
them is formed anew.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor, nn

from frod_bench.frod import FrodLinear

PRODUCT_SIZE = {"cpu": 2048, "cuda": 8192}  # large enough for the device to reach its rate
CHANGE = 1e-6  # of a trained value between two steps


def seconds(action: Callable[[], object], device: torch.device) -> float:
    """Return the seconds until `action`, and what it started on an accelerator, is done."""
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    action()
    if on_gpu:
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def multiply_adds(tokens: int, rows: int, width: int) -> dict[str, int]:
    """Return a step's multiply-adds by exact form, without products with C; W is (rows, width)."""
    forms = {
        "merged": 3 * tokens * rows * width + (rows + min(tokens, rows)) * width**2,
        "factored": 4 * tokens * rows * width + 2 * tokens * width**2,
    }
    if rows > width:
        per_token = min(4 * tokens * width**2, 3 * tokens * width**2 + 2 * width**3)
        forms["on inputs"] = 2 * tokens * rows * width + per_token
    return forms


@dataclass(frozen=True)
class LayerTimes:
    """Times of one layer shape at one number of tokens; lists have one entry per round."""

    shape: str  # name of the model
    out_features: int  # m
    in_features: int  # k
    layers: int  # number of layers of this shape in the model
    tokens: int
    multiply_adds: int  # of the floor
    frod_sec: list[float]  # training step of the adapted layer
    linear_sec: list[float]  # training step of a plain layer whose weight is trained
    floor_sec: list[float]  # the floor's multiply-adds at the rate of that round

    @property
    def cheaper_form(self) -> str:
        """The form that the floor is of."""
        forms = multiply_adds(self.tokens, self.out_features, self.in_features)
        return min(forms, key=forms.__getitem__)

    @property
    def ratio(self) -> float:
        """Median of the rounds' ratios of FRoD's seconds to the floor."""
        pairs = zip(self.frod_sec, self.floor_sec, strict=True)
        return statistics.median(ours / floor for ours, floor in pairs)

    @property
    def rate(self) -> float:
        """Multiply-adds per second of the matrix product."""
        return self.multiply_adds / statistics.median(self.floor_sec)


def by_model(layers: Iterable[LayerTimes]) -> dict[tuple[str, int], list[LayerTimes]]:
    """Return the layers of each model at each number of tokens, which follow each other."""
    groups = groupby(layers, key=lambda times: (times.shape, times.tokens))
    return {key: list(group) for key, group in groups}


def over_the_floor(layers: Sequence[LayerTimes]) -> float:
    """Return seconds over the floor of all layers of a model."""
    ours = sum(times.layers * statistics.median(times.frod_sec) for times in layers)
    floor = sum(times.layers * statistics.median(times.floor_sec) for times in layers)
    return ours / floor


def time_layers(
    shape: str, model: nn.Module, tokens: int, rounds: int, device: torch.device
) -> list[LayerTimes]:
    """Time one layer of each shape, the widest last. Trained values stay as they were."""
    sizes: dict[tuple[int, int], list[FrodLinear]] = {}
    for module in model.modules():
        if isinstance(module, FrodLinear) and not module.shared.on_outputs:
            sizes.setdefault((module.in_features, module.out_features), []).append(module)
    return [
        _time_layer(shape, layers, tokens, rounds, device) for _, layers in sorted(sizes.items())
    ]


def _time_layer(
    shape: str, layers: Sequence[FrodLinear], tokens: int, rounds: int, device: torch.device
) -> LayerTimes:
    """Interleave a product of known size, a plain layer's step and ours; one round to warm up."""
    layer = layers[0]
    rows, width, dtype = layer.out_features, layer.in_features, layer.weight.dtype
    x = torch.randn(tokens, width, device=device, dtype=dtype, requires_grad=True)
    grad = torch.randn(tokens, rows, device=device, dtype=dtype)
    size = PRODUCT_SIZE[device.type]
    square = torch.randn(size, size, device=device, dtype=dtype)
    work = min(multiply_adds(tokens, rows, width).values())
    plain = nn.Linear(width, rows, device=device, dtype=dtype)
    start = layer.delta.detach().clone()
    frod_sec, linear_sec, floor_sec = [], [], []
    for turn in range(rounds + 1):
        with torch.no_grad():
            layer.delta.add_(CHANGE)
        product = seconds(lambda: torch.mm(square, square), device)
        linear = seconds(_step_of(plain, x, grad), device)
        ours = seconds(_step_of(layer, x, grad), device)
        if turn > 0:
            floor_sec.append(work * product / size**3)
            linear_sec.append(linear)
            frod_sec.append(ours)
    with torch.no_grad():
        layer.delta.copy_(start)
    sizes = (shape, rows, width, len(layers), tokens, work)
    return LayerTimes(*sizes, frod_sec, linear_sec, floor_sec)


def _step_of(layer: nn.Module, x: Tensor, grad: Tensor) -> Callable[[], None]:
    """Return a training step without the optimizer, which writes gradients without adding."""
    x.grad = None
    layer.zero_grad(set_to_none=True)
    return lambda: layer(x).backward(grad)
