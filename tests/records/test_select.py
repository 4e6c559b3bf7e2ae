"""The selector: exact hash, else protocol, else newest; and never random weights unasked."""

from typing import Any

import pytest

from frod_bench.records.select import Run, Selector, by_run, preferred_protocol
from tests.report.factory import make_record

RTE = Run("rte", "frod", 0)


def made(
    config_hash: str, day: int = 1, protocol: str = "fair", **config: object
) -> dict[str, Any]:
    """A record of `RTE` that only its hash, its date, its protocol and `config` tell apart."""
    record = make_record(profile=str(config.pop("profile", "embedded")))
    record["cell"] |= {"config_hash": config_hash, "protocol": protocol}
    record["provenance"]["started_at"] = f"2026-11-{day:02}T12:00:00+00:00"
    record["config"] |= config
    return record


def hashes(candidates: list[Any]) -> list[str]:
    return [record["cell"]["config_hash"] for record in candidates]


def test_a_named_hash_is_that_record_however_old_and_whatever_its_weights() -> None:
    records = [made("new", 9), made("old", 1), made("random", 2, pretrained=False)]
    selector = Selector(records, "embedded")
    for name in ("new", "old", "random"):
        choice = selector.choose(RTE, config_hash=name)
        assert choice.record is not None
        assert (hashes([choice.record]), choice.warning) == ([name], None)
    assert selector.choose(RTE, config_hash="none").record is None
    assert selector.choose(RTE._replace(task="cola"), config_hash="new").record is None


def test_without_a_hash_it_is_the_newest_with_a_warning() -> None:
    choice = Selector([made("old", 1), made("new", 9), made("mid", 5)], "embedded").choose(RTE)
    assert choice.record is not None
    assert choice.record["cell"]["config_hash"] == "new"
    assert choice.warning is not None
    assert "rte, frod, seed 0: 3 records with different settings" in choice.warning
    assert "the newest is used, new." in choice.warning


@pytest.mark.parametrize(
    "other",
    [
        made("other", 9, "tuning"),
        made("other", 9, head="rank"),
        made("other", 9, pretrained=False),
        made("other", 9, profile="small"),
    ],
    ids=["protocol", "head", "random weights", "profile"],
)
def test_what_is_not_asked_for_is_no_candidate(other: Any) -> None:
    choice = Selector([made("mine"), other], "embedded").choose(RTE, protocol="fair")
    assert choice.record is not None
    assert (hashes([choice.record]), choice.warning) == (["mine"], None)


def test_any_protocol_where_none_is_named() -> None:
    choice = Selector([made("fair", 1), made("paper", 2, "paper")], "embedded").choose(RTE)
    assert choice.record is not None
    assert choice.record["cell"]["config_hash"] == "paper"
    assert choice.warning is not None


def test_runs_of_a_folder_newest_first() -> None:
    ranked = made("ranked", 3, head="rank")
    records = [made("old", 1), ranked, made("new", 2), made("tuned", 9, "tuning")]
    found = by_run(records, profile="embedded", protocol="fair")
    assert {run: hashes(candidates) for run, candidates in found.items()} == {
        RTE: ["new", "old"],
        RTE._replace(head="rank"): ["ranked"],
    }
    assert list(by_run(records, head="rank")) == [RTE._replace(head="rank")]
    assert by_run(records, profile="small") == {}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["paper", "tuning", "fair"], "fair"),
        (["tuning", "paper"], "paper"),
        (["tuning"], None),
        ([], None),
    ],
)
def test_the_protocol_that_is_meant(names: list[str], expected: str | None) -> None:
    assert preferred_protocol(names) == expected
