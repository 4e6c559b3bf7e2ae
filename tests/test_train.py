"""The loop: schedule, data order, accumulation, divergence, the best step, resuming."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from frod_bench.settings import TrainerConfig
from frod_bench.train import Point, Problem, Progress, Trainer, rate_factor, rows_of_step

ROWS = 40


class Net(nn.Module):
    """A linear model with dropout, so that a lost random state would show."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.3)
        self.linear = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(self.dropout(x))


def make_problem(**changes: Any) -> Problem:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(ROWS, 6, generator=generator)
    y = (x[:, :3]).argmax(dim=1)
    rows = list(zip(x, y, strict=True))

    def collate(chosen: Any) -> dict[str, torch.Tensor]:
        return {
            "x": torch.stack([r[0] for r in chosen]),
            "labels": torch.stack([r[1] for r in chosen]),
        }

    def score(logits: torch.Tensor, labels: torch.Tensor) -> Point:
        return {"accuracy": (logits.argmax(1) == labels).float().mean().item()}

    fields: dict[str, Any] = {
        "train": rows, "held_out": rows[:20], "collate": collate,
        "loss": nn.functional.cross_entropy, "score": score,
    } | changes  # fmt: skip
    return Problem(**fields)


def config(**changes: Any) -> TrainerConfig:
    base: dict[str, Any] = {"max_steps": 12, "batch_rows": 8, "eval_every_steps": 3}
    return TrainerConfig(**(base | changes))


def fit(
    folder: Path, trainer_config: TrainerConfig, problem: Problem | None = None, rate: float = 0.05,
    on_point: Any = lambda _p: None,
) -> tuple[nn.Module, Progress]:  # fmt: skip
    torch.manual_seed(1)
    model = Net()
    trainer = Trainer(
        model, {"all": list(model.parameters())}, {"all": rate}, problem or make_problem(),
        trainer_config, seed=3, accelerator=Accelerator(cpu=True), checkpoints=folder,
        checkpoint_every_steps=4, on_point=on_point,
    )  # fmt: skip
    return model, trainer.run()


def without_seconds(progress: Progress) -> list[Point]:
    return [{k: v for k, v in point.items() if k != "seconds"} for point in progress.curve]


@given(st.integers(1, 500), st.floats(0, 100), st.sampled_from(["cosine", "linear", "constant"]))
def test_rate_factor_stays_between_zero_and_one(steps: int, warmup: float, schedule: str) -> None:
    settings = config(max_steps=steps, warmup_percent=warmup, schedule=schedule)
    factors = [rate_factor(step, settings) for step in range(1, steps + 1)]
    assert all(0 < f <= 1 for f in factors)
    assert max(factors) == pytest.approx(1.0)
    warm = math.ceil(steps * warmup / 100)
    assert factors[warm:] == sorted(factors[warm:], reverse=True)


@given(st.integers(1, 50), st.integers(1, 17), st.integers(0, 5))
def test_each_epoch_shows_each_row_once(count: int, size: int, seed: int) -> None:
    stream = [
        r for step in range(-(-3 * count // size)) for r in rows_of_step(step, count, size, seed)
    ]
    for epoch in range(3):
        assert sorted(stream[epoch * count : (epoch + 1) * count]) == list(range(count))


def test_training_lowers_the_loss_and_the_curve_starts_at_step_zero(tmp_path: Path) -> None:
    _, progress = fit(tmp_path, config(max_steps=60))
    assert [p["step"] for p in progress.curve] == list(range(61))
    assert "train_loss" not in progress.curve[0]
    assert progress.curve[-1]["eval_loss"] < 0.7 * progress.curve[0]["eval_loss"]
    assert {p["step"] for p in progress.curve if "accuracy" in p} == set(range(0, 61, 3))
    assert progress.rows == 60 * 8
    assert progress.curve[-1]["epoch"] == pytest.approx(60 * 8 / ROWS)


def test_accumulated_micro_batches_are_one_batch(tmp_path: Path) -> None:
    def model_of(folder: str, **changes: Any) -> torch.Tensor:
        torch.manual_seed(0)
        return fit(tmp_path / folder, config(**changes), make_problem())[0].linear.weight.detach()  # type: ignore[union-attr,return-value]

    # Dropout draws differ between one batch and two, so it is off here.
    original = Net.forward
    Net.forward = lambda self, x: self.linear(x)  # type: ignore[method-assign]
    try:
        whole = model_of("a", batch_rows=8)
        parts = model_of("b", batch_rows=4, accumulation_steps=2)
    finally:
        Net.forward = original  # type: ignore[method-assign]
    torch.testing.assert_close(whole, parts, rtol=1e-5, atol=1e-6)


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    calls = {"n": 0}

    def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        calls["n"] += logits.requires_grad
        value = nn.functional.cross_entropy(logits, labels)
        return value * (float("nan") if calls["n"] > 5 else 1.0)

    _, progress = fit(tmp_path, config(), make_problem(loss=loss))
    assert progress.diverged
    assert progress.curve[-1]["step"] == 6
    assert math.isnan(progress.curve[-1]["train_loss"])


class Killed(Exception):  # noqa: N818
    """Stands for a signal that ends the process."""


@pytest.mark.parametrize("killed_at", [2, 4, 7, 11])
@pytest.mark.parametrize("selection", ["last", "best"])
def test_a_killed_run_goes_on_bit_for_bit(tmp_path: Path, killed_at: int, selection: str) -> None:
    problem = make_problem(
        is_better=(lambda new, old: new["accuracy"] > old["accuracy"])
        if selection == "best"
        else None
    )
    whole_model, whole = fit(tmp_path / "whole", config(), problem)

    def kill(point: Point) -> None:
        if point["step"] == killed_at:
            raise Killed

    with pytest.raises(Killed):
        fit(tmp_path / "parts", config(), problem, on_point=kill)
    model, resumed = fit(tmp_path / "parts", config(), problem)
    assert without_seconds(resumed) == without_seconds(whole)
    for a, b in zip(model.parameters(), whole_model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path) -> None:
    _, whole = fit(tmp_path / "whole", config())

    def kill(point: Point) -> None:
        if point["step"] == 9:
            raise Killed

    with pytest.raises(Killed):
        fit(tmp_path / "parts", config(), on_point=kill)
    newest = max((tmp_path / "parts").glob("step-*"))
    (newest / "state.safetensors").write_bytes(b"cut short")
    _, resumed = fit(tmp_path / "parts", config())
    assert without_seconds(resumed) == without_seconds(whole)


def test_the_best_step_is_put_back(tmp_path: Path) -> None:
    problem = make_problem(is_better=lambda new, old: new["eval_loss"] < old["eval_loss"])
    model, progress = fit(tmp_path, config(max_steps=30), problem, rate=3.0)
    best = min((p for p in progress.curve if "eval_loss" in p), key=lambda p: p["eval_loss"])
    assert progress.best == best
    restored = copy.deepcopy(model).eval()
    x = torch.stack([row[0] for row in problem.held_out])
    y = torch.stack([row[1] for row in problem.held_out])
    assert problem.loss(restored(x), y).item() == pytest.approx(best["eval_loss"], rel=1e-5)
