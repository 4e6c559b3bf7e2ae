"""What others measured: the files are checked, and every shown number follows from them."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from frod_bench.common.errors import InputError
from frod_bench.report import build
from frod_bench.report.asked import Cell
from frod_bench.report.keys import Method
from frod_bench.report.published import files
from frod_bench.report.published.figure import _apart, released_panels
from frod_bench.report.published.numbers import (
    LOSS,
    curves_of,
    labelled_runs,
    load_published,
    points_to_loss,
)
from frod_bench.report.published.words import words_of_others
from frod_bench.report.rules import rules_of_edition
from tests.report.page_reader import Page

ROOT = Path(__file__).parents[2]
RULES = rules_of_edition("1")
FROD, FULL, LORA = map(Method, ("frod", "full", "lora"))
Rows = list[dict[str, str]]
Change = Callable[[Rows], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the published files."""
    return Path(shutil.copytree(files.PUBLISHED_DIR, tmp_path / "published"))


def changed(path: Path, change: Change) -> Path:
    """The file with its rows changed in place."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    change(rows)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def setting(line: int, **values: str) -> Change:
    """A change of the values in a line of the file, whose first line names the columns."""
    return lambda rows: rows[line - 2].update(values)


LOSSES_REFUSED = {
    "line 7: training_loss='nan' must be a finite number": setting(7, training_loss="nan"),
    "line 7: training_loss='' must be a finite number": setting(7, training_loss=""),
    "line 7: training_loss='low' must be a finite number": setting(7, training_loss="low"),
    "line 7: logged_point='5.0' must be a whole number": setting(7, logged_point="5.0"),
    "line 7: logged_point=4 must be more than 4": setting(7, logged_point="4"),
    "line 7: method='lola' is unknown. Did you mean 'lora'": setting(7, method="lola"),
    "run=796971 must be of one method, and is of full, lora": setting(7, method="lora"),
    "line 7: run=' ' must not be empty": setting(7, run=" "),
    "run=alone must have at least two points": setting(7, run="alone"),
    "has no column training_loss, an unknown column 'loss'": lambda rows: [
        row.update(loss=row.pop("training_loss")) for row in rows
    ],
}


@pytest.mark.parametrize("message", LOSSES_REFUSED)
def test_losses_that_do_not_fit_are_refused_by_line(folder: Path, message: str) -> None:
    path = changed(folder / files.RELEASED, LOSSES_REFUSED[message])
    with pytest.raises(InputError) as refused:
        files.loss_curves(path)
    assert f"{path}" in str(refused.value)
    assert message in str(refused.value)
    assert "Correct the file, or name another." in str(refused.value)


RUNS_REFUSED = {
    "line 3: method='NOLORA' is unknown": setting(3, method="NOLORA"),
    "line 3: test_accuracy='47.8' must be a number from 0 to 1": setting(3, test_accuracy="47.8"),
    "line 3: peft_config='[]' must be an object in JSON": setting(3, peft_config="[]"),
    "line 3: trained=9 must not be more than total=8": setting(3, trained="9", total="8"),
    "line 3: weight_decay='much' must be empty or a number": setting(3, weight_decay="much"),
    "line 4: run is named twice": lambda rows: rows[2].update(run=rows[1]["run"]),
    "has no rows of run=nowhere": setting(3, run="nowhere"),
}


@pytest.mark.parametrize("message", RUNS_REFUSED)
def test_runs_that_do_not_fit_are_refused_by_line(folder: Path, message: str) -> None:
    changed(folder / files.PEFT_RUNS, RUNS_REFUSED[message])
    with pytest.raises(InputError) as refused:
        files.peft_runs(folder)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"method,run,logged_point,training_loss\n", "has no rows"),
        (b"method,run,logged_point,training_loss\nfrod,1,0\n", "line 2: has fewer values"),
        (b"method,run,logged_point,training_loss\nfrod,1,0,1,1\n", "line 2: has more values"),
        (b"", "has no column method, no column run"),
        (b"method,run\xff\n", "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_files_that_are_no_table_are_refused(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "losses.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        files.loss_curves(path)


def test_steps_of_a_curve_increase(folder: Path) -> None:
    changed(folder / files.PEFT_CURVES, setting(3, step="250"))
    with pytest.raises(InputError, match="line 3: step=250 must be more than 250"):
        files.peft_curves(folder)


def test_a_report_with_a_bad_published_file_writes_nothing(
    experiment: tuple[Path, list[Cell]],
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changed(folder / files.RELEASED, setting(7, training_loss="nan"))
    monkeypatch.setattr(build, "load_published", lambda: load_published(folder))
    root, cells = experiment
    with pytest.raises(InputError, match="training_loss='nan'"):
        build.write_report(root, "embedded", cells, "title", out_dir=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_rules_published_ratios_follow_from_the_released_curves() -> None:
    """claims.yaml has ratios of first points of mean curves, read off by eye: each point is right
    to within one, since it may be counted from 0 or from 1.
    """
    losses = load_published().losses
    means = losses.groupby(["method", "logged_point"])["training_loss"].mean()
    first = {m: (means[m] < LOSS).idxmax() for m in ("frod", "full", "lora")}
    assert first == {"frod": 60, "full": 36, "lora": 218}
    for method, ratio in RULES.convergence.published_ratio.items():
        low = (first[method] - 1) / (first["frod"] + 1)
        high = (first[method] + 1) / (first["frod"] - 1)
        assert low <= ratio <= high, method


def test_points_to_a_loss_are_counted_run_by_run() -> None:
    lines = {
        ("frod", "a"): [5, 3, 1, 1, 1, 1],
        ("frod", "b"): [5, 3, 3, 1, 1, 1],
        ("lora", "c"): [5, 5, 5, 5, 1, 1],
        ("lora", "d"): [5, 5, 5, 5, 5, 5],
    }
    rows = [(*key, p, v) for key, values in lines.items() for p, v in enumerate(values)]
    losses = pd.DataFrame(rows, columns=["method", "run", "logged_point", "training_loss"])
    found = points_to_loss(curves_of(losses), FROD, 1, [2.0, 4.0]).set_index(["loss", "method"])
    ours, theirs = found.loc[2.0, "frod"], found.loc[2.0, "lora"]
    assert tuple(ours[["points", "low", "high", "n_missed", "ratio"]]) == (2.5, 2, 3, 0, 1)
    assert (theirs["low"], theirs["high"], theirs["n_missed"]) == (4, np.inf, 1)
    assert np.isinf(theirs["ratio"])
    assert (theirs["ratio_low"], theirs["last"]) == (4 / 3, 5)
    assert found.loc[4.0, "lora"]["low"] == 4
    assert points_to_loss(curves_of(losses), FROD, 3, [2.0])["points"].iloc[0] == 3.5  # later
    assert points_to_loss(curves_of(losses), FULL, 1)["ratio"].isna().all()  # is not in the curves


def test_the_ratio_depends_on_the_loss() -> None:
    found = points_to_loss(load_published().curves, FROD, 3, [2.0, 1.0, 0.5])
    lora = found[found["method"] == "lora"].set_index("loss")["ratio"]
    assert lora[2.0] < lora[1.0] < lora[0.5] == np.inf


def test_runs_are_named_by_what_they_differ_in() -> None:
    runs = labelled_runs(load_published().runs).set_index("run")
    assert runs.loc["frod--llama-3.2-3B-default", "variant"] == "s 0.01, lr 0.0001"
    assert runs.loc["pvera--llama-3.2-3B-rank64", "variant"] == "r 64"
    plain = runs.loc["lora--llama-3.2-3B-rank32"]
    assert (plain["variant"], plain["settings"]) == ("", "r 32, lr 0.0001")
    dora, rslora = "lora--llama-3.2-3B-rank32-dora", "lora--llama-3.2-3B-rank64-rslora"
    assert list(runs.loc[[dora, rslora], "method"]) == ["dora", "rslora"]


def test_a_training_step_is_timed_without_the_test() -> None:
    run = load_published().runs.set_index("run").loc["frod--llama-3.2-3B-default"]
    curve = files.peft_curves().groupby("run").get_group("frod--llama-3.2-3B-default")
    assert run["step_sec"] == pytest.approx(curve["train_sec"].sum() / 5000)
    assert run["step_sec"] * 5000 < 0.6 * run["train_time_sec"]


def test_the_results_page_tells_what_the_files_say() -> None:
    text = " ".join((ROOT / "docs/reference/results.md").read_text().split())
    runs = load_published().runs.drop_duplicates("method").set_index("method")
    score, step_sec = 100 * runs["test_accuracy"], runs["step_sec"]
    found = points_to_loss(load_published().curves, FROD, 3, [2.0, 1.0, 0.7])
    ratio = found.set_index(["method", "loss"])["ratio"]
    for words in (
        f"LoRA needs {ratio['lora', 1.0]:.1f} times FRoD's steps to a training loss of 1.0, and "
        f"full fine-tuning {ratio['full', 1.0]:.2f} times",
        f"{ratio['lora', 2.0]:.1f} to a loss of 2, {ratio['lora', 0.7]:.1f} to 0.7",
        f"FRoD scores {score['frod']:.1f} % with one setting",
        f"full fine-tuning {score['full']:.1f}, LoRA {score['lora']:.1f} and rsLoRA "
        f"{score['rslora']:.1f}",
        f"takes {step_sec['frod'] / step_sec['lora']:.1f} times as long as LoRA's and "
        f"{step_sec['frod'] / step_sec['full']:.2f} times as long as full",
    ):
        assert words in text


def test_claims_name_what_others_measured(page: Page) -> None:
    words = {key: words_of_others(key, RULES) for key in ("accuracy", "convergence", "parameters")}
    runs = load_published().runs
    scores = [f"{100 * score:.1f}" for score in runs.loc[runs["method"] == "frod", "test_accuracy"]]
    assert f"FRoD {' or '.join(scores)} %, by its settings, and full" in words["accuracy"]
    found = points_to_loss(load_published().curves, FROD, 3).set_index("method")["ratio"]
    assert f"LoRA {found['lora']:.2g} ×" in words["convergence"]
    assert "(no DoRA)" in words["convergence"]
    assert not words["parameters"]
    assert words["accuracy"] in page.text
    assert words["convergence"] in page.text


@pytest.fixture(scope="module")
def tables(experiment: tuple[Path, list[Cell]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of the experiment that has everything in it."""
    root, cells = experiment
    out = tmp_path_factory.mktemp("out")
    build.write_report(root, "embedded", cells, "title", parts=("tables",), out_dir=out)
    return out / "tables"


