"""Where learning rates come from: a search, and not a pilot; and whether a table has its picks."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from frod_bench.common.errors import InputError
from frod_bench.records.schema import Record
from frod_bench.report.asked import Cell
from frod_bench.report.build import write_report
from frod_bench.report.collect import collect
from frod_bench.report.frame import frame_of
from frod_bench.report.keys import FROZEN
from frod_bench.report.picks import (
    PICKS_TABLE,
    picks_of,
    searched,
    unlike_code,
    unlike_picks,
    untuned,
)
from frod_bench.report.sensitivity import PROCEDURE
from tests.report.factory import make_record, rehash, write_record


def tried(method: str, *rates: float, family: str = "nlu", head: str = "classify") -> list[Record]:
    """Runs of a search, or of a pilot if there is one rate."""
    found: list[Any] = []
    for rate in rates:
        made = make_record("rte", method)
        made["cell"] |= {"protocol": "tune", "family": family}
        made["config"]["head"] = head
        made["config"]["method"]["learning_rates"] = {"adapter": rate}
        found.append(made)
    return found


def test_a_search_tries_several_rates_and_a_pilot_one() -> None:
    """Otherwise a pilot's runs would pass for a search of the rates that they were given."""
    records = [*tried("lora", 1e-3, 1e-4), *tried("dora", 1e-3, 1e-3), *tried("full", 1e-5)]
    assert searched(records, None).values.tolist() == [["nlu", "classify", "lora"]]


def test_runs_of_the_first_procedure_are_trials_and_no_search() -> None:
    records = tried("lora", 1e-3, 1e-4)
    for number, made in enumerate(records):
        made["config"]["trial"] = number
    assert searched(records, None).empty


def test_a_table_of_picks_says_what_was_searched_with_its_head() -> None:
    picks = pd.DataFrame(
        [("reasoning_rank", "frod"), ("nlu", "lora")], columns=["family", "method"]
    )
    found = searched([], picks).values.tolist()
    assert found == [["nlu", "classify", "lora"], ["reasoning", "rank", "frod"]]


CODE = {"layer": "aaa", "loop": "bbb"}


@pytest.mark.parametrize(
    ("method", "of_search", "parts"),
    [
        ("frod", CODE, ""),
        ("frod", CODE | {"loop": "ccc"}, "loop"),
        ("frod", CODE | {"loop": "ccc", "layer": "ddd"}, "layer, loop"),
        ("lora", CODE | {"layer": "ddd"}, ""),  # it has none of FRoD's layers
        ("frod", {"loop": "bbb"}, ""),  # an older record says less
    ],
)
def test_a_search_by_other_code_is_told(method: str, of_search: dict[str, str], parts: str) -> None:
    search = tried(method, 1e-3, 1e-4)
    own: Any = make_record("rte", method)
    kind = "frod" if method == "frod" else "peft"
    pilot = tried(method, 1e-3)  # by older code, which picked nothing
    made_by = ((own, CODE), *((one, of_search) for one in search), (pilot[0], {"loop": "old"}))
    for made, code in made_by:
        made["config"]["experiment"] = {"name": "pilot" if made is pilot[0] else "tune"}
        made["provenance"]["code"] = code
        made["config"]["method"]["kind"] = kind
    frame = pd.DataFrame({"config_hash": [own["cell"]["config_hash"]]})
    for made in (*search, *pilot):
        made["cell"]["config_hash"] = "another"
    found = unlike_code(frame, [own, *search, *pilot])
    assert [f"({parts} differ)" in line for line in found] == ([True] if parts else [])


def test_the_picks_are_the_folders_own_and_else_the_published_ones(tmp_path: Path) -> None:
    published = picks_of(tmp_path, "embedded")
    assert published is not None
    assert {"full", "lora", "dora", "frod"} <= set(published["method"])
    assert picks_of(tmp_path, "paper") is None
    path = tmp_path / PICKS_TABLE
    path.parent.mkdir()
    path.write_text(f"procedure,family,method,lr_adapter\n{PROCEDURE},nlu,lora,0.001\n")
    own = picks_of(tmp_path, "embedded")
    assert own is not None
    assert own["method"].tolist() == ["lora"]
    path.write_text("family,method\nnlu,lora\n")
    with pytest.raises(InputError, match="was not written by version"):
        picks_of(tmp_path, "embedded")


