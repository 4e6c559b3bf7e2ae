"""`protocol=paper` under `profile=paper` is what the authors' scripts have, family by family."""

import math
from dataclasses import asdict, replace

import pytest

from frod_bench.cells.compose import composer, without_hydra
from frod_bench.common.errors import InputError
from frod_bench.config import checks, conversion
from frod_bench.config.settings import Settings, TrainerConfig
from frod_bench.plan.costs import budget_of, rows_evaluated
from frod_bench.records.hashing import identity
from frod_bench.training.loop import in_steps

TASKS = {"vision": "cars", "nlu": "sst2", "reasoning": "boolq"}


def composed(*words: str) -> Settings:
    with composer() as compose_one:
        return conversion.resolve(without_hydra(compose_one(["profile=paper", *words])))


@pytest.mark.parametrize(
    ("family", "epochs", "rows", "schedule", "warmup", "sparse_rate", "frod", "full"),
    [
        ("vision", 4, 64, "constant", 0, 0.01, (5e-4, 5e-5, 1e-4), 1e-4),
        ("nlu", 5, 64, "cosine", 10, 0.02, (5e-4, 5e-5, 1e-5), 1e-5),
        ("reasoning", 6, 32, "cosine", 10, 0.02, (1e-4, 1e-5, 1e-5), 5e-5),
    ],
)
def test_the_released_settings(
    family: str,
    epochs: int,
    rows: int,
    schedule: str,
    warmup: float,
    sparse_rate: float,
    frod: tuple[float, float, float],
    full: float,
) -> None:
    words = (f"task={TASKS[family]}", "protocol=paper")
    settings = composed(*words, "method=frod")
    trainer, method = settings.trainer, settings.method
    assert trainer.epochs == epochs
    assert trainer.batch_rows * trainer.accumulation_steps == rows
    assert (trainer.schedule, trainer.warmup_percent) == (schedule, warmup)
    assert (trainer.weight_decay, trainer.clip_norm) == (0.01, None)
    assert method.sparse_rate == sparse_rate
    assert method.decay == "zero"
    rates = method.learning_rates
    assert (rates["lambda"], rates["rotation"], rates["head"]) == frod
    assert set(composed(*words, "method=full").method.learning_rates.values()) == {full}
    assert settings.protocol.selection == "best"
    assert settings.protocol.curve_split == "test"


def test_texts_and_low_rank_adapters_are_as_released() -> None:
    lengths = {"sst2": 256, "boolq": 512}
    for task, length in lengths.items():
        words = (f"task={task}", "protocol=paper", "method=lora")
        assert composed(*words).backbone.max_length == length
    lora = composed("task=boolq", "protocol=paper", "method=lora").method
    assert (lora.peft["r"], lora.peft["lora_alpha"], lora.peft["lora_dropout"]) == (8, 16, 0.05)
    assert "down_proj" in lora.peft["target_modules"]
    assert lora.learning_rates["adapter"] == 5e-5
    lora = composed("task=cars", "protocol=paper", "method=lora").method
    assert (lora.peft["r"], lora.peft["lora_alpha"], lora.peft["lora_dropout"]) == (64, 16, 0.1)
    dora = composed("task=cars", "protocol=paper", "method=dora").method
    assert dora.peft["lora_alpha"] / dora.peft["r"] == 2  # ours: nothing is released
    for protocol, rank, start in (("paper", 8, "pissa_niter_16"), ("fair", 64, "pissa")):
        pissa = composed("task=cars", f"protocol={protocol}", "method=pissa").method.peft
        found = (pissa["r"], pissa["lora_alpha"], pissa["init_lora_weights"])
        assert found == (rank, rank, start)
    vera = composed("task=cars", "protocol=paper", "method=vera").method
    assert (vera.peft["r"], vera.learning_rates["adapter"]) == (256, 1e-2)
    assert composed("task=sst2", "protocol=paper", "method=vera").method.learning_rates == {
        "adapter": 1e-3, "head": 1e-5,
    }  # fmt: skip
    randlora = composed("task=cars", "protocol=paper", "method=randlora").method
    assert (randlora.peft["r"], randlora.learning_rates["adapter"]) == (64, 3e-4)


