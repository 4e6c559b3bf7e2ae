"""A language model that ranks options (`head=rank`), on shapes: rows of a length that bounds most.

    question … answer: | longest option | another | another ...
    \\_________ max_length ___________/ \\_ OPTION_TOKENS each _/

A question and one option are cut to `max_length` tokens. What the other options take is not known
without data, so it is assumed: see `OPTION_TOKENS`.
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

# Tokens of an option beside the longest. Of 18,299 real rows of seven of the eight tasks (SmolLM2's
# tokenizer, max_length 256) two are longer than a row is then said to be, both PIQA's.
OPTION_TOKENS = 64


@dataclass(frozen=True)
class Options:
    """What a row ranks.

    Attributes:
        count: of its options.
        tokens: of each.
    """

    count: int
    tokens: int


def options_of(task: TaskConfig, max_length: int) -> Options:
    """The task's options; those that it states itself have at most a token a byte, blank included.

    An option leaves a token of `max_length` to the question at least.
    """
    stated = task.rank.options if task.rank is not None else []
    tokens = max((len(f" {option}".encode()) for option in stated), default=OPTION_TOKENS)
    return Options(task.num_labels, max(1, min(tokens, max_length - 1)))


def row_tokens(max_length: int, options: Options) -> int:
    """Tokens of a row: the question is read once, its options behind it."""
    return max_length + (options.count - 1) * options.tokens


class RankerShapes(MultipleChoice):
    """`MultipleChoice` of packed rows; the packing is an input, since it depends on values."""

    def forward(  # type: ignore[override]
        self, ids: Tensor, positions: Tensor, visible: Tensor, before: Tensor
    ) -> Tensor:
        """Scores, (N, C), of N rows of P tokens.

        Args:
            ids: (N, P) int64.
            positions: (N, P) int64.
            visible: whether a token sees another, (N, P, P) bool.
            before: where the token before each option's stands, (N, C, tokens of an option) int64.
        """
        packed = Packed(ids, positions, visible, before)
        rows = torch.arange(len(ids)).repeat_interleave(before[0].numel())
        logits = self.lm_head(self.read(packed)[rows, before.flatten()]).float()
        told = ids[:, : before[0].numel()].flatten()  # of as many tokens, whichever they are
        found = -functional.cross_entropy(logits, told, reduction="none")
        return found.view(before.shape).sum(dim=-1) / before.shape[-1]


def ranker_shapes(config: PretrainedConfig, source: str) -> MultipleChoice:
    """What `build_multiple_choice` makes of a checkpoint, on torch's default device.

    Raises InputError where the configuration is no causal language model's.
    """
    check_causal(config, source)
    model = AutoModelForCausalLM.from_config(
        config, dtype=torch.float32, attn_implementation="eager", trust_remote_code=False
    )
    return RankerShapes(model.base_model, model.get_output_embeddings(), reads_packed=True)


def batch_of_options(rows: int, max_length: int, options: Options) -> Batch:
    """Inputs of `RankerShapes`, zeros."""
    tokens = row_tokens(max_length, options)
    return {
        "ids": torch.zeros(rows, tokens, dtype=torch.int64),
        "positions": torch.zeros(rows, tokens, dtype=torch.int64),
        "visible": torch.ones(rows, tokens, tokens, dtype=torch.bool),
        "before": torch.zeros(rows, options.count, options.tokens, dtype=torch.int64),
    }
