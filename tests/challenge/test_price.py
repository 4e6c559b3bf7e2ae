"""What a challenge costs is said beforehand, and agrees with the searches that are published."""

from statistics import fmean
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import yaml

from frod_bench.challenge.price import points, price_of, span
from frod_bench.common.names import has_settings
from frod_bench.common.paths import EXPERIMENTS_DIR, REFERENCE_DIR
from frod_bench.config.settings import RuntimeConfig
from frod_bench.tuning.procedure import Rules

RULES = Rules.of(yaml.safe_load((EXPERIMENTS_DIR / "tune.yaml").read_text())["experiment"])


def test_the_points_are_those_that_the_published_searches_took() -> None:
    picks = pd.read_csv(REFERENCE_DIR / "search" / "embedded" / "tables" / "picks.csv")
    groups = ("lambda", "rotation", "adapter", "backbone", "head")
    picks = picks[~picks["method"].map(has_settings)]  # variants begin with the method's pick
    more = []
    for row in picks.dropna(subset=["rate_step"]).to_dict("records"):
        own = [group for group in groups if not pd.isna(row[f"lr_{group}"])]
        least, usual = points(RULES, own)
        assert least <= row["trials"]
        assert abs(row["trials"] - usual) <= 5
        more.append(row["trials"] - usual)
    # The last stages are repeated for some, so that single searches differ more than their mean.
    assert abs(fmean(more)) <= 1


@pytest.mark.parametrize(
    ("groups", "least"),
    [([], 0), (["head"], 9), (["norms"], 9), (["norms", "head"], 12), (["a", "b", "head"], 12)],
)
def test_each_stage_is_counted_once(groups: list[str], least: int) -> None:
    assert points(RULES, groups)[0] == least


def cell(task: str, rates: dict[str, float]) -> Any:
    method = SimpleNamespace(learning_rates=rates)
    return SimpleNamespace(task=task, settings=SimpleNamespace(head="classify", method=method))


def test_runs_are_priced_at_the_seconds_of_their_tasks_and_shared_by_the_workers() -> None:
    rates = {"norms": 0.1, "head": 0.1}
    slow, quick, unknown = (cell(task, rates) for task in ("boolq", "rte", "mine"))
    reference: Any = SimpleNamespace(
        seconds={"boolq": 40.0, "rte": 10.0}, search_seconds={"boolq": 30.0, "rte": 10.0}
    )
    searches: Any = SimpleNamespace(rules=RULES, cells={"a": [slow, slow], "b": [quick, unknown]})
    price = price_of(reference, [slow], searches, [quick, quick, unknown], RuntimeConfig(jobs=2))
    verify, search, judged = price.stages
    assert (verify.runs, verify.seconds) == ((1, 1), (40.0, 40.0))
    assert search.runs == (12 * 4, 16 * 4)
    assert search.seconds[0] == 12 * (30 + 30 + 10 + 20)
    assert judged.seconds == (45.0, 45.0)  # a task without records: as long as the mean
    assert price.lines[0] == "  verify: 1 runs, about 20 seconds"
    assert price.lines[1] == "  search of learning rates: 48 to 64 runs, about 12 minutes"
    assert "About 13 minutes with 2 workers" in price.lines[-1]
    assert "25.0 s each" in price.lines[-1]
    assert "about 25 minutes from here" in price.left(2.0)


def test_it_is_for_as_many_workers_as_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frod_bench.sweep.allotment.cores", lambda: 6)
    runtime = RuntimeConfig(device="cpu", threads=2)
    reference: Any = SimpleNamespace(seconds={}, search_seconds={})
    searches: Any = SimpleNamespace(rules=RULES, cells={})
    assert price_of(reference, [], searches, [], runtime).workers == 3


def test_short_times_are_in_seconds() -> None:
    assert span(59.6) == "60 seconds"
    assert span(3600) == "60 minutes"
