"""Multiply-adds of a training step at the shapes of Llama-3.2-3B, in bfloat16 on an accelerator.

There C is dense, as torch has no sparse bfloat16 products. Counted are matrix products with a
weight, a factor or C; products of attention, the same for all methods, are left out. A test counts
the products of real layers.
"""

from collections.abc import Callable, Collection

from frod_bench.frod.contraction import merged_is_cheaper, sums_over_tokens

# Outputs and inputs of the linear layers of a block (config.json of meta-llama/Llama-3.2-3B).
BLOCKS, WIDTH, MLP, KEYS, WORDS = 28, 3072, 8192, 1024, 128_256
LAYERS = {
    "q_proj": (WIDTH, WIDTH),
    "k_proj": (KEYS, WIDTH),
    "v_proj": (KEYS, WIDTH),
    "o_proj": (WIDTH, WIDTH),
    "gate_proj": (MLP, WIDTH),
    "up_proj": (MLP, WIDTH),
    "down_proj": (WIDTH, MLP),
}
RANK = 32  # of LoRA, as in PEFT's own comparison of methods
TOKENS = (840, 4096)
# Dense peak of an A100 in bfloat16, of which 40 % is assumed, as `frod-bench plan` does.
FLOPS_PER_SEC = 0.4 * 312e12

Count = Callable[[int, int, int], int]  # multiply-adds of T tokens, m outputs and k inputs


def frozen(tokens: int, rows: int, width: int) -> int:
    """Forward pass and gradient of the inputs."""
    return 2 * tokens * rows * width


def full(tokens: int, rows: int, width: int) -> int:
    """The same, and the gradient of the weight."""
    return 3 * tokens * rows * width


def lora(tokens: int, rows: int, width: int, rank: int = RANK) -> int:
    """W, and both factors forward, backward to their inputs and to themselves."""
    return frozen(tokens, rows, width) + 3 * tokens * rank * (rows + width)


def factored(tokens: int, rows: int, width: int) -> int:
    """FRoD, [W, U] [x; C V^T x]: the form of half-precision weights."""
    return 4 * tokens * rows * width + 5 * tokens * width**2


def merged(tokens: int, rows: int, width: int) -> int:
    """FRoD, W + U C V^T: a form of float32 weights under autocast."""
    forming = (rows * width + min(rows, width) * width) * width
    if sums_over_tokens(tokens, rows, width, width):
        gradient = tokens * width * (rows + 2 * width)
    else:
        gradient = tokens * rows * width + 2 * rows * width**2
    return frozen(tokens, rows, width) + forming + gradient


def under_autocast(tokens: int, rows: int, width: int) -> int:
    """FRoD over float32 weights under autocast: the form that the layer chooses."""
    counts = tokens, rows, width, width
    merges = merged_is_cheaper(*counts, sparse=False, spares_weight=False)
    return (merged if merges else factored)(tokens, rows, width)


def peft_frod(tokens: int, rows: int, width: int) -> int:
    """PEFT's FRoD, U (diag(lambda) + S) V^T x, without W; S is made dense in bfloat16."""
    return 2 * tokens * rows * width + 5 * tokens * width**2


def of_step(count: Count, targets: Collection[str], tokens: int) -> int:
    """Multiply-adds of a step: `count` for the targets, the others and the head frozen."""
    others = [shape for name, shape in LAYERS.items() if name not in targets]
    block = sum(count(tokens, *LAYERS[name]) for name in targets)
    block += sum(frozen(tokens, *shape) for shape in others)
    return BLOCKS * block + frozen(tokens, WORDS, WIDTH)


def table() -> str:
    """Teraproducts and predicted seconds by targets, tokens and method."""
    named: dict[str, Count] = {
        f"LoRA r {RANK}": lora,
        "FRoD, bfloat16 weights": factored,
        "FRoD, float32 under autocast": under_autocast,
        "PEFT's FRoD": peft_frod,
    }
    lines = [
        f"| adapted, tokens | full | {' | '.join(named)} |",
        f"| --- |{' ---: |' * (len(named) + 1)}",
    ]
    for label, targets in (("q, v", ["q_proj", "v_proj"]), ("all", list(LAYERS))):
        for tokens in TOKENS:
            whole = BLOCKS * sum(full(tokens, *shape) for shape in LAYERS.values())
            steps = [whole + full(tokens, WORDS, WIDTH)]
            steps += [of_step(count, targets, tokens) for count in named.values()]
            cells = [f"{one / 1e12:.1f} ({2 * one / FLOPS_PER_SEC:.2f} s)" for one in steps]
            lines.append(f"| {label}, {tokens:,} | {' | '.join(cells)} |")
    return "\n".join(lines)
