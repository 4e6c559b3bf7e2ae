"""A causal language model that answers by how likely it finds each option: no new parameters."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Parameter, functional
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from frod_bench.common.errors import InputError
from frod_bench.models.loading import readable
from frod_bench.models.prefix_sharing import Packed, pack

CHECKPOINT = "A causal language model of `transformers` with safetensors weights is needed"
_TRIED_TOKENS = 4  # of the forward pass that compares our scores with the checkpoint's own


class Ranker(nn.Module):
    """`backbone` (the body) -> `lm_head` -> mean log-probability of each option's tokens.

    A sum would favour short options, and options differ in length; see docs/reasoning_heads.md.

    forward takes `input_ids`, `attention_mask` and `option_mask`, each N x C x L: for every row C
    places, each with a question and an option behind it, padded on the right. It returns scores,
    N x C; a place without tokens scores -inf. Logits are formed for the options' tokens only.

    Attributes:
        reads_packed: a row's question is read once, and not once an option (`packing`).
    """

    def __init__(
        self, body: PreTrainedModel, lm_head: nn.Module, *, reads_packed: bool = False
    ) -> None:
        super().__init__()
        self.backbone = body
        self.lm_head = lm_head.requires_grad_(False)  # as the body, frozen until a method says so
        self.reads_packed = reads_packed

    def forward(self, input_ids: Tensor, attention_mask: Tensor, option_mask: Tensor) -> Tensor:
        told = option_mask.bool().clone()
        told[..., 0] = False  # a token is told by the one before it
        read = self._read_packed if self.reads_packed else self._read_apart
        logits = self.lm_head(read(input_ids, attention_mask, told)).float()
        found = -functional.cross_entropy(logits, input_ids[told], reduction="none")
        by_token = torch.zeros(told.shape, device=found.device).masked_scatter(told, found)
        scores = by_token.sum(dim=-1) / told.sum(dim=-1)
        return scores.masked_fill(~attention_mask.any(dim=-1), -torch.inf)

    def _read_packed(self, ids: Tensor, attention_mask: Tensor, told: Tensor) -> Tensor:
        """Last hidden states of what precedes each token that is told, (tokens told) x width."""
        packed = pack(ids, attention_mask)
        return self.read(packed)[told.nonzero(as_tuple=True)[0], packed.before[told]]

    def read(self, packed: Packed) -> Tensor:
        """Last hidden states of packed rows, N x P x width."""
        hidden: Tensor = self.backbone(
            input_ids=packed.ids,
            attention_mask=packed.attention_bias(self.backbone.dtype),
            position_ids=packed.positions,
            use_cache=False,
        ).last_hidden_state
        return hidden

    def _read_apart(self, ids: Tensor, attention_mask: Tensor, told: Tensor) -> Tensor:
        """The same, every option with a question of its own."""
        present = attention_mask.any(dim=-1)
        hidden = self.backbone(
            input_ids=ids[present], attention_mask=attention_mask[present], use_cache=False
        ).last_hidden_state
        return hidden[:, :-1][told[present][:, 1:]]

    def pretrained_parameters(self) -> list[Parameter]:
        """The body's and, where it is not tied to the embeddings, the language-model head's."""
        return list(self.parameters())

    def head_parameters(self) -> list[Parameter]:
        """None: nothing is new."""
        return []


def build_ranker(
    source: str | Path, *, revision: str | None, pretrained: bool, seed: int
) -> Ranker:
    """Load a causal language model from `source` (a folder or a Hub id) in float32.

    Raises InputError where the checkpoint is none, lacks weights, or makes its logits in another
    way than by one linear map of the last hidden states.
    With `pretrained=False` it has the checkpoint's configuration and random weights.
    """
    torch.manual_seed(seed)
    common = {"revision": revision} if revision else {}
    with readable(source, "configuration", CHECKPOINT):
        config = AutoConfig.from_pretrained(source, trust_remote_code=False, **common)
    check_causal(config, str(source))
    if pretrained:
        with readable(source, "weights", CHECKPOINT):
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                source,
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                **common,
            )
        model, report = loaded
        if report["missing_keys"] or report["mismatched_keys"]:
            raise InputError(
                f"backbone {source}: the checkpoint lacks {len(report['missing_keys'])} weights of "
                f"the language model ({', '.join(sorted(report['missing_keys'])[:3])} …) and "
                f"{len(report['mismatched_keys'])} have another shape. Use a checkpoint that was "
                "saved with its language-model head, or head=classify."
            )
    else:
        model = AutoModelForCausalLM.from_config(
            config, dtype=torch.float32, trust_remote_code=False
        )
    ranker = Ranker(model.base_model, model.get_output_embeddings())
    _check_logits(model.eval(), ranker, str(source))
    ranker.reads_packed = _can_read_packed(ranker)
    return ranker


def check_causal(config: PretrainedConfig, source: str) -> None:
    """Raise InputError unless a checkpoint's configuration is a causal language model's."""
    made_as = config.architectures or ["unknown"]
    if not set(made_as) & set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()):
        raise InputError(
            f"head=rank: the backbone {source} is no causal language model but "
            f"{', '.join(made_as)}. Allowed for it: classify. Set head=classify, or choose a "
            "backbone whose config.json names a ...ForCausalLM."
        )


@torch.no_grad()
def _check_logits(model: PreTrainedModel, ranker: Ranker, source: str) -> None:
    """The checkpoint's own logits are those that `Ranker` forms (no cap, no factor)."""
    ids = torch.arange(_TRIED_TOKENS).unsqueeze(0) % model.config.vocab_size
    ours = ranker.lm_head(ranker.backbone(input_ids=ids).last_hidden_state)
    if not torch.allclose(model(input_ids=ids).logits, ours, rtol=1e-4, atol=1e-4):
        raise InputError(
            f"head=rank: the backbone {source} ({type(model).__name__}) caps or scales its logits, "
            "which is not supported. Set head=classify, or choose another backbone."
        )


@torch.no_grad()
def _can_read_packed(ranker: Ranker) -> bool:
    """Whether scores are the same when a row's question is read once.

    They are not where a model takes no positions, tells them from the mask, or looks back over a
    window of tokens only.
    """
    config = ranker.backbone.config
    if getattr(config, "sliding_window", None) or getattr(config, "attention_chunk_size", None):
        return False
    ids = torch.arange(4 * _TRIED_TOKENS).view(1, 2, -1) % config.vocab_size
    question = torch.arange(2 * _TRIED_TOKENS) < _TRIED_TOKENS
    ids[:, :, question] = ids[:, :1, question]
    batch = ids, torch.ones_like(ids), (~question).long().expand_as(ids)
    apart = ranker(*batch)
    try:
        ranker.reads_packed = True
        return torch.allclose(ranker(*batch), apart, rtol=1e-4, atol=1e-4)
    except (TypeError, ValueError, RuntimeError):  # of a model that takes no such arguments
        return False
