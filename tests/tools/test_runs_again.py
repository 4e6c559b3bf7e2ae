"""Published runs that the code of version 1.0.0 made again have the same results, and the tool
that makes runs again sees each kind of difference.
"""

import copy
from collections import Counter
from itertools import product

import pytest

from frod_bench.cells.compose import composer
from frod_bench.cells.grid import cells_of
from tools import runs_again
from tools.evidence_hours import REFERENCE
from tools.quotes import again as synthetic
from tools.runs_again import differences, drawn, report, runs_in, words_of

SMALL = "earlier_runs/amd/first_rules/embedded"  # a small folder


def test_runs_on_real_data_are_equal_in_everything_but_seconds_and_memory() -> None:
    """The code of the search and that of the table differ from this in layer, loop and methods."""
    published, again = (runs_in(REFERENCE / folder) for folder in ("real", "again/real"))
    pairs = [(record["cell"]["family"], record["cell"]["method"]) for record, _ in again.values()]
    methods = ("full", "lora", "dora", "frod")
    assert set(pairs) == {*product(("nlu", "reasoning", "vision"), methods)}
    experiments = {published[key][0]["config"]["experiment"]["name"] for key in again}
    assert experiments == {"main_table", "tune_real"}
    for key, run in again.items():
        assert not list(differences(published[key], run)), key


def test_runs_on_synthetic_data_are_equal_too() -> None:
    for key, run in synthetic.again().items():
        made, before = (one[0]["provenance"] for one in (run, synthetic.published()[key]))
        assert made["code_version"].startswith("1.0.0+"), key
        assert (made["dirty"], made["processor"]) == (False, synthetic.AMD), key
        assert before["code_version"].startswith("0.2.0+"), key
        assert not list(differences(synthetic.published()[key], run)), key


def test_the_runs_again_are_those_that_were_drawn_and_slow_learning() -> None:
    slow = synthetic.slow_learning()
    assert {*synthetic.again()} == set.union(slow, *synthetic.samples())
    shape = Counter(
        (method, synthetic.again()[key][0]["steps"]) for key in slow for method in key[1:2]
    )
    methods = {"frod": 20, "lora": 10, "full": 10}
    assert shape == {(name, steps): n for name, n in methods.items() for steps in (140, 420)}


def test_a_sample_has_two_runs_of_each_experiment_and_version() -> None:
    sample = drawn(synthetic.SEARCH, synthetic.AMD)
    groups = [
        ((record["config"]["experiment"] or {}).get("name"), record["provenance"]["code_version"])
        for record in sample
    ]
    assert len(sample) > 40
    assert {groups.count(group) for group in groups} == {2}


def test_runs_of_another_processor_are_not_drawn() -> None:
    assert not drawn(["embedded"], "another one")
    assert drawn([SMALL], "another one")  # these records name none


def test_the_words_of_a_record_make_its_run() -> None:
    sample = [
        *drawn(synthetic.SEARCH, synthetic.AMD)[::6],
        *drawn(synthetic.ON_AMD, synthetic.AMD)[::6],
    ]
    with composer() as compose_one:
        for record in sample:
            [cell] = cells_of([["tracker=none", *words_of(record)]], compose_one)
            assert cell.config_hash == record["cell"]["config_hash"]


def test_each_kind_of_difference_is_seen() -> None:
    run = next(iter(runs_in(REFERENCE / SMALL).values()))
    assert not list(differences(run, copy.deepcopy(run)))

    other, its_curve = copy.deepcopy(run)
    other["metrics"]["accuracy"]["value"] += 1e-12
    assert [line.split()[0] for line in differences(run, (other, its_curve))] == ["metrics"]

    other, its_curve = copy.deepcopy(run)
    step = max(its_curve)
    name = next(name for name in its_curve[step] if name != "seconds")
    its_curve[step][name] = -1.0
    assert next(differences(run, (other, its_curve))).startswith(f"{name} at step {step}")

    other, its_curve = copy.deepcopy(run)
    del its_curve[step]
    assert "the curves do not share their last step" in differences(run, (other, its_curve))
    other["status"] = "failed"
    assert "the status is failed" in differences(run, (other, its_curve))


def test_a_run_that_differs_or_is_missing_fails(capsys: pytest.CaptureFixture[str]) -> None:
    runs = runs_in(REFERENCE / SMALL)
    assert report([*runs.values()], runs) == 0
    assert report([*runs.values()], {}) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "15 of 15 published runs are equal to those of this code."
    assert lines[-1] == "0 of 15 published runs are equal to those of this code."


@pytest.mark.parametrize("words", [[], ["results/again"], ["results/again", "search/nothing"]])
def test_bad_input_ends_with_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert runs_again.main(words) == 2
    assert capsys.readouterr().out.startswith("error: ")
