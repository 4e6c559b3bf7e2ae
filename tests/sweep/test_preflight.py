"""Whether the Hub has what cells read, asked before any of them runs."""

import functools
from pathlib import Path

import pytest
from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import GatedRepoError

from frod_bench.cells.cell import Cell
from frod_bench.cells.compose import composer
from frod_bench.cells.grid import cells_of
from frod_bench.common.errors import InputError
from frod_bench.mirror import hub
from frod_bench.sweep import preflight as obtainable
from frod_bench.sweep.preflight import check_available
from tests.conftest import SHORT, RunHere
from tests.mirror.conftest import FakeHub, http_error

TASKS = {"rte": "nyu-mll/glue", "boolq": "google/boolq", "eurosat": "tanganke/eurosat"}
BACKBONES = {
    "sentence-transformers/all-MiniLM-L6-v2",
    "HuggingFaceTB/SmolLM2-135M-Instruct",
    "facebook/dinov2-small",
}
FILES = {"config.json": b"{}", "model.safetensors": b"w"}


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(obtainable, "try_to_load_from_cache", lambda *_, **__: None)


@pytest.fixture
def stocked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    """A Hub with all that the profile `small` reads for the suite `smoke`."""
    fake = FakeHub(tmp_path / "hub")
    monkeypatch.setattr(hub, "HfApi", lambda: fake)
    for cell in small_cells():
        task, backbone = cell.config["task"], cell.config["backbones"][cell.family]
        files = {"README.md": b"", "train.parquet": b"t"}
        fake.put("dataset", task["hub_id"], files, task["revision"] or "main")
        fake.put("model", backbone["hub_id"], FILES, backbone["revision"])
    return fake


def small_cells(*overrides: str) -> list[Cell]:
    with composer() as compose_one:
        grid = [["profile=small", "suite=smoke", f"task={task}", *overrides] for task in TASKS]
        return cells_of(grid, compose_one)


def test_what_the_hub_has_may_be_read(stocked: FakeHub) -> None:
    check_available(small_cells() * 2)
    assert stocked.asked == 6


def test_without_the_hub_all_that_is_missing_is_named_with_three_ways() -> None:
    with pytest.raises(InputError) as caught:
        check_available(small_cells())
    message = str(caught.value)
    assert all(name in message for name in (*TASKS.values(), *BACKBONES))
    assert message.count("cannot be reached") == 1
    for way in (
        "HF_HUB_OFFLINE unset",
        "frod_bench.mirror out=DIR profile=small suite=smoke",
        "profile=embedded",
    ):
        assert way in message


def test_only_what_cannot_be_had_is_named(stocked: FakeHub) -> None:
    stocked.gated["facebook/dinov2-small"] = http_error(GatedRepoError, 403)
    with pytest.raises(InputError) as caught:
        check_available(small_cells("backbones.nlu.revision=v9"))
    message = str(caught.value)
    assert "facebook/dinov2-small: model facebook/dinov2-small: is gated" in message
    assert "has no revision 'v9'" in message
    assert not any(name in message for name in TASKS.values())


def test_what_is_cached_needs_no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(obtainable, "try_to_load_from_cache", lambda *_, **__: "/a/file")
    (tmp_path / "cache/nyu-mll___glue/rte").mkdir(parents=True)
    cells = {cell.task: cell for cell in small_cells()}
    check_available([cells["rte"]])
    with pytest.raises(InputError, match="google/boolq"):
        check_available([cells["rte"], cells["boolq"]])


@pytest.mark.parametrize(
    "words", [["-m", "experiment=main_table", "suite=smoke"], ["task=rte", "method=frod"]]
)
def test_nothing_runs_where_nothing_is_to_be_had(
    tmp_path: Path, words: list[str], here: RunHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    from_empty = functools.partial(try_to_load_from_cache, cache_dir=tmp_path / "home")
    monkeypatch.setattr(obtainable, "try_to_load_from_cache", from_empty)
    results = tmp_path / "results"
    done = here("frod_bench.run", *words, "profile=small", *SHORT, f"results_root={results}")
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("error: profile=small: ") == 1
    assert "Three ways to get them" in done.stderr
    assert "Traceback" not in done.stderr
    assert not results.exists()


def test_a_configuration_alone_is_no_cached_backbone(
    stocked: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cached(_hub_id: str, name: str, **_: object) -> str | None:
        return "/a/file" if name in there else None

    monkeypatch.setattr(obtainable, "try_to_load_from_cache", cached)
    there = {"config.json"}
    check_available(small_cells())
    assert stocked.asked == 6
    there |= {"model.safetensors.index.json", "tokenizer.json"}
    check_available(small_cells())
    assert stocked.asked == 9  # the data sets alone
