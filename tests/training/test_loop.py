"""The loop: schedule, data order, accumulation, divergence, the best step, resuming."""

import copy
import math
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.amp import GradScaler

from frod_bench.common import stopping
from frod_bench.config.settings import TrainerConfig
from frod_bench.training import loop
from frod_bench.training.checkpoint import Checkpoints
from frod_bench.training.loop import Point, Problem, Progress, Trainer, lr_multiplier, rows_of_step

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


class Scaling(Accelerator):
    """Scales gradients as with fp16, which a CPU does not support."""

    def __init__(self, scaler: GradScaler) -> None:
        super().__init__(cpu=True)
        self.scaler = scaler

    def unscale_gradients(self, optimizer: Any = None) -> None:
        for prepared in self._optimizers:
            self.scaler.unscale_(prepared.optimizer)


def fit(
    folder: Path, trainer_config: TrainerConfig, problem: Problem | None = None,
    on_point: Any = lambda _p: None, scaler: GradScaler | None = None, rate: float = 0.05,
    deadline: float = math.inf,
    checkpoints: Checkpoints | None = None,
) -> tuple[nn.Module, Progress]:  # fmt: skip
    torch.manual_seed(1)
    model = Net()
    accelerator = Accelerator(cpu=True) if scaler is None else Scaling(scaler)
    trainer = Trainer(
        model, [{"name": "all", "params": list(model.parameters()), "lr": rate}],
        problem or make_problem(), trainer_config, seed=3, accelerator=accelerator,
        checkpoints=checkpoints or Checkpoints(folder, every_steps=4), on_point=on_point,
        deadline=deadline,
    )  # fmt: skip
    return model, trainer.run()


def without_seconds(progress: Progress) -> list[Point]:
    return [{k: v for k, v in point.items() if k != "seconds"} for point in progress.curve]


@given(st.integers(1, 500), st.floats(0, 100), st.sampled_from(["cosine", "linear", "constant"]))
def test_lr_multiplier_stays_between_zero_and_one(steps: int, warmup: float, schedule: str) -> None:
    settings = config(max_steps=steps, warmup_percent=warmup, schedule=schedule)
    factors = [lr_multiplier(step, settings) for step in range(1, steps + 1)]
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


def test_epochs_and_seeds_have_different_orders() -> None:
    first = rows_of_step(0, ROWS, ROWS, seed=0)
    assert first != rows_of_step(1, ROWS, ROWS, seed=0)
    assert first != rows_of_step(0, ROWS, ROWS, seed=1)


def test_gradients_are_clipped_before_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    norms = []
    step = torch.optim.AdamW.step

    def watched(optimizer: torch.optim.AdamW, *args: Any) -> Any:
        gradients = [p.grad.flatten() for group in optimizer.param_groups for p in group["params"]]
        norms.append(torch.cat(gradients).norm().item())
        return step(optimizer, *args)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    fit(tmp_path, config(max_steps=3, clip_norm=1e-3))
    assert norms == pytest.approx([1e-3] * 3, rel=1e-2)


def test_weight_decay_is_the_optimizers(tmp_path: Path) -> None:
    """AdamW with a gradient of 0 multiplies each weight by 1 - learning rate * decay."""
    flat = make_problem(loss=lambda logits, _labels: 0 * logits.sum())
    settings = config(max_steps=2, weight_decay=0.5, schedule="constant", warmup_percent=0)
    model, _ = fit(tmp_path, settings, flat, rate=0.05)
    torch.manual_seed(1)  # as `fit` does
    for trained, start in zip(model.parameters(), Net().parameters(), strict=True):
        torch.testing.assert_close(trained, start * (1 - 0.05 * 0.5) ** 2)


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
    """A signal that ends the process."""


