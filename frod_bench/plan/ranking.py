"""Multiple choice by log-likelihood (`head=rank`) on shapes, with rows of a bounding length.

    question … answer: | longest option | another | another ...
    \\_________ max_length ___________/ \\_ OPTION_TOKENS each _/

A question and one option are cut to `max_length` tokens. How long the other options are is unknown
without data, and is assumed to be `OPTION_TOKENS`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AutoModelForCausalLM, PretrainedConfig

from frod_bench.config.settings import TaskConfig
from frod_bench.models.multiple_choice import MultipleChoice, check_causal
from frod_bench.models.prefix_sharing import Packed
from frod_bench.plan.trace import Batch

# Of 18,299 real rows of seven of the eight tasks (SmolLM2's tokenizer, max_length 256), two rows,
# both PIQA's, are longer than this bounds them to be.
OPTION_TOKENS = 64


@dataclass(frozen=True)
class Options:
    """The options of a row: how many, and tokens of each."""

    count: int
    tokens: int


def options_of(task: TaskConfig, max_length: int) -> Options:
    """Return the task's options; those that it states itself have at most one token per byte.

    An option leaves at least one token of `max_length` to the question.
    """
    stated = task.rank.options if task.rank is not None else []
    tokens = max((len(f" {option}".encode()) for option in stated), default=OPTION_TOKENS)
    return Options(task.num_labels, max(1, min(tokens, max_length - 1)))


def row_tokens(max_length: int, options: Options) -> int:
    """Return the tokens of a row: the question is read once, followed by its options."""
    return max_length + (options.count - 1) * options.tokens


class RankerShapes(MultipleChoice):
    """`MultipleChoice` of packed rows; the packing is an input, since it depends on values."""

    def forward(  # type: ignore[override]
        self, ids: Tensor, positions: Tensor, visible: Tensor, before: Tensor
    ) -> Tensor:
        """Return the scores, (N, C), of N rows of P tokens.

        Args:
            ids: (N, P) int64.
            positions: (N, P) int64.
            visible: whether a token attends to another, (N, P, P) bool.
            before: index of the token before each of an option's, (N, C, option's tokens) int64.
        """
        packed = Packed(ids, positions, visible, before)
        rows = torch.arange(len(ids)).repeat_interleave(before[0].numel())
        logits = self.lm_head(self.read(packed)[rows, before.flatten()]).float()
        targets = ids[:, : before[0].numel()].flatten()  # their number matters, not which they are
        found = -functional.cross_entropy(logits, targets, reduction="none")
        return found.view(before.shape).sum(dim=-1) / before.shape[-1]


def ranker_shapes(config: PretrainedConfig, source: str) -> MultipleChoice:
    """Return what `build_multiple_choice` makes of a checkpoint, on torch's default device.

    Raises InputError if the configuration is not a causal language model's.
    """
    check_causal(config, source)
    model = AutoModelForCausalLM.from_config(
        config, dtype=torch.float32, attn_implementation="eager", trust_remote_code=False
    )
    return RankerShapes(model.base_model, model.get_output_embeddings(), reads_packed=True)


def batch_of_options(rows: int, max_length: int, options: Options) -> Batch:
    """Return inputs of `RankerShapes`, zeros."""
    tokens = row_tokens(max_length, options)
    return {
        "ids": torch.zeros(rows, tokens, dtype=torch.int64),
        "positions": torch.zeros(rows, tokens, dtype=torch.int64),
        "visible": torch.ones(rows, tokens, tokens, dtype=torch.bool),
        "before": torch.zeros(rows, options.count, options.tokens, dtype=torch.int64),
    }
