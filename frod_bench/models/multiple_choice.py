"""Multiple choice by log-likelihood: a causal language model, without new parameters.

    question: Which gas do plants take in? answer: | oxygen | carbon dioxide | helium

A question is read once, followed by all its options. A token attends to the question and to its own
option only, and has the position that it would have if its option were the only one. The result is
the same as if each option were read after its own copy of the question, with two to three times
fewer tokens.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import Parameter, functional
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from frod_bench.common.errors import InputError
from frod_bench.models.classifier import with_blocks
from frod_bench.models.loading import load_config, load_model

_PROBE_TOKENS = 4  # of the forward passes that check our scores when a model is loaded
_SHARED, _PADDING = -1, -2  # owners of the tokens that belong to no option


@dataclass(frozen=True)
class Packed:
    """N rows of at most P tokens.

    For each token of C sequences of length L, `before` is the index in its row of the token that
    precedes it in its sequence; it is undefined for the first one.
    """

    ids: Tensor  # tokens, (N, P) int64
    positions: Tensor  # of each token in its own sequence, (N, P) int64
    visible: Tensor  # whether token i attends to token j, (N, P, P) bool
    before: Tensor  # (N, C, L) int64

    def attention_bias(self, dtype: torch.dtype) -> Tensor:
        """Return the term added to attention scores, (N, 1, P, P): 0, or the minimum of `dtype`."""
        bias = torch.zeros(self.visible.shape, dtype=dtype, device=self.visible.device)
        return bias.masked_fill_(~self.visible, torch.finfo(dtype).min).unsqueeze(1)


def pack(input_ids: Tensor, attention_mask: Tensor) -> Packed:
    """Pack the C sequences of each row, a question and an option each, into one.

    Both arguments are (N, C, L), padded on the right. The shared part is the common beginning of
    all sequences of a row; it may be empty if their questions were cut at different positions. A
    sequence may have no tokens.
    """
    rows, _, length = input_ids.shape
    token = torch.arange(length, device=input_ids.device)
    is_token = attention_mask.bool()
    present = is_token.any(dim=-1)
    first = present.int().argmax(dim=-1)  # sequence of each row that has tokens
    first_ids = input_ids[torch.arange(rows, device=first.device), first]
    alike = (input_ids == first_ids[:, None]) & is_token
    shared = (alike | ~present[..., None]).all(dim=1).int().cumprod(dim=-1).sum(dim=-1)  # (N,)

    own = is_token & (token >= shared[:, None, None])
    sizes = own.sum(dim=-1)
    starts = shared[:, None] + sizes.cumsum(dim=-1) - sizes  # (N, C)
    index = starts[..., None] + token - shared[:, None, None]
    before = torch.where(token > shared[:, None, None], index, token) - 1

    width = int((shared + sizes.sum(dim=-1)).max())
    ids = input_ids.new_zeros(rows, width)
    positions, owner = torch.zeros_like(ids), torch.full_like(ids, _PADDING)
    row, sequence, number = own.nonzero(as_tuple=True)
    at = row, index[own]
    ids[at], positions[at], owner[at] = input_ids[own], number, sequence
    row, number = (token < shared[:, None]).nonzero(as_tuple=True)
    at = row, number
    ids[at], positions[at], owner[at] = first_ids[at], number, _SHARED

    order = torch.arange(width, device=ids.device)
    is_related = (owner[:, None, :] == _SHARED) | (owner[:, None, :] == owner[:, :, None])
    return Packed(ids, positions, is_related & (order <= order[:, None]), before)


class MultipleChoice(nn.Module):
    """`backbone` (the body) -> `lm_head` -> mean log-probability of each option's tokens.

    A sum would favour short options, see docs/explanation/reasoning_heads.md.

    `forward` takes `input_ids`, `attention_mask` and `option_mask`, each N x C x L: for every row C
    sequences, a question followed by an option, padded on the right. It returns scores, N x C; a
    sequence without tokens scores -inf. With `reads_packed` the question of a row is read once
    instead of once per option.
    """

    def __init__(
        self, body: PreTrainedModel, lm_head: nn.Module, *, reads_packed: bool = False
    ) -> None:
        super().__init__()
        self.backbone = body
        self.lm_head = lm_head.requires_grad_(False)  # frozen unless a method trains it
        self.reads_packed = reads_packed

    def forward(self, input_ids: Tensor, attention_mask: Tensor, option_mask: Tensor) -> Tensor:
        scored = option_mask.bool().clone()
        scored[..., 0] = False  # each token is predicted from the one before it
        hidden = self._read_packed if self.reads_packed else self._read_separately
        logits = self.lm_head(hidden(input_ids, attention_mask, scored)).float()
        log_probs = -functional.cross_entropy(logits, input_ids[scored], reduction="none")
        by_token = torch.zeros(scored.shape, device=logits.device).masked_scatter(scored, log_probs)
        scores = by_token.sum(dim=-1) / scored.sum(dim=-1)
        return scores.masked_fill(~attention_mask.any(dim=-1), -torch.inf)

    def _read_packed(self, ids: Tensor, attention_mask: Tensor, scored: Tensor) -> Tensor:
        """Return the last hidden states before each scored token, (scored tokens) x width."""
        packed = pack(ids, attention_mask)
        return self.read(packed)[scored.nonzero(as_tuple=True)[0], packed.before[scored]]

    def read(self, packed: Packed) -> Tensor:
        """Return the last hidden states of packed rows, N x P x width."""
        hidden: Tensor = self.backbone(
            input_ids=packed.ids,
            attention_mask=packed.attention_bias(self.backbone.dtype),
            position_ids=packed.positions,
            use_cache=False,
        ).last_hidden_state
        return hidden

    def _read_separately(self, ids: Tensor, attention_mask: Tensor, scored: Tensor) -> Tensor:
        """Return the same as `_read_packed`; every option has its own copy of the question."""
        present = attention_mask.any(dim=-1)
        hidden = self.backbone(
            input_ids=ids[present], attention_mask=attention_mask[present], use_cache=False
        ).last_hidden_state
        return hidden[:, :-1][scored[present][:, 1:]]

    def pretrained_parameters(self) -> list[Parameter]:
        """Return the parameters of the body and, unless it is tied, of the language-model head."""
        return list(self.parameters())

    def head_parameters(self) -> list[Parameter]:
        return []  # none are new


def build_multiple_choice(
    source: str | Path,
    *,
    revision: str | None,
    pretrained: bool,
    seed: int,
    blocks: int | None = None,
) -> MultipleChoice:
    """Load a causal language model from `source` (a folder or a Hub id) in float32. `blocks` reads
    the first ones alone, as `with_blocks` does.

    Raises InputError as `load_model` does, or if the checkpoint is not a causal language model, or
    does not compute its logits by one linear map of the last hidden states.
    """
    torch.manual_seed(seed)
    needed_for = "A causal language model of `transformers` with safetensors weights is needed"
    config = with_blocks(load_config(source, revision, needed_for), blocks)
    check_causal(config, str(source))
    language_model = load_model(
        AutoModelForCausalLM,
        source,
        config,
        revision=revision,
        pretrained=pretrained,
        needed_for=needed_for,
        advice="Use a checkpoint that was saved with its language-model head, or head=classify.",
    )
    model = MultipleChoice(language_model.base_model, language_model.get_output_embeddings())
    _check_logits(language_model.eval(), model, str(source))
    model.reads_packed = _can_read_packed(model)
    return model


def check_causal(config: PretrainedConfig, source: str) -> None:
    """Raise InputError unless a checkpoint's configuration names a causal language model."""
    architectures = config.architectures or ["unknown"]
    if not set(architectures) & set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()):
        raise InputError(
            f"head=rank: the backbone {source} is not a causal language model but "
            f"{', '.join(architectures)}. Allowed for it: classify. Set head=classify, or choose a "
            "backbone whose config.json names a ...ForCausalLM."
        )


