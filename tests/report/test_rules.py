"""The rules of the claims load with their types, and a broken file is refused by name."""

from pathlib import Path

import pytest

from frod_bench.common.errors import InputError
from frod_bench.report.rules import RULES_PATH, load_rules, rules_of_edition


def test_rules_are_those_fixed_before_the_first_full_run() -> None:
    rules = rules_of_edition("1")
    assert (rules.edition, rules.dated, rules.suite) == (1, "2026-11-24", "paper20_v1")
    assert not rules.accuracy.these_tasks
    assert (rules.convergence.measured_on, rules.robustness.areas) == ("score", "factors")
    assert rules.expressiveness is None
    assert (rules.accuracy.margin_points, rules.parameters.paper_percent) == (1.0, 1.72)
    assert {"lora", "dora"} == set(rules.convergence.decides)
    assert all(change.dated > rules.dated and change.why for change in rules.changes)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("margin_points: 1.0\n", "margin_point: 1.0\n", "margin_point"),
        ("target_fraction: 0.9", "target_fraction: 1.5", r"convergence\.target_fraction=1\.5"),
        ("window_evaluations: 3", "window_evaluations: few", "few"),
        ("window_evaluations: 3", "", "window_evaluations"),
        ("confidence: 0.95", "confidence: 95", "confidence=95"),
        ("confidence: 0.95", "confidence: 0", "confidence=0"),
        ("confidence: 0.95", "confidence: 1", "confidence=1"),
        ("alpha: 0.05", "alpha: 0", r"accuracy\.alpha=0"),
        ("alpha: 0.05", "alpha: 0.5", r"accuracy\.alpha=0\.5"),
        ("margin_points: 1.0\n", "margin_points: 0\n", r"accuracy\.margin_points=0"),
        ("target_fraction: 0.9", "target_fraction: 0", r"convergence\.target_fraction=0"),
        ("measured_on: loss", "measured_on: accuracy", r"convergence\.measured_on=accuracy"),
        ("estimand: these_tasks", "estimand: tasks", r"accuracy\.estimand=tasks"),
        ("areas: search", "areas: trials", r"robustness\.areas=trials"),
        ("edition: 2", "edition: 3", "edition=3"),
        ("window_evaluations: 3", "window_evaluations: 0", r"convergence\.window_evaluations=0"),
    ],
)
def test_broken_rules_are_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    text = RULES_PATH.read_text()
    assert old in text
    path = tmp_path / "claims.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=words):
        load_rules(path)


def test_an_edition_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match=r"rules=3: .* Allowed: 1, 2"):
        rules_of_edition("3")
