"""Scores at other learning rates: planted records, whose means and distances are known."""

from collections.abc import Iterator

import pytest

from tools import real_rates

LINES = ("at its pick", "half a decade lower in reasoning")
PICKED = {"full": 40.0, "lora": 50.0, "dora": 50.0, "frod": 49.0}  # of every task and seed


def record(method: str, task: str, factor: float, seed: int, points: float) -> dict[str, object]:
    return {
        "cell": {"method": method, "task": task, "seed": seed},
        "config": {"head": "rank", "rate_factors": {"all": factor}},
        "primary_metric": "accuracy",
        "metrics": {"accuracy": {"value": points / 100}},
    }


def planted(experiment: str, folder: str) -> Iterator[dict[str, object]]:
    """Full fine-tuning gains 10 points half a decade lower, the others lose 5, all on two of three
    tasks.
    """
    if experiment == "main_table":
        for method, points in PICKED.items():
            for task in ("siqa", "hellaswag", "arc_easy"):
                for seed in (0, 1):
                    yield record(method, task, 1.0, seed, points + seed)
    if experiment == "rate_robustness":
        for task in ("siqa", "hellaswag"):
            for method, points in PICKED.items():
                gain = 10 if method == "full" else -5
                yield record(method, task, real_rates.LOWER, 0, points + gain)
            yield record("full", task, real_rates.LOWER, 1, PICKED["full"] + 11)


@pytest.fixture(autouse=True)
def records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_rates, "records_of", planted)


def cells(text: str) -> dict[str, list[str]]:
    rows = [line.strip("| ").split(" | ") for line in text.split("\n") if line]
    return {name: rest for name, *rest in rows}


def test_all_methods_are_shown_where_all_have_every_factor() -> None:
    found = cells(real_rates.of_all_methods())
    assert found["points, seed 0"] == [
        f"{task} × {factor}"
        for task in ("HellaSwag (rank)", "SIQA (rank)")
        for factor in ("0.316", "1")
    ]
    assert found["full fine-tuning"] == ["50.0", "40.0"] * 2
    assert found["FRoD"] == ["44.0", "49.0"] * 2


def test_frod_is_compared_with_full_fine_tuning_at_either_rate() -> None:
    found = cells(real_rates.of_full_fine_tuning())
    assert found["full fine-tuning at its pick"] == ["40.5", "40.5", "40.5"]
    assert found["full fine-tuning half a decade lower"] == ["50.5", "50.5", "50.5"]
    assert found["FRoD"] == ["49.5", "49.5", "49.5"]
    assert found["FRoD minus full fine-tuning"][:2] == ["these 2 tasks", "all 3 tasks"]
    means = {name: [text.split(" [")[0] for text in found[name][:2]] for name in LINES}
    assert means["at its pick"] == ["+9.0", "+9.0"]
    assert means["half a decade lower in reasoning"] == ["\u22121.0", "+2.3"]  # (-1 - 1 + 9) / 3