def test_others_are_next_to_what_was_measured_here(tables: Path) -> None:
    table = pd.read_csv(tables / "published.csv")
    firsts = table.drop_duplicates(["quantity", "method"]).set_index(["quantity", "method"])
    here, others = firsts["here"], firsts["others"]
    main = pd.read_csv(tables / "main.csv")
    means = main[main["scope"] == "overall"].set_index(["metric", "method"])["mean"]
    step, share = means["training step"], means["trainable, without the head"]
    assert here["step time", "full"] == pytest.approx(step["full"] / step["frod"])
    assert here["trained", "frod"] == share["frod"]
    scores = load_published().runs.drop_duplicates("method").set_index("method")["test_accuracy"]
    assert others["score", "lora"] == pytest.approx(100 * (scores["lora"] - scores["full"]))
    assert np.isnan(here["score", "lora"])  # it lacks runs, so its mean is of other tasks
    assert here["score", "frod"] == pytest.approx(0)
    times = pd.read_csv(tables / "convergence.csv")
    ratios = times[(times["axis"] == "steps") & (times["method"] == "full")]["speedup"]
    counts = firsts.loc[("steps", "full"), ["n_tasks", "n_expected"]]
    assert tuple(counts) == (ratios.notna().sum(), len(ratios))
    assert "frozen" not in set(table["method"])  # neither published nor in a rule


