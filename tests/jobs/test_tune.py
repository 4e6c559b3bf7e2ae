"""Picking learning rates."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from frod_bench.common.errors import InputError
from frod_bench.jobs.profiles import WORST, pick, rates_path, with_others, write_rates


def table(scores: dict[int, list[float]]) -> pd.DataFrame:
    return pd.DataFrame(
        {"family": "nlu", "method": "lora", "trial": trial, "task": f"t{i}", "score": score,
         "lr_adapter": 0.1 * (trial + 1), "lr_head": 0.2, "lr_lambda": None}
        for trial, row in scores.items() for i, score in enumerate(row)
    )  # fmt: skip


def test_the_best_mean_over_tasks_wins_and_other_groups_are_left_out() -> None:
    picked = pick(table({0: [0.9, 0.1], 1: [0.6, 0.6], 2: [0.5, 0.6]}))
    assert picked == {"nlu": {"lora": {"adapter": 0.2, "head": 0.2}}}


def test_a_trial_that_diverged_cannot_win() -> None:
    picked = pick(table({0: [1.0, WORST], 1: [0.1, 0.1]}))
    assert picked["nlu"]["lora"]["adapter"] == 0.2


def test_a_method_that_is_tuned_later_leaves_the_others_rates_and_trials(tmp_path: Path) -> None:
    rates, trials = tmp_path / "embedded.yaml", tmp_path / "tuning.csv"
    first = table({0: [0.9, WORST], 1: [0.6, 0.6]})
    later = pd.concat([table({0: [0.1]}), table({0: [0.7, 0.5]}).assign(method="pissa")])
    first.to_csv(trials, index=False)
    write_rates(pick(first) | {"vision": {"full": {"backbone": 1e-5}}}, 2, "tune", rates)
    only_pissa = later[later["method"] == "pissa"]
    whole = with_others(only_pissa, trials)
    assert list(whole["method"]) == ["lora"] * 4 + ["pissa"] * 2
    assert pick(whole)["nlu"] == pick(first)["nlu"] | pick(only_pissa)["nlu"]
    assert len(with_others(later, trials)) == len(later)  # lora's are made anew
    write_rates(pick(only_pissa), 1, "tune", rates)
    assert yaml.safe_load(rates.read_text()) == {
        "nlu": pick(first)["nlu"] | pick(only_pissa)["nlu"],
        "vision": {"full": {"backbone": 1e-5}},
    }
    assert "pissa" in rates.read_text().splitlines()[0]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    picked = {"nlu": {"lora": {"adapter": 2e-3, "head": 0.2}}}
    write_rates(picked, 8, "tune", tmp_path / "embedded.yaml")
    assert yaml.safe_load((tmp_path / "embedded.yaml").read_text()) == picked


def test_a_method_of_which_every_trial_diverged_is_refused() -> None:
    with pytest.raises(InputError, match="none of 2 trials has a score on every task"):
        pick(table({0: [WORST, 0.1], 1: [0.1, WORST]}))


def test_rates_that_somebody_wrote_are_not_overwritten(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "small.yaml", tmp_path / "paper.yaml"
    write_rates(pick(table({0: [0.9, 0.1]})), 1, "tune", ours)
    theirs.write_text("# The released ones.\n")
    assert rates_path("small", tmp_path) == ours
    assert rates_path("paper", tmp_path) == tmp_path / "paper_tuned.yaml"
    assert rates_path("new", tmp_path) == tmp_path / "new.yaml"
