"""Plans of `head=rank`: counts, memory and FLOPs are those of the installed model."""

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaConfig, PretrainedConfig

from frod_bench.common.errors import InputError
from frod_bench.config.settings import Settings
from frod_bench.frod import core
from frod_bench.methods.registry import prepare
from frod_bench.models.loading import config_of
from frod_bench.models.multiple_choice import MultipleChoice, build_multiple_choice
from frod_bench.plan.costs import blocks_of, counts_of, rows_evaluated
from frod_bench.plan.measure import measure_step, tokens_of
from frod_bench.plan.shapes import (
    OPTION_TOKENS,
    Options,
    options_of,
    plain_shapes,
    prepare_shapes,
)
from frod_bench.plan.trace import Load
from frod_bench.training import runner
from tests.conftest import MakeCell
from tests.plan.test_counts import compose
from tests.plan.test_measured import Real

ROWS, LENGTH, OPTIONS = 4, 24, Options(count=4, tokens=6)
LOAD = Load(ROWS, "no", accumulates=False, on_accelerator=False, options=OPTIONS)


@pytest.mark.parametrize("method", ["full", "frozen", "frod"])
def test_counts_are_the_installed_models(make_cell: MakeCell, method: str) -> None:
    ready = runner.make_ready(make_cell("task=piqa", f"method={method}", "head=rank"))
    settings, params = ready.cell.settings, ready.prepared.params
    backbone = settings.backbones["reasoning"]
    config = config_of(backbone.hub_id, settings.model_root)
    assert prepare_shapes(config, backbone, settings.method, None).params == params
    counts = counts_of(settings)
    assert (counts.trained, counts.head) == (params["trainable"], 0)
    assert counts.backbone == params["backbone_total"]


@pytest.mark.parametrize("tied", [True, False])
def test_an_untied_output_layer_is_of_the_backbone(tmp_path: Path, tied: bool) -> None:
    config = LlamaConfig(
        vocab_size=40, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, tie_word_embeddings=tied, architectures=["LlamaForCausalLM"],
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    real = build_multiple_choice(tmp_path, revision=None, pretrained=True, seed=0)
    backbone = compose("task=boolq").backbones["reasoning"]
    with torch.device("meta"):
        planned = plain_shapes(config, backbone, None)
    sizes = [sum(p.numel() for p in m.pretrained_parameters()) for m in (planned, real)]
    assert sizes[0] == sizes[1]
    assert planned.head_parameters() == []


def test_llama_is_counted_with_its_output_layer_and_trains_what_it_does_with_a_head() -> None:
    settings = compose("profile=paper", "task=boolq", "method=frod", "head=rank")
    counts = counts_of(settings)
    assert (counts.trained, counts.head) == (65_210_880, 0)
    assert counts.backbone == 6_738_415_616
    tables = 2 * 4 * 32_000 * 4096  # embeddings and the output layer, untied
    assert blocks_of(settings) == (32, tables)


def test_rows_have_room_for_every_option() -> None:
    settings, config = shallow("full")
    hellaswag, boolq = settings.task, compose("task=boolq").task
    assert options_of(hellaswag, 256) == Options(4, OPTION_TOKENS)
    tokens = tokens_of(config, settings.backbone, Options(4, OPTION_TOKENS))
    assert tokens == LENGTH + 3 * OPTION_TOKENS
    assert options_of(boolq, 256) == Options(2, 4)  # " yes" has four letters, and tokens at most
    assert options_of(hellaswag, LENGTH) == Options(4, LENGTH - 1)


def ranked_batch() -> dict[str, Tensor]:
    """What `tasks.ranking` stacks: LENGTH tokens a sequence, and options that begin differently."""
    ids = torch.arange(ROWS * OPTIONS.count * LENGTH).view(ROWS, OPTIONS.count, LENGTH) + 3
    question = torch.arange(LENGTH) < LENGTH - OPTIONS.tokens
    ids[:, :, question] = ids[:, :1, question]
    mask = torch.ones_like(ids)
    return {"input_ids": ids, "attention_mask": mask, "option_mask": mask * ~question}


def shallow(method: str) -> tuple[Settings, PretrainedConfig]:
    """A cell of four options, and two blocks of its backbone."""
    length = f"backbones.reasoning.max_length={LENGTH}"
    settings = compose("task=hellaswag", f"method={method}", "head=rank", length)
    config = deepcopy(config_of(settings.backbones["reasoning"].hub_id, settings.model_root))
    config.num_hidden_layers = 2
    return settings, config


class RealRanker(Real):
    """The installed model with random values, and options of OPTIONS' lengths."""

    def __init__(self, settings: Settings, config: PretrainedConfig) -> None:
        model = AutoModelForCausalLM.from_config(
            config, dtype=torch.float32, attn_implementation="eager"
        )
        plain = MultipleChoice(model.base_model, model.get_output_embeddings(), reads_packed=True)
        backbone = settings.backbones["reasoning"]
        self.model = prepare(plain, settings.method, backbone, 0).model.train()
        self.inputs = ranked_batch()
        self.labels = torch.zeros(ROWS, dtype=torch.int64)
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.trained)


@pytest.mark.parametrize("method", ["full", "frod"])
def test_a_step_is_what_counters_measure(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    monkeypatch.setattr(core, "has_sparse_kernels", lambda device, dtype: False)
    settings, config = shallow(method)
    step = measure_step(config, settings.backbones["reasoning"], settings.method, LOAD)
    real = RealRanker(settings, config)
    rows: list[int] = []
    handle = real.model.backbone.register_forward_pre_hook(
        lambda module, args, kwargs: rows.append(kwargs["input_ids"].shape[1]), with_kwargs=True
    )
    assert step.flops == pytest.approx(real.flops(), rel=0.05)
    assert rows == [LENGTH + (OPTIONS.count - 1) * OPTIONS.tokens]
    handle.remove()
    assert step.peak_bytes == pytest.approx(real.peak_bytes(), rel=0.15)


def test_a_frozen_backbone_that_ranks_has_one_forward_pass() -> None:
    settings, config = shallow("frozen")
    step = measure_step(config, settings.backbones["reasoning"], settings.method, LOAD)
    assert step.flops == step.forward_flops > 0
    assert (step.gradient_bytes, step.optimizer_bytes) == (0, 0)
    settings, config = shallow("lora")
    trained = measure_step(config, settings.backbones["reasoning"], settings.method, LOAD)
    made = [max(one.activation_bytes) for one in (step, trained)]
    assert 0 < made[0] < made[1] / 2  # nothing is kept for a backward pass


def test_a_backbone_that_is_no_language_model_cannot_rank() -> None:
    settings = compose(
        "task=boolq", "method=full", "head=rank", "backbones.reasoning.hub_id=encoder"
    )
    with pytest.raises(InputError, match=r"backbone encoder is not a causal language model"):
        counts_of(settings)


def test_a_backbone_that_is_not_trained_is_evaluated_once() -> None:
    words = ("profile=real", "task=arc_easy", "head=rank")
    trained, frozen = (compose(*words, f"method={method}") for method in ("lora", "frozen"))
    trainer = trained.trainer
    further = -(-trainer.max_steps // trainer.eval_every_steps)
    assert trainer.curve_rows is not None
    more = rows_evaluated(trained) - rows_evaluated(frozen)
    assert more == further * trainer.curve_rows > 0
    assert rows_evaluated(frozen) == trainer.curve_rows + trained.task.rows["test"]