@pytest.mark.parametrize("killed_at", [2, 4, 7, 11])
@pytest.mark.parametrize("selection", ["last", "best"])
def test_a_killed_run_resumes_bit_for_bit(tmp_path: Path, killed_at: int, selection: str) -> None:
    problem = make_problem(
        is_better=(lambda new, old: new["accuracy"] > old["accuracy"])
        if selection == "best"
        else None
    )
    whole_model, whole = fit(tmp_path / "whole", config(), problem)

    with pytest.raises(Killed):
        fit(tmp_path / "parts", config(), problem, on_point=kill_at(killed_at))
    model, resumed = fit(tmp_path / "parts", config(), problem)
    assert without_seconds(resumed) == without_seconds(whole)
    for a, b in zip(model.parameters(), whole_model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_run_that_resumes_on_another_processor_names_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What was made before the first checkpoint, after four steps, is made again.
    for name, killed_at in (("ARM", 3), ("Intel", 6), ("AMD", 9), ("Intel", 12)):
        monkeypatch.setattr(loop, "device_name", lambda device, name=name: name)
        with pytest.raises(Killed):
            fit(tmp_path, config(), on_point=kill_at(killed_at))
    _, progress = fit(tmp_path, config())
    assert progress.machines == ["Intel", "AMD"]


def kill_at(step: int) -> Any:
    def kill(point: Point) -> None:
        if point["step"] == step:
            raise Killed

    return kill


def overflowing() -> GradScaler:
    """A scaler whose scale grows until float32 overflows, as with fp16, on any processor."""
    return GradScaler("cpu", init_scale=2.0**127, growth_interval=3)


@pytest.mark.parametrize("killed_at", [5, 9])  # the first 6 steps are skipped
def test_a_killed_run_resumes_with_its_gradient_scaler(tmp_path: Path, killed_at: int) -> None:
    problem = make_problem(loss=lambda x, y: 64 * nn.functional.cross_entropy(x, y))
    whole_scaler, scaler = overflowing(), overflowing()
    whole_model, whole = fit(tmp_path / "whole", config(), problem, scaler=whole_scaler)
    with pytest.raises(Killed):
        fit(tmp_path / "parts", config(), problem, kill_at(killed_at), overflowing())
    model, resumed = fit(tmp_path / "parts", config(), problem, scaler=scaler)
    assert whole_scaler.get_scale() < 2.0**127  # there were overflows, whose steps were skipped
    assert without_seconds(resumed) == without_seconds(whole)
    assert torch.equal(model.linear.weight, whole_model.linear.weight)  # type: ignore[arg-type]
    assert scaler.state_dict() == whole_scaler.state_dict()


@pytest.mark.parametrize("scalers", [(None, overflowing()), (overflowing(), None)])
def test_a_checkpoint_of_another_precision_is_unusable(
    tmp_path: Path, scalers: tuple[Any, Any], caplog: pytest.LogCaptureFixture
) -> None:
    before, after = scalers
    with pytest.raises(Killed):
        fit(tmp_path, config(), scaler=before, on_point=kill_at(9))
    _, progress = fit(tmp_path, config(), scaler=after)
    assert "can't be used (scaler " in caplog.text
    assert progress.rows == 12 * 8


def test_the_best_step_is_restored(tmp_path: Path) -> None:
    problem = make_problem(is_better=lambda new, old: new["eval_loss"] < old["eval_loss"])
    model, progress = fit(tmp_path, config(max_steps=30), problem, rate=3.0)
    best = min((p for p in progress.curve if "eval_loss" in p), key=lambda p: p["eval_loss"])
    assert progress.best == best
    restored = copy.deepcopy(model).eval()
    x = torch.stack([row[0] for row in problem.held_out])
    y = torch.stack([row[1] for row in problem.held_out])
    assert problem.loss(restored(x), y).item() == pytest.approx(best["eval_loss"], rel=1e-5)


def assert_same(one: tuple[nn.Module, Progress], other: tuple[nn.Module, Progress]) -> None:
    """Assert that two runs have the same curve and the same weights, bit for bit."""
    assert without_seconds(one[1]) == without_seconds(other[1])
    for name, values in one[0].state_dict().items():
        assert torch.equal(values, other[0].state_dict()[name])


@pytest.mark.parametrize(
    ("number", "step"), [(signal.SIGTERM, 5), (signal.SIGUSR1, 8), (signal.SIGTERM, 12)]
)
def test_a_stopped_run_ends_after_its_step_and_is_resumed_bit_for_bit(
    tmp_path: Path, number: int, step: int
) -> None:
    def stop(point: Point) -> None:
        if point["step"] == step:
            signal.raise_signal(number)

    with pytest.raises(stopping.Stopped), stopping.listening():
        fit(tmp_path / "parts", config(), on_point=stop)
    steps = [path.name for path in (tmp_path / "parts").glob("step-*")]
    assert max(steps).startswith(f"step-{step:08d}-")
    resumed = []
    parts = fit(tmp_path / "parts", config(), on_point=resumed.append)
    assert [point["step"] for point in resumed] == list(range(13))
    assert_same(parts, fit(tmp_path / "whole", config()))


def test_a_stop_before_the_first_step_leaves_no_checkpoint(tmp_path: Path) -> None:
    def stop(point: Point) -> None:
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(stopping.Stopped), stopping.listening():
        fit(tmp_path, config(), on_point=stop)
    assert not list(tmp_path.iterdir())


def test_a_run_beyond_its_deadline_ends_after_a_step_and_is_resumed_bit_for_bit(
    tmp_path: Path,
) -> None:
    late = config(max_steps=3)
    for step in (1, 2):
        with pytest.raises(stopping.TimeIsUp, match=f"step {step}"):
            fit(tmp_path / "parts", late, deadline=-math.inf)
    parts = fit(tmp_path / "parts", late, deadline=-math.inf)  # nothing is left after its step
    assert_same(parts, fit(tmp_path / "whole", late))


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [((1.0, 0.0), stopping.Stopped), ((0.0, 1.0), stopping.TimeIsUp), ((0.0, 0.0), type(None))],
)
def test_all_processes_end_with_the_one_that_has_to(
    theirs: tuple[float, float], expected: type
) -> None:
    flags = torch.tensor(theirs)
    together = SimpleNamespace(
        num_processes=2, device="cpu", reduce=lambda ours, reduction: ours + flags
    )
    trainer: Any = SimpleNamespace(last_step=12, deadline=math.inf, accelerator=together)
    assert isinstance(Trainer.reason_to_end(trainer, 3), expected)