def write_at(root: Path, method: str, rates: dict[str, float], **config: str) -> None:
    """A record of a run on RTE with these learning rates."""
    made = make_record("rte", method)
    made["config"]["method"]["learning_rates"] = rates
    made["config"]["trainer"] |= config
    rehash(made)
    write_record(root, made)


def judged(root: Path, method: str, adapter: float, **config: str) -> Any:
    """The frame and the records of a run on RTE with this learning rate."""
    write_at(root, method, {"adapter": adapter, "head": 1e-2}, **config)
    got = collect(root, "embedded", [Cell("rte", method, 0)])
    return got.frame, got.records


PICKS = pd.DataFrame(
    [("nlu", "lora", 1e-3, 1e-2, None), ("nlu", "full", None, 1e-2, 1e-5)],
    columns=["family", "method", "lr_adapter", "lr_head", "lr_backbone"],
)


def test_a_table_that_ran_at_other_rates_than_the_picks_says_so(tmp_path: Path) -> None:
    (line,) = unlike_picks(*judged(tmp_path, "lora", 3.16e-4), PICKS)
    assert line == (
        "Learning rates of lora in nlu are adapter 0.00032, head 0.01, and the search picked "
        "adapter 0.001, head 0.01 (tables/picks.csv)."
    )


@pytest.mark.parametrize(
    ("method", "adapter", "config"),
    [
        ("lora", 1.0004e-3, {}),  # rounded
        ("lora", 3.16e-4, {"schedule": "constant"}),  # has picks of its own
        ("dora", 3.16e-4, {}),  # not in the table
    ],
)
def test_runs_at_the_picks_and_runs_without_any_are_not_named(
    tmp_path: Path, method: str, adapter: float, config: dict[str, str]
) -> None:
    frame, records = judged(tmp_path, method, adapter, **config)
    assert unlike_picks(frame, records, PICKS) == []
    assert unlike_picks(frame, records, None) == []


def test_variants_are_not_compared_with_the_picks_of_their_method(tmp_path: Path) -> None:
    frame, records = judged(tmp_path, "lora", 3.16e-4)
    assert unlike_picks(frame.assign(variant="r 16"), records, PICKS) == []


def test_what_trains_nothing_needs_no_search() -> None:
    row = {"task": "arc_easy", "head": "rank", "variant": "", "family": "reasoning"}
    plain, missing = (row | {"method": name} for name in ("plain", FROZEN.method))
    made = plain | {"trainable": 0}
    frame = frame_of([made, plain, missing, row | {"method": "frod"}])  # one of plain is missing
    trials = pd.DataFrame([("nlu", "classify", "lora")], columns=["family", "head", "method"])
    (line,) = untuned(frame, trials)
    assert "of frod were not tuned" in line


def test_a_report_warns_of_rates_that_differ_from_the_published_picks(tmp_path: Path) -> None:
    picks = picks_of(tmp_path, "embedded")
    assert picks is not None
    of_nlu = picks[picks["family"] == "nlu"].set_index("method")
    write_at(tmp_path, "full", {"backbone": of_nlu.loc["full", "lr_backbone"]})
    write_at(tmp_path, "lora", {"adapter": 3 * of_nlu.loc["lora", "lr_adapter"]})
    cells = [Cell("rte", method, 0) for method in ("full", "lora")]
    written = write_report(tmp_path, "embedded", cells, "title", parts=["tables"])
    named = [line for line in written.collected.warnings if "the search picked" in line]
    assert len(named) == 1
    assert named[0].startswith("Learning rates of lora in nlu are adapter ")
