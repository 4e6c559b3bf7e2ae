"""Published runs that the code of version 1.0.0 made again have the same results, and the tool
that makes runs again sees each kind of difference.
"""

import copy
from collections import Counter
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from frod_bench.common import processes
from frod_bench.common.errors import InputError
from frod_bench.records import sources
from frod_bench.records.schema import Record
from frod_bench.training import runner
from tests.conftest import SHORT, MakeCell
from tools import runs_again
from tools.evidence_hours import REFERENCE, records_in
from tools.quotes import again as synthetic
from tools.runs_again import Run, differences, drawn, key_of, planned, report, runs_in

SMALL = "earlier_runs/amd/first_rules/embedded"  # 15 runs of one version
SAMPLES = (synthetic.SEARCH, synthetic.ON_AMD)


def group_of(folder: str, record: Record) -> tuple[str, str, str]:
    experiment = record["config"].get("experiment") or {}
    return folder, str(experiment.get("name")), record["provenance"]["code_version"]


def test_runs_on_real_data_are_equal_in_everything_but_seconds_and_memory() -> None:
    """The code of the search and that of the table differ from this in layer, loop and methods."""
    published, again = (runs_in(REFERENCE / folder) for folder in ("real", "again/real"))
    pairs = [(run.record["cell"]["family"], run.record["cell"]["method"]) for run in again.values()]
    methods = ("full", "lora", "dora", "frod")
    assert set(pairs) == {*product(("nlu", "reasoning", "vision"), methods)}
    experiments = {published[key].record["config"]["experiment"]["name"] for key in again}
    assert experiments == {"main_table", "tune_real"}
    for key, run in again.items():
        assert run.record["status"] == "ok", key
        assert not list(differences(published[key], run)), key


def test_runs_on_synthetic_data_are_equal_too() -> None:
    for key, run in synthetic.again().items():
        assert run.record["status"] == "ok", key
        assert not list(differences(synthetic.published()[key], run)), key


def test_one_version_made_the_runs_again_and_the_main_table() -> None:
    """The older runs are of other code, or there would be nothing to find."""
    made = [run.record["provenance"] for run in synthetic.again().values()]
    assert {one["code_version"] for one in made} == {"1.0.0+f6625209ddbe"}
    assert {(one["dirty"], one["processor"]) for one in made} == {(False, synthetic.AMD)}
    codes = [one["code"] for one in made]
    table = [record["provenance"]["code"] for record in records_in("embedded")]
    assert all(code == table[0] for code in [*codes, *table])
    before = [run.record["provenance"] for run in synthetic.published().values()]
    assert all(one["code_version"].startswith("0.2.0+") for one in before)


def test_the_runs_again_are_those_that_were_drawn_and_slow_learning() -> None:
    slow = synthetic.slow_learning()
    assert {*synthetic.again()} == set.union(slow, *synthetic.samples())
    records = [synthetic.again()[key].record for key in slow]
    shape = Counter((record["cell"]["method"], record["steps"]) for record in records)
    methods = {"frod": 20, "lora": 10, "full": 10}
    assert shape == {(name, steps): n for name, n in methods.items() for steps in (140, 420)}
    tasks = {
        name: {record["cell"]["task"] for record in records if record["cell"]["method"] == name}
        for name in methods
    }
    assert tasks["lora"] | tasks["full"] == tasks["frod"]


@pytest.mark.parametrize("folders", SAMPLES, ids=["searches", "other runs"])
def test_a_sample_has_two_runs_of_each_experiment_and_version(folders: list[str]) -> None:
    there = {
        group_of(folder, record)
        for folder in folders
        for record in records_in(folder)
        if "processor" not in record["provenance"]
    }
    counted = Counter(group_of(*one) for one in drawn(folders, synthetic.AMD))
    assert {*counted} <= there
    # Groups that are left out have runs that a folder before has, and no others.
    assert {group[1:] for group in counted} == {group[1:] for group in there}
    assert set(counted.values()) == {2}


def test_runs_of_another_processor_are_not_drawn() -> None:
    assert not drawn(["embedded"], "another one")
    assert drawn([SMALL], "another one")  # these records name none


def test_a_run_is_compared_with_that_of_the_folder_that_it_was_drawn_from() -> None:
    """The first folder has the same runs, of another processor."""
    found = drawn(["first_rules/embedded", SMALL], synthetic.AMD)
    assert {folder for folder, _ in found} == {SMALL}


@pytest.mark.parametrize("folders", SAMPLES, ids=["searches", "other runs"])
def test_the_words_of_the_drawn_records_make_their_runs(
    folders: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "processor", lambda: synthetic.AMD)
    sample, cells, _ = planned([str(tmp_path), *folders])  # compares the hashes
    assert {key_of(record) for _, record in sample} == {
        (cell.task, cell.method, cell.seed, cell.config_hash) for cell in cells
    }