@pytest.mark.parametrize("task", TASKS.values())
@pytest.mark.parametrize("method", ["lora", "frod"])
def test_other_rules_and_other_profiles_keep_their_own(task: str, method: str) -> None:
    words = (f"task={task}", f"method={method}")
    fair = composed(*words).trainer
    assert fair.epochs is None
    assert (fair.schedule, fair.clip_norm, fair.weight_decay) == ("cosine", 1.0, 0.0)
    other = composed(*words, "profile=embedded", "protocol=paper")
    assert other.trainer.epochs is None
    assert other.trainer.max_steps == 140


@pytest.mark.parametrize(
    ("rows", "steps", "every"), [(100, 50, 13), (104, 52, 13), (1, 1, 1), (8, 4, 1)]
)
def test_epochs_become_steps_with_an_evaluation_after_each(
    rows: int, steps: int, every: int
) -> None:
    config = TrainerConfig(
        max_steps=0, epochs=4.0, batch_rows=4, accumulation_steps=2, eval_every_steps=0
    )
    found = in_steps(config, rows)
    assert (found.max_steps, found.eval_every_steps) == (steps, every)
    assert found.max_steps == max(1, math.ceil(4 * rows / 8))
    limited = in_steps(replace(config, max_steps=7, eval_every_steps=3), rows)
    assert (limited.max_steps, limited.eval_every_steps) == (min(7, steps), 3)
    assert in_steps(replace(config, epochs=None, max_steps=7), rows).max_steps == 7


@pytest.mark.parametrize("key", ["max_steps", "eval_every_steps"])
def test_no_steps_without_epochs_are_refused(key: str) -> None:
    with composer() as compose_one, pytest.raises(InputError, match=rf"trainer\.{key}=0"):
        checks.validate(without_hydra(compose_one([f"trainer.{key}=0"])))


def test_a_plan_counts_the_epochs_and_the_evaluations_of_the_public_data_set() -> None:
    settings = composed("task=sst2", "protocol=paper", "method=frod")
    assert budget_of(settings).max_steps == math.ceil(5 * 67_349 / 64)
    assert rows_evaluated(settings) == (1 + 5) * 872 + 872
    fair = composed("task=sst2", "method=frod")
    validation = int(0.15 * 67_349)
    assert rows_evaluated(fair) == (1 + 10) * validation + 872


def test_a_plan_of_a_search_counts_the_rows_that_it_is_measured_on() -> None:
    """Of 58,905 rows of validation as many as a run reads, at its end and on its curve."""
    settings = composed("task=mnli", "method=frozen", "protocol=tune")
    limited = replace(settings, trainer=replace(settings.trainer, test_rows=1500, curve_rows=160))
    evaluations = 1 + -(-limited.trainer.max_steps // limited.trainer.eval_every_steps)
    assert rows_evaluated(limited) == evaluations * 160 + 1500


def test_a_task_without_its_rows_is_planned_by_steps_alone() -> None:
    settings = composed("task=sst2", "method=frod")
    unknown = replace(settings, task=replace(settings.task, rows={}))
    assert rows_evaluated(unknown) == 0
    assert budget_of(unknown).max_steps == 5000


def test_the_rows_of_a_task_and_absent_epochs_are_in_no_hash() -> None:
    settings = composed("task=sst2", "method=frod")

    config = asdict(settings)
    part = identity(config, "", "")
    assert "rows" not in part["task"]
    assert "epochs" not in part["trainer"]
    config["trainer"]["epochs"] = 5.0
    assert identity(config, "", "")["trainer"]["epochs"] == 5.0