@torch.no_grad()
def _check_logits(language_model: PreTrainedModel, ours: MultipleChoice, source: str) -> None:
    """Raise InputError unless `lm_head` gives the checkpoint's own logits (no cap, no factor)."""
    ids = torch.arange(_PROBE_TOKENS).unsqueeze(0) % language_model.config.vocab_size
    logits = ours.lm_head(ours.backbone(input_ids=ids).last_hidden_state)
    if not torch.allclose(language_model(input_ids=ids).logits, logits, rtol=1e-4, atol=1e-4):
        raise InputError(
            f"head=rank: the backbone {source} ({type(language_model).__name__}) caps or scales "
            "its logits, which is not supported. Set head=classify, or choose another backbone."
        )


@torch.no_grad()
def _can_read_packed(model: MultipleChoice) -> bool:
    """Return whether scores stay the same if a row's question is read once.

    They do not if a model ignores positions, or attends to a window of tokens only.
    """
    config = model.backbone.config
    if getattr(config, "sliding_window", None) or getattr(config, "attention_chunk_size", None):
        return False
    ids = torch.arange(4 * _PROBE_TOKENS).view(1, 2, -1) % config.vocab_size
    question = torch.arange(2 * _PROBE_TOKENS) < _PROBE_TOKENS
    ids[:, :, question] = ids[:, :1, question]
    batch = ids, torch.ones_like(ids), (~question).long().expand_as(ids)
    separate = model(*batch)
    try:
        model.reads_packed = True
        return torch.allclose(model(*batch), separate, rtol=1e-4, atol=1e-4)
    except (TypeError, ValueError, RuntimeError):  # the model does not take these arguments
        return False
