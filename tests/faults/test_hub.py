"""A Hub that answers 429, 500, or never: told in words, and soon."""

import time
from pathlib import Path

import pytest

from frod_bench.common.errors import InputError
from frod_bench.data.source import read_data_set
from frod_bench.models.loading import load_config
from frod_bench.sweep import preflight
from tests.conftest import SHORT, MakeCell, RunHere
from tests.faults.conftest import Hub

SAYS = {429: "429 Too Many Requests", 500: "500 Internal Server Error", None: "cannot be reached"}
# Of the client's own: 1, 2, 4, 8 and 8 s before it asks again, for one file.
MOST_NAPS_SEC, MOST_SEC = 30.0, 30.0

every_fault = pytest.mark.parametrize(
    "failing_hub", SAYS, ids=["429", "500", "never"], indirect=True
)


@every_fault
@pytest.mark.parametrize("grid", [["-m"], []])
def test_nothing_runs_and_the_reason_is_told_with_remedies(
    failing_hub: Hub,
    grid: list[str],
    tmp_path: Path,
    here: RunHere,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(preflight, "try_to_load_from_cache", lambda *_, **__: None)
    words = ["profile=small", "task=rte", "method=lora", *SHORT, f"results_root={tmp_path}/results"]
    started = time.monotonic()
    done = here("frod_bench.run", *grid, *words)
    assert time.monotonic() - started < MOST_SEC
    assert done.returncode == 2, done.stderr
    assert SAYS[failing_hub.status] in done.stderr
    assert "Three ways to get them" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists()
    asked = [path for path in failing_hub.asked if "/nyu-mll/" in path or "/sentence-" in path]
    assert len(asked) == (1 if failing_hub.status is None else 2)  # one that hangs is left alone
    assert failing_hub.naps_sec == []


@every_fault
def test_a_data_set_that_stops_coming_is_a_bad_input(
    failing_hub: Hub, make_cell: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # `datasets` looks for a folder of this name first
    task = make_cell("profile=small", "task=rte", "method=lora").settings.task
    started = time.monotonic()
    with pytest.raises(InputError, match=r"(?s)cannot read nyu-mll/glue .*Three ways to get it"):
        read_data_set(task, None)
    assert time.monotonic() - started < MOST_SEC
    assert failing_hub.asked
    assert sum(failing_hub.naps_sec) < MOST_NAPS_SEC


@every_fault
def test_a_backbone_that_stops_coming_is_a_bad_input(failing_hub: Hub) -> None:
    started = time.monotonic()
    with pytest.raises(InputError, match=r"the configuration of org/bert cannot be read"):
        load_config("org/bert", None, "A task needs one")
    assert time.monotonic() - started < MOST_SEC
    assert failing_hub.asked
    assert sum(failing_hub.naps_sec) < MOST_NAPS_SEC
