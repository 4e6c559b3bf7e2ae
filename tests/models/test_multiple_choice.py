"""Multiple choice by log-likelihood: scores, gradients, and complete cells."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer, Gemma2Config, GPT2Config, LlamaConfig

from frod_bench.common.errors import InputError
from frod_bench.common.paths import SHIPPED_BACKBONES_DIR
from frod_bench.models.classifier import build_classifier
from frod_bench.models.multiple_choice import MultipleChoice, build_multiple_choice
from frod_bench.records import store
from frod_bench.training import runner
from frod_bench.training.loop import predict
from tests.conftest import MakeCell

DECODER = SHIPPED_BACKBONES_DIR / "decoder"
TASKS = ("boolq", "arc_easy", "hellaswag")
METHODS = ("full", "frozen", "lora", "dora", "frod")


def decoder() -> MultipleChoice:
    return build_multiple_choice(DECODER, revision=None, pretrained=True, seed=0).eval()


def scored_by_hand(question: str, option: str) -> float:
    """The mean log-probability of the option's tokens, one option and one token at a time."""
    tokenizer = AutoTokenizer.from_pretrained(DECODER)
    model = AutoModelForCausalLM.from_pretrained(DECODER, dtype=torch.float32).eval()
    before = tokenizer(question)["input_ids"]
    whole = tokenizer(f"{question} {option}")["input_ids"]
    assert whole[: len(before)] == before
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([whole])).logits[0]
    told = [
        functional.log_softmax(logits[i - 1], dim=-1)[whole[i]].item()
        for i in range(len(before), len(whole))
    ]
    return float(np.mean(told))


@pytest.mark.parametrize("task", TASKS)
def test_scores_are_those_of_one_option_at_a_time(make_cell: MakeCell, task: str) -> None:
    settings = make_cell(f"task={task}", "method=frozen", "head=rank").settings
    data = runner.load_data(settings)
    rows = [data.tests["test"][i] for i in range(4)]
    batch = data.collate(rows)
    labels = batch.pop("labels")
    with torch.no_grad():
        scores = decoder()(**batch)
    tokenizer = AutoTokenizer.from_pretrained(DECODER)
    assert scores.shape == (4, settings.task.num_labels)
    assert torch.isfinite(scores[range(4), labels]).all()
    for i in range(4):
        for j in range(settings.task.num_labels):
            ids = batch["input_ids"][i, j][batch["attention_mask"][i, j] == 1]
            if len(ids) == 0:
                assert scores[i, j] == -torch.inf
                continue
            behind = int(batch["option_mask"][i, j].sum())
            question = tokenizer.decode(ids[1:-behind])  # the first one begins the text
            option = tokenizer.decode(ids[-behind:]).strip()
            assert scores[i, j].item() == pytest.approx(scored_by_hand(question, option), abs=1e-4)


