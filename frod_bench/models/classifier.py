"""A backbone with one linear head: the model that every method prepares and the loop trains."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import Parameter
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.models.loading import readable

transformers_logging.set_verbosity_error()  # what is missing is checked below, and is an error
transformers_logging.disable_progress_bar()

CHECKPOINT = "A checkpoint of `transformers` with safetensors weights is needed"
HEAD_STD = 0.02  # standard deviation of the head's starting weights, as in BERT's heads


class Classifier(nn.Module):
    """`backbone` -> pooled feature -> `head`.

    forward(**inputs) takes the backbone's own inputs (`input_ids` and `attention_mask`, both
    B x L, or `pixel_values`, B x 3 x H x W) and returns logits, B x num_labels.
    """

    def __init__(self, backbone: PreTrainedModel, pooling: str, num_labels: int) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise InputError(
                f"backbone.pooling={pooling!r} is unknown." + did_you_mean(pooling, POOLINGS)
            )
        self.backbone = backbone
        self.pool = POOLINGS[pooling]
        self.head = nn.Linear(backbone.config.hidden_size, num_labels)
        nn.init.normal_(self.head.weight, std=HEAD_STD)
        nn.init.zeros_(self.head.bias)

    def forward(self, **inputs: Tensor) -> Tensor:
        outputs = self.backbone(**inputs)
        return self.head(self.pool(outputs, inputs.get("attention_mask")))

    def pretrained_parameters(self) -> list[Parameter]:
        """The backbone's."""
        return list(self.backbone.parameters())

    def head_parameters(self) -> list[Parameter]:
        """Those of the new linear layer."""
        return list(self.head.parameters())


def pool_first(outputs: object, _mask: Tensor | None) -> Tensor:
    """The first token's hidden state: B x L x d -> B x d."""
    return outputs.last_hidden_state[:, 0]  # type: ignore[attr-defined]


def pool_last(outputs: object, mask: Tensor | None) -> Tensor:
    """The last token's hidden state that is no padding (padding is on the right)."""
    hidden: Tensor = outputs.last_hidden_state  # type: ignore[attr-defined]
    if mask is None:
        return hidden[:, -1]
    return hidden[torch.arange(len(hidden), device=hidden.device), mask.sum(dim=1) - 1]


def pool_mean(outputs: object, mask: Tensor | None) -> Tensor:
    """The mean of the hidden states that are no padding."""
    hidden: Tensor = outputs.last_hidden_state  # type: ignore[attr-defined]
    if mask is None:
        return hidden.mean(dim=1)
    weight = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weight).sum(dim=1) / weight.sum(dim=1)


def pool_pooler(outputs: object, _mask: Tensor | None) -> Tensor:
    """What the checkpoint's own pooler makes: for CLIP the normalised class token."""
    return outputs.pooler_output  # type: ignore[attr-defined]


POOLINGS = {
    "first": pool_first,
    "last": pool_last,
    "mean": pool_mean,
    "pooler": pool_pooler,
}


def build(
    source: str | Path,
    *,
    revision: str | None,
    pooling: str,
    num_labels: int,
    pretrained: bool,
    seed: int,
) -> Classifier:
    """Load the backbone from `source` (a folder or a Hub id) in float32 and put a head on it.

    Raises InputError where the checkpoint cannot be read or lacks weights of the model.
    With `pretrained=False` the backbone has the checkpoint's configuration and random weights.
    """
    torch.manual_seed(seed)
    common = {"revision": revision} if revision else {}
    with readable(source, "configuration", CHECKPOINT):
        config = tower_of(AutoConfig.from_pretrained(source, trust_remote_code=False, **common))
    if pretrained:
        with readable(source, "weights", CHECKPOINT):
            backbone, report = AutoModel.from_pretrained(
                source,
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                **common,
            )
        unread = "pooler." if pooling != "pooler" else None  # dropped by `with_head`
        missing = [n for n in report["missing_keys"] if unread is None or not n.startswith(unread)]
        if missing or report["mismatched_keys"]:
            raise InputError(
                f"backbone {source}: the checkpoint lacks {len(missing)} weights of the model "
                f"({', '.join(sorted(missing)[:3])} …) and {len(report['mismatched_keys'])} have "
                "another shape. Use a checkpoint of this architecture."
            )
    else:
        backbone = AutoModel.from_config(config, dtype=torch.float32, trust_remote_code=False)
    torch.manual_seed(seed)  # the head is the same whatever the backbone drew
    return with_head(backbone, pooling, num_labels)


def tower_of(config: PretrainedConfig) -> PretrainedConfig:
    """Of a checkpoint that holds an image and a text model (CLIP's) the image model's."""
    return getattr(config, "vision_config", config)


def with_head(backbone: PreTrainedModel, pooling: str, num_labels: int) -> Classifier:
    """The backbone with a head; a pooler that nothing reads is dropped, not trained nor counted."""
    if pooling != "pooler" and getattr(backbone, "pooler", None) is not None:
        backbone.pooler = None  # type: ignore[assignment]
    return Classifier(backbone, pooling, num_labels)


@torch.no_grad()
def check_reads(model: nn.Module, batch: Mapping[str, Tensor], backbone: str, task: str) -> None:
    """Raise InputError unless the model can read `batch`, the inputs of a few of the task's rows.

    It cannot where the backbone is of another family, images have a size that it does not take, the
    pooling is of something that it does not make, or of a token that has not read the text, or the
    tokenizer has more tokens than it knows.
    """
    try:
        logits = model.eval()(**batch)
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
        shapes = ", ".join(f"{name} {tuple(values.shape)}" for name, values in batch.items())
        raise InputError(
            f"backbone {backbone}: cannot read what task {task} gives it, {shapes} "
            f"({type(error).__name__}: {error}). Choose a backbone of the task's family, and check "
            "its pooling, image_size or max_length, and that tokenizer and weights belong together."
        ) from error
    if getattr(model, "pool", None) is pool_first and _sees_one_token(model, batch, logits):
        raise InputError(
            f"backbone.pooling=first of {backbone}: its first token does not see the rest of the "
            "text, as in a causal language model. Set pooling=last, or choose an encoder."
        )


def _sees_one_token(model: nn.Module, batch: Mapping[str, Tensor], logits: Tensor) -> bool:
    """Whether a text says the same when the tokens behind its first one are in another order."""
    ids = batch.get("input_ids")
    if ids is None:
        return False
    turned = torch.cat([ids[:, :1], ids[:, 1:].flip(1)], dim=1)
    return not turned.equal(ids) and model(**{**batch, "input_ids": turned}).equal(logits)


def recompute_activations(model: nn.Module) -> None:
    """Let the blocks of the model's backbone keep their inputs alone for the backward pass, and
    compute the rest again: gradient checkpointing, which gives the same gradients.

    Raises InputError where the backbone's architecture has no such thing.
    """
    backbone = model.backbone
    if not backbone.supports_gradient_checkpointing:  # type: ignore[union-attr]
        raise InputError(
            f"runtime.gradient_checkpointing=true: {type(backbone).__name__} does not support it. "
            "Set it to false; trainer.accumulation_steps saves memory as well."
        )
    backbone.gradient_checkpointing_enable({"use_reentrant": False})  # type: ignore[union-attr,operator]