@pytest.fixture(scope="module")
def run() -> Run:
    return next(iter(runs_in(REFERENCE / SMALL).values()))


def test_a_run_equals_itself(run: Run) -> None:
    assert not list(differences(run, copy.deepcopy(run)))


def other_score(run: Run) -> Run:
    run.record["metrics"]["accuracy"]["value"] += 1e-12  # type: ignore[index,operator]
    return run


def other_loss(run: Run) -> Run:
    last = run.points[max(run.points)]
    return run._replace(points={**run.points, max(run.points): {**last, "eval_loss": -1.0}})


def lost_evaluation(run: Run) -> Run:
    return run._replace(points={k: v for k, v in run.points.items() if k != max(run.points)})


def lost_step(run: Run) -> Run:
    assert "eval_loss" not in run.points[1]
    return run._replace(points={k: v for k, v in run.points.items() if k != 1})


def failed(run: Run) -> Run:
    return run._replace(record={**run.record, "status": "failed"})  # type: ignore[typeddict-item]


def other_prediction(run: Run) -> Run:
    assert run.predictions is not None
    return run._replace(predictions=run.predictions.slice(1))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (other_score, "metrics is "),
        (other_loss, "eval_loss at step "),
        (lost_evaluation, "the curves have evaluations at "),
        (lost_step, "the curves have "),
        (failed, "status is "),
        (other_prediction, "the predictions differ"),
    ],
)
def test_each_kind_of_difference_is_seen(run: Run, change: Callable[[Run], Run], line: str) -> None:
    found = list(differences(run, change(copy.deepcopy(run))))
    assert found[0].startswith(line)
    assert len(found) == (2 if change is lost_evaluation else 1)  # it is a step, too


def test_a_run_that_differs_or_is_missing_fails(capsys: pytest.CaptureFixture[str]) -> None:
    runs = runs_in(REFERENCE / SMALL)
    key, *rest = runs
    assert report(runs, runs) == 0
    assert report(runs, {**runs, key: other_loss(runs[key])}) == 1
    assert report(runs, {one: runs[one] for one in rest}) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "15 of 15 published runs are equal to those of this code."
    assert lines[2] == lines[4] == "14 of 15 published runs are equal to those of this code."
    assert lines[3].endswith("was not made again")


@pytest.fixture
def words(
    make_cell: MakeCell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, in_turn: None
) -> list[str]:
    """Of a published folder with one run, which the command makes again in this process."""
    made = make_cell("task=rte", "method=frozen")
    runner.execute(made)
    monkeypatch.setattr(runs_again, "REFERENCE", made.results_dir.parent)
    monkeypatch.setattr(runs_again, "records_in", records_below(made.results_dir.parent))
    plain = runs_again.words_of

    def short(record: Record) -> list[str]:
        known = plain(record)
        keys = {word.split("=")[0] for word in known}
        return [*known, *(word for word in SHORT if word.split("=")[0] not in keys)]

    monkeypatch.setattr(runs_again, "words_of", short)
    return [str(tmp_path / "again"), made.results_dir.name]


def records_below(root: Path) -> Callable[[str], list[Record]]:
    return lambda folder: sources.opened(root / folder).scan()[0]


def test_it_draws_makes_and_compares(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert runs_again.main(words) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "1 of 1 published runs are equal to those of this code."

    monkeypatch.setattr(runs_again, "code_digests", lambda: {"layer": "another"})
    assert runs_again.main(words) == 2
    assert "was made by other code" in capsys.readouterr().out


def test_a_run_that_fails_is_a_difference(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(runner, "make_problem", fail)
    assert runs_again.main(words) == 1
    assert "0 of 1 published runs are equal" in capsys.readouterr().out


def test_settings_with_another_hash_are_refused(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = runs_again.words_of
    monkeypatch.setattr(runs_again, "words_of", lambda one: [*plain(one), "trainer.clip_norm=0.5"])
    with pytest.raises(InputError, match="another hash"):
        planned(words)


def test_folders_of_two_profiles_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "processor", lambda: synthetic.AMD)
    monkeypatch.setattr(runs_again, "records_in", of_any_processor)
    with pytest.raises(InputError, match="embedded, real"):
        planned(["results/again", SMALL, "again/real"])


def of_any_processor(folder: str) -> list[Record]:
    return [
        {**one, "provenance": {**one["provenance"], "processor": synthetic.AMD}}  # type: ignore[typeddict-unknown-key]
        for one in records_in(folder)
    ]


@pytest.mark.parametrize(
    "words",
    [[], ["results/again"], ["results/again", "search/nothing"], ["results/again", "embedded"]],
)
def test_bad_input_ends_with_status_2(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last one has no runs of this processor."""
    monkeypatch.setattr(processes, "processor", lambda: "another one")
    assert runs_again.main(words) == 2
    assert capsys.readouterr().out.startswith("error: ")