def batch_of(counts: tuple[int, ...], classes: int = 4, length: int = 9) -> dict[str, torch.Tensor]:
    """Random questions with `counts` options per row."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(3, 1000, (len(counts), classes, length), generator=generator)
    mask, option_mask = torch.zeros_like(ids), torch.zeros_like(ids)
    for row, count in enumerate(counts):
        mask[row, :count, : length - row] = 1
        option_mask[row, :count, length - row - 3 : length - row] = 1
    return {"input_ids": ids, "attention_mask": mask, "option_mask": option_mask}


def test_padding_never_wins_and_changes_nothing() -> None:
    model, batch = decoder(), batch_of((2, 4, 3))
    with torch.no_grad():
        scores = model(**batch)
        assert torch.isneginf(scores[0, 2:]).all()
        assert torch.isneginf(scores[2, 3:]).all()
        assert (scores.argmax(dim=-1) < torch.tensor([2, 4, 3])).all()
        alone = model(**{name: values[:1, :2] for name, values in batch.items()})
        torch.testing.assert_close(scores[:1, :2], alone, rtol=1e-5, atol=1e-5)
        other = {**batch, "input_ids": batch["input_ids"] * batch["attention_mask"]}
        torch.testing.assert_close(model(**other), scores)


@pytest.mark.parametrize("method", METHODS)
def test_only_what_a_method_trains_is_trained(make_cell: MakeCell, method: str) -> None:
    """No new parameters; adapters do not train the tied embeddings, full trains everything."""
    ready = runner.make_ready(make_cell("task=arc_easy", f"method={method}", "head=rank"))
    prepared, params = ready.prepared, ready.prepared.params
    assert "head" not in prepared.groups
    assert params["trainable_head"] == 0
    loss = functional.cross_entropy(prepared.model(**batch_of((3, 2))), torch.tensor([2, 0]))
    assert torch.isfinite(loss)
    assert loss.requires_grad == (method != "frozen")
    if method == "frozen":
        assert params["trainable"] == 0
        return
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = [p.grad for group in prepared.groups.values() for p in group]
    assert all(g is None or torch.isfinite(g).all() for g in gradients)
    assert any(g is not None and g.abs().sum() > 0 for g in gradients)
    tied = prepared.model.lm_head.weight
    assert (tied.grad is not None) == (method == "full")
    assert (params["trainable"] == params["backbone_total"]) == (method == "full")


@pytest.mark.parametrize("method", ["lora", "dora", "frod"])
def test_adapters_are_those_of_the_classifier(make_cell: MakeCell, method: str) -> None:
    ranked, classified = (
        runner.make_ready(make_cell("task=boolq", f"method={method}", f"head={head}"))
        for head in ("rank", "classify")
    )
    names = [
        {name: p.shape for name, p in ready.prepared.model.backbone.named_parameters()}
        for ready in (ranked, classified)
    ]
    assert names[0] == names[1]
    ours, theirs = ranked.prepared.params, classified.prepared.params
    assert ours["trainable_percent"] == theirs["trainable_percent"]
    assert ours["trainable"] == theirs["trainable"] - theirs["trainable_head"]
    assert ours["extra_frozen"] == theirs["extra_frozen"]


def test_an_untied_head_belongs_to_the_backbone(tmp_path: Path) -> None:
    config = LlamaConfig(
        vocab_size=40, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, tie_word_embeddings=False,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    model = build_multiple_choice(tmp_path, revision=None, pretrained=True, seed=0)
    bare = build_classifier(
        tmp_path, revision=None, pooling="last", num_labels=2, pretrained=True, seed=0
    ).pretrained_parameters()
    extra = sum(p.numel() for p in model.pretrained_parameters()) - sum(p.numel() for p in bare)
    assert extra == 40 * 16


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("method", ["frod", "frozen"])
def test_a_multiple_choice_cell_saves_a_complete_record(
    make_cell: MakeCell, task: str, method: str
) -> None:
    cell = make_cell(f"task={task}", f"method={method}", "head=rank")
    assert runner.execute(cell).status == "ok"
    document = store.load(cell.record_path)
    assert document["config"]["head"] == "rank"
    assert document["steps"] == (0 if method == "frozen" else 4)
    assert cell.label == f"{task}_rank/{method}/0"
    curve = store.read_curve(cell.record_path)
    assert np.isfinite(curve[-1]["eval_loss"] or np.nan)
    table = pq.read_table(store.predictions_path(cell.record_path))
    assert len(table) == 32


def test_multiple_choice_starts_from_zero_shot_knowledge(make_cell: MakeCell) -> None:
    """Zero-shot, before any step; 0.25 is chance, and 3 standard errors of 500 rows are 0.058."""
    cell = make_cell("task=hellaswag", "method=frozen", "head=rank", "trainer.test_rows=500")
    ready = runner.make_ready(cell)
    scores, labels = predict(
        ready.prepared.model,
        ready.data.tests["test"],
        ready.data.collate,
        ready.cell.settings.trainer,
        ready.accelerator,
    )
    assert (scores.argmax(dim=-1) == labels).float().mean() > 0.31


def test_the_hash_depends_on_the_head_and_the_prompt(make_cell: MakeCell) -> None:
    ranked, classified = (make_cell("task=boolq", f"head={h}") for h in ("rank", "classify"))
    assert classified.config_hash == make_cell("task=boolq").config_hash
    assert ranked.config_hash != classified.config_hash
    assert "head" not in ranked.config["method"]["learning_rates"]
    changed = "task.rank.version=2"
    assert make_cell("task=boolq", "head=rank", changed).config_hash != ranked.config_hash
    assert make_cell("task=boolq", changed).config_hash == classified.config_hash


def test_auto_is_rank_for_tasks_with_options(make_cell: MakeCell) -> None:
    boolq = [make_cell("task=boolq", f"head={head}").config_hash for head in ("rank", "auto")]
    rte = [make_cell("task=rte", f"head={head}").config_hash for head in ("classify", "auto")]
    assert boolq[0] == boolq[1]
    assert rte[0] == rte[1]


def test_rank_has_its_own_learning_rates_if_the_profile_has_them(make_cell: MakeCell) -> None:
    own = "+learning_rates.reasoning_rank.frod.lambda=0.5"
    default = make_cell("task=boolq").config["method"]["learning_rates"]
    classified = make_cell("task=boolq", own).config["method"]["learning_rates"]
    ranked = make_cell("task=boolq", own, "head=rank").config["method"]["learning_rates"]
    assert classified == default
    assert ranked == {"lambda": 0.5, "rotation": default["rotation"]}


def test_rank_refuses_tasks_without_options(make_cell: MakeCell) -> None:
    for task in ("rte", "eurosat", "stsb"):
        with pytest.raises(InputError, match=rf"head=rank: task {task} .* Allowed for it: class"):
            make_cell(f"task={task}", "head=rank")
    with pytest.raises(InputError, match=r"head=rang: is unknown. Did you mean 'rank'"):
        make_cell("task=boolq", "head=rang")


def test_rank_refuses_backbones_that_are_not_language_models(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a causal language model but RobertaModel"):
        build_multiple_choice(
            SHIPPED_BACKBONES_DIR / "encoder", revision=None, pretrained=True, seed=0
        )
    small = {"vocab_size": 40, "n_embd": 16, "n_layer": 1, "n_head": 2}
    model = AutoModelForCausalLM.from_config(GPT2Config(**small, tie_word_embeddings=False))
    state = {name: v for name, v in model.state_dict().items() if not name.startswith("lm_head")}
    model.save_pretrained(tmp_path, state_dict=state)
    with pytest.raises(InputError, match=r"lacks 1 weights of the model \(lm_head"):
        build_multiple_choice(tmp_path, revision=None, pretrained=True, seed=0)


def test_a_model_that_caps_its_logits_is_refused(tmp_path: Path) -> None:
    config = Gemma2Config(
        vocab_size=40, hidden_size=16, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, head_dim=8, final_logit_softcapping=0.01,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="caps or scales its logits"):
        build_multiple_choice(tmp_path, revision=None, pretrained=True, seed=0)


@pytest.mark.parametrize("method", ["full", "frod", "frozen"])
def test_restored_multiple_choice_models_give_the_predictions_of_the_record(
    make_cell: MakeCell, method: str
) -> None:
    """Under the rules that pick the best step, which a run of no steps has too."""
    cell = make_cell(
        "task=boolq", f"method={method}", "head=rank", "save=adapter", "protocol=paper"
    )
    assert runner.execute(cell).status == "ok"
    model = runner.restore_trained(cell)
    settings = cell.settings
    data = runner.load_data(settings)
    accelerator = runner.make_accelerator(settings)
    scores, _ = predict(model, data.tests["test"], data.collate, settings.trainer, accelerator)
    kept = pq.read_table(store.predictions_path(cell.record_path))["prediction"].to_numpy()
    assert scores.argmax(dim=-1).tolist() == kept.tolist()
