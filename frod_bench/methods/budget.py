"""Matched budgets: the rank at which a low-rank adapter trains about as many parameters as FRoD.

Counts follow from the layers' shapes alone, and exclude the head, which all methods train alike.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import nn
from transformers import AutoModel

from frod_bench.common.errors import InputError
from frod_bench.frod.core import support_size
from frod_bench.models.classifier import tower_of
from frod_bench.models.loading import config_of, load_config, shipped_configs

Shapes = Sequence[tuple[int, int]]  # (outputs m, inputs k) of each adapted weight


def frod_count(shapes: Shapes, sparse_rate: float) -> int:
    """Count what FRoD trains: k scales per layer, and a rotation of width k on its support."""
    return sum(k + support_size(k, sparse_rate) for _, k in shapes)


def lora_count(shapes: Shapes, rank: int, *, dora: bool = False) -> int:
    """Count what LoRA trains: r (m + k) per layer; DoRA adds m magnitudes."""
    return sum(rank * (m + k) + (m if dora else 0) for m, k in shapes)


def nearest_rank(shapes: Shapes, target: int, *, dora: bool = False) -> int:
    """Return the rank, at least 1, whose count is nearest to `target`; the lower one of a tie."""
    per_rank = lora_count(shapes, 1)
    below = (target - lora_count(shapes, 0, dora=dora)) // per_rank
    return min(
        (max(1, below), max(1, below + 1)),
        key=lambda rank: abs(lora_count(shapes, rank, dora=dora) - target),
    )


def matched_rank(
    source: str,
    revision: str | None,
    frod_modules: Sequence[str],
    sparse_rate: float,
    *,
    modules: Sequence[str] | None = None,
    dora: bool = False,
) -> int:
    """Return the rank of LoRA, or DoRA, whose count is nearest to that of FRoD at `sparse_rate`.

    Modules are names or dotted suffixes of the layers that FRoD and LoRA (None: the same) adapt.
    Raises InputError if the backbone's configuration cannot be read, or no layer matches.
    """
    target = frod_count(layer_shapes(source, revision, tuple(frod_modules)), sparse_rate)
    own = layer_shapes(source, revision, tuple(modules or frod_modules))
    return nearest_rank(own, target, dora=dora)


@lru_cache(maxsize=16)
def layer_shapes(
    source: str, revision: str | None, target_modules: tuple[str, ...]
) -> tuple[tuple[int, int], ...]:
    """Return (m, k) of every linear layer that a name or dotted suffix matches."""
    try:
        config = load_config(source, revision, "budget=matched reads it, budget=default does not")
    except InputError:
        if source not in shipped_configs():
            raise
        config = config_of(source, None)  # the Hub is out of reach
    with torch.device("meta"):
        model = AutoModel.from_config(tower_of(config), trust_remote_code=False)
    shapes = tuple(
        (module.out_features, module.in_features)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
        and any(f".{name}".endswith(f".{suffix}") for suffix in target_modules)
    )
    if not shapes:
        raise InputError(
            f"backbone.target_modules={list(target_modules)}: match no linear layer of {source}. "
            "budget=matched has nothing to count. Name its linear layers."
        )
    return shapes