def test_the_table_reads_in_words(tables: Path) -> None:
    text = (tables / "published.md").read_text()
    assert "only the order of the methods compares" in text
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    by_label = {label: cells for label, *cells in rows}
    order = list(by_label)
    steps, score = slice(0, 2), slice(2, 4)
    assert by_label["LoRA"][0] == "3.63 × (3.46 to 3.77)"
    assert by_label["Full FT"][score] == ["0", "0"]
    assert by_label["FRoD"][score] == ["–", "0"]  # what was measured here has other settings
    assert by_label["FRoD (s 0.02, lr 0.001)"][score] == ["−20.1", "–"]
    assert order.index("FRoD (s 0.01, lr 0.0001)") == order.index("FRoD") + 1
    assert by_label["PiSSA"][steps] == ["1.75 × (1.67 to 1.78)", "–"]
    assert "LoRA over FRoD's, by the loss: 3.00 × at 2, 3.59 × at 1.5, 3.63 × at 1" in text
    assert "not reached in 300 points at 0.5" in text


def test_other_figures_do_without_what_others_measured(
    experiment: tuple[Path, list[Cell]], tmp_path: Path
) -> None:
    root, cells = experiment
    figures = {"figures": ["seed_spread"], "parts": ("tables",), "out_dir": tmp_path}
    build.write_report(root, "embedded", cells, "title", **figures)
    assert not (tmp_path / "tables/published.md").exists()


def test_the_page_has_the_table(page: Page) -> None:
    assert page.tables["published"][0][:3] == ["method", "steps, others", "steps, here"]
    assert page.row("published", "GraLoRA")[2:4] == ["+2.4", "–"]


def test_the_figure_marks_when_each_method_gets_there() -> None:
    panels = released_panels(load_published(), RULES.convergence)
    found = points_to_loss(load_published().curves, FROD, 3).set_index("method")["points"]
    assert panels.arrived["steps"][LORA] == found["lora"]
    band = panels.bands["steps"][FROD]
    assert band.seeds == 5
    assert (band.low <= band.median).all()
    assert np.interp(found["frod"], band.grid, band.median) == pytest.approx(LOSS, abs=0.1)


def test_labels_keep_their_distance_and_their_order() -> None:
    assert _apart([1.0, 5.0], 1.0) == [1.0, 5.0]
    assert _apart([2.0, 2.0, 2.0], 1.0) == [1.0, 2.0, 3.0]
    heights = _apart([0.0, 1.9, 2.0, 2.1, 3.4, 9.0], 1.0)
    assert np.diff(heights).min() >= 1 - 1e-9
    assert heights[-1] == 9.0
