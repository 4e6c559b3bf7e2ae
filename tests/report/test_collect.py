"""Collecting: every cell that was asked for has a row, and nothing else slips in unseen."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from frod_bench.common.errors import InputError
from frod_bench.records import hashing
from frod_bench.records.schema import THEN
from frod_bench.report.asked import Cell
from frod_bench.report.collect import collect
from frod_bench.report.command import report_folder
from frod_bench.report.keys import Method, Run, Task
from tests.report.factory import make_record, synthetic_curve, write_record


def test_every_cell_has_a_row_whatever_became_of_it(tmp_path: Path) -> None:
    write_record(tmp_path, make_record("rte", "frod", 0), synthetic_curve())
    write_record(tmp_path, make_record("rte", "frod", 1, status="failed"), [])
    diverged = make_record("rte", "frod", 2, status="diverged")
    diverged["metrics"] = make_record("rte", "frod", 2)["metrics"]  # its score does not count
    write_record(tmp_path, diverged, [])
    write_record(tmp_path, make_record("rte", "frod", 3, value=None), synthetic_curve())
    broken = write_record(tmp_path, make_record("rte", "frod", 4))
    broken.write_text("{")
    cells = [Cell("rte", "frod", seed) for seed in range(6)]
    got = collect(tmp_path, "embedded", cells)
    assert got.frame["status"].tolist() == [
        *("ok", "failed", "diverged", "undefined", "unusable", "missing")
    ]
    assert got.frame["value"].notna().tolist() == [True] + [False] * 5
    assert "out of luck" in got.frame["error"][1]
    assert "not JSON" in got.frame["error"][4]
    assert len(got.curves[Run(Task("rte"), Method("frod"), 0)]) == 100
    assert any("unusable" in line for line in got.others)


def test_hash_picks_the_record_and_the_rest_is_listed(tmp_path: Path) -> None:
    wanted = make_record("rte", "frod", 0, value=0.7)
    other = make_record("rte", "frod", 0, value=0.9)
    other["config"]["trainer"]["max_steps"] = 5
    fingerprints = ("data-rte", "backbone-nlu")
    identity = hashing.identity(other["config"], *fingerprints)
    other["cell"]["config_hash"] = hashing.config_hash(identity)
    other["provenance"]["started_at"] = "2027-01-01T00:00:00+00:00"
    for made in (wanted, other):
        write_record(tmp_path, made, synthetic_curve())
    cell = Cell("rte", "frod", 0, config_hash=wanted["cell"]["config_hash"])
    exact = collect(tmp_path, "embedded", [cell])
    assert exact.frame["value"].tolist() == [0.7]
    assert exact.others == ["rte, frod: 1 of other cells"]
    assert exact.warnings == []
    newest = collect(tmp_path, "embedded", [Cell("rte", "frod", 0)])
    assert newest.frame["value"].tolist() == [0.9]
    assert "rte, frod, seed 0: 2 records with different settings" in newest.warnings[0]
    absent = collect(tmp_path, "embedded", [Cell("rte", "frod", 0, config_hash="0" * 16)])
    assert absent.frame["status"].tolist() == ["missing"]
    tuned = collect(tmp_path, "embedded", [Cell("rte", "frod", 0, protocol="paper")])
    assert tuned.frame["status"].tolist() == ["missing"]


def test_mixed_code_is_warned_of(tmp_path: Path) -> None:
    write_record(tmp_path, make_record("rte", "frod", 0), synthetic_curve())
    late = make_record("rte", "frod", 1, code_version="def5678")
    late["provenance"]["dirty"] = True
    write_record(tmp_path, late, synthetic_curve())
    got = collect(tmp_path, "embedded", [Cell("rte", "frod", seed) for seed in (0, 1)])
    assert got.warnings == [
        "Records of several code versions: abc1234, def5678.",
        "Records made by code with uncommitted changes: 1.",
    ]


def test_several_processors_are_warned_of_and_those_beside_a_gpu_are_not(tmp_path: Path) -> None:
    """Older records do not say."""
    made_on = (("cpu", "Intel 9"), ("cpu", "AMD 9"), ("cpu", None), ("cuda", "ARM 9"))
    made_on += (("cpu", f"Intel 9{THEN}AMD 9"),)  # resumed on the other one
    for seed, (device, processor) in enumerate(made_on):
        made = make_record("rte", "frod", seed)
        made["provenance"] |= {"device": device} | ({"processor": processor} if processor else {})
        write_record(tmp_path, made, synthetic_curve())
    found = {
        seeds: collect(tmp_path, "embedded", [Cell("rte", "frod", seed) for seed in seeds])
        for seeds in ((0, 1), (0, 2), (0, 3), (0, 4), (4,))
    }
    some = {seeds: one.warnings for seeds, one in found.items()}
    assert found[0, 1].frame["processor"].tolist() == ["Intel 9", "AMD 9"]
    of_gpu = found[0, 3].frame["processor"]
    assert of_gpu.isna().tolist() == [False, True]  # the time is the GPU's
    told = "Records of several processors (their seconds do not compare): AMD 9, Intel 9."
    assert some[0, 1] == some[0, 4] == some[4,] == [told]
    assert some[0, 2] == []
    assert some[0, 3] == ["Records of several devices (their times do not compare): cpu, cuda."]


def test_several_models_of_a_gpu_are_warned_of(tmp_path: Path) -> None:
    for seed, model in enumerate(("H100", "A100", "H100", None)):
        made = make_record("rte", "frod", seed)
        named = {"accelerator": model} if model else {}
        made["provenance"] |= {"device": "cuda:0", "processor": f"Host {seed}", **named}
        write_record(tmp_path, made, synthetic_curve())
    told = "Records of several accelerators (their seconds do not compare): A100, H100."
    for seeds, warnings in (((0, 1), [told]), ((0, 2), []), ((0, 3), [])):
        found = collect(tmp_path, "embedded", [Cell("rte", "frod", seed) for seed in seeds])
        assert found.warnings == warnings
        assert found.frame["processor"].iloc[0] != "Host 0"


LAYER, LOOP = {"layer": "aaa", "loop": "bbb"}, {"layer": "aaa", "loop": "ccc"}


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        ((LAYER, LAYER), "cannot matter: what computes numbers is the same (layer, loop)."),
        ((LAYER, None), "cannot matter, as far as is known (1 of 2 records do not say)"),
        (
            (LAYER, LOOP),
            "differs, so that scores may differ for that reason: loop (bbb: 1, ccc: 1)",
        ),
        ((None, None), ""),
    ],
)
def test_mixed_code_says_whether_it_can_matter(
    tmp_path: Path, codes: Sequence[dict[str, str] | None], words: str
) -> None:
    for seed, code in enumerate(codes):
        made = make_record("rte", "frod", seed, code_version=f"{seed}abcdef")
        if code is not None:
            made["provenance"]["code"] = code
        write_record(tmp_path, made, synthetic_curve())
    got = collect(tmp_path, "embedded", [Cell("rte", "frod", seed) for seed in (0, 1)])
    assert got.warnings[0].startswith("Records of several code versions")
    assert words in "".join(got.warnings[1:])
    assert len(got.warnings) == 1 + bool(words)


def test_test_split_that_picks_is_told(tmp_path: Path) -> None:
    made = make_record("rte", "frod", 0)
    made["config"]["protocol"] |= {"curve_split": "test", "selection": "best"}
    identity = hashing.identity(made["config"], "data-rte", "backbone-nlu")
    made["cell"]["config_hash"] = hashing.config_hash(identity)
    write_record(tmp_path, made, synthetic_curve())
    (warning,) = collect(tmp_path, "embedded", [Cell("rte", "frod", 0)]).warnings
    assert warning.startswith("The test split picked the step")


def test_record_of_another_profile_is_never_shown(tmp_path: Path) -> None:
    path = write_record(tmp_path, make_record("rte", "frod", 0, profile="small"))
    folder = tmp_path / "embedded" / "records" / "rte" / "frod"
    folder.mkdir(parents=True)
    path.rename(folder / path.name)
    got = collect(tmp_path, "embedded", [Cell("rte", "frod", 0)])
    assert got.frame["status"].tolist() == ["missing"]
    assert got.others == ["rte, frod: 1 of other cells"]
    assert got.warnings == ["Records of other profiles in this folder are not shown: small (1)."]


def test_two_settings_of_a_cell_are_refused_where_both_are_asked_for(tmp_path: Path) -> None:
    made = make_record("rte", "frod", 0)
    write_record(tmp_path, made, synthetic_curve())
    cells = [Cell("rte", "frod", 0, made["cell"]["config_hash"]), Cell("rte", "frod", 0, "0" * 16)]
    with pytest.raises(InputError, match=r"1 of 1 cells .* such as rte, frod, seed 0"):
        collect(tmp_path, "embedded", cells)
    other_head = Cell("rte", "frod", 0, "0" * 16, head="rank")
    assert len(collect(tmp_path, "embedded", [cells[0], other_head]).frame) == 2


def test_of_two_files_that_hold_one_cell_the_one_in_its_place_is_shown(tmp_path: Path) -> None:
    path = write_record(tmp_path, make_record("rte", "frod", 0, value=0.7), synthetic_curve())
    copy = tmp_path / "embedded" / "records" / "another" / "frod" / path.name
    copy.parent.mkdir(parents=True)
    copy.write_text(path.read_text().replace("0.7", "0.9"))
    got = collect(tmp_path, "embedded", [Cell("rte", "frod", 0)])
    assert got.frame["value"].tolist() == [0.7]
    assert got.frame["path"].tolist() == [str(path)]
    assert got.others == [f"{copy}: unusable, it holds the cell that {path} holds."]


def test_missing_curve_is_a_warning_and_not_the_end(tmp_path: Path) -> None:
    write_record(tmp_path, make_record("rte", "frod", 0))
    got = collect(tmp_path, "embedded", [Cell("rte", "frod", 0)])
    assert got.frame["status"].tolist() == ["ok"]
    assert got.curves == {}
    assert "curve cannot be read" in got.warnings[0]


@pytest.mark.parametrize("cells", [[], [Cell("rte", "frod", 0)]])
def test_no_folder_is_no_record(tmp_path: Path, cells: list[Cell]) -> None:
    got = collect(tmp_path, "embedded", cells)
    assert len(got.frame) == len(cells)
    assert (got.frame["status"] == "missing").all()


def test_a_curve_without_a_number_is_told(tmp_path: Path) -> None:
    curve = [{"step": 0, "seconds": 0.0, "accuracy": float("nan")}]
    write_record(tmp_path, make_record("rte", "frod", 0), curve)
    got = collect(tmp_path, "embedded", [Cell("rte", "frod", 0)])
    (warning,) = got.warnings
    assert "no evaluation with a finite accuracy" in warning


def test_one_bad_record_is_unusable_and_the_report_goes_on(tmp_path: Path) -> None:
    for seed in range(6):
        curve = synthetic_curve()
        if seed in (3, 4):
            curve.insert(0, {"step": 0, "seconds": 0, "eval_loss": "abc" if seed == 3 else [1]})
        write_record(tmp_path, make_record("rte", "frod", seed), curve)
    files = sorted((tmp_path / "embedded/records/rte/frod").glob("*.json"))
    spoilt = [
        lambda made: made["config"]["profile"].pop("title"),
        lambda made: made["metrics"]["accuracy"].update(value=1e308),
        lambda made: made["provenance"].update(device="\ud800"),
    ]
    for file, spoil in zip(files, spoilt, strict=False):
        made = json.loads(file.read_text())
        spoil(made)
        file.write_text(json.dumps(made))
    given = {"folder": str(tmp_path / "embedded"), "out": str(tmp_path / "out")}
    written = report_folder("all", given, Console(quiet=True))
    assert (tmp_path / "out/report.html") in written
    got = collect(tmp_path, "embedded", [Cell("rte", "frod", seed) for seed in range(6)])
    assert got.frame["status"].tolist() == ["unusable"] * 3 + ["ok"] * 3
    for error, words in zip(
        got.frame["error"], ("title is missing", "less than or equal", "UTF-8"), strict=False
    ):
        assert words in error
    assert sum("eval_loss is not a usable number" in line for line in got.warnings) == 2
