"""The manifest of a report: it says whether the report is current, and only if it is whole."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from frod_bench.cells.cell import Cell
from frod_bench.cells.compose import composer
from frod_bench.jobs import manifest
from frod_bench.records import store
from frod_bench.report.build import CONSTANT_RATE
from frod_bench.report.claims.expressiveness import EXPRESSIBLE, SPECTRUM
from frod_bench.report.picks import PICKS_TABLE
from frod_bench.report.sensitivity import SEARCH_TABLE

LINES = ["Against the published run:", "  yes  2 of 2 equal"]
DAMAGES = [
    *(b"", b"\xff\xfe\x00", b"null", b"[]", b"3", b'"text"', b"{}", b'{"written": 3}'),
    *(b'{"written": ["a"]}', b'{"written": {"\\u0000": null}}', b'{"written": {"x": 1e400}}'),
    *(b"[" * 100_000, b'{"written": {"' + b"a" * 5000 + b'": null}}', b"1" * 10_000),
]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """A record, a table, and where the manifest is."""
    found = {name: tmp_path / name for name in ("record", "table", "manifest")}
    for name in ("record", "table"):
        found[name].write_text(name)
    return found


def sources(files: dict[str, Path], style: str = "screen", part: str = "all") -> dict[str, Any]:
    cell = cast(
        Cell,
        SimpleNamespace(
            record_path=files["record"], profile="embedded", results_dir=files["record"].parent
        ),
    )
    return manifest.sources_of([cell], {"style": style}, part)


def test_it_is_current_until_something_changes(files: dict[str, Path]) -> None:
    path = files["manifest"]
    assert manifest.compared_lines(path, sources(files)) is None
    manifest.write(path, sources(files), [files["table"]], LINES)
    assert manifest.compared_lines(path, sources(files)) == LINES
    assert manifest.compared_lines(path, sources(files, "paper")) is None
    assert manifest.compared_lines(path, sources(files, part="tables")) is None
    for name in ("record", "table"):
        manifest.write(path, sources(files), [files["table"]], LINES)
        files[name].write_text("another")
        assert manifest.compared_lines(path, sources(files)) is None
    manifest.write(path, sources(files), [files["table"]], LINES)
    files["table"].unlink()
    assert manifest.compared_lines(path, sources(files)) is None


@pytest.mark.parametrize("name", manifest.BESIDE)
def test_a_search_or_an_analysis_that_arrives_later_is_reported(
    files: dict[str, Path], name: str
) -> None:
    manifest.write(files["manifest"], sources(files), [files["table"]], LINES)
    table = files["record"].parent / name
    table.parent.mkdir(parents=True)
    table.write_text("points")
    assert manifest.compared_lines(files["manifest"], sources(files)) is None


def test_runs_at_a_constant_rate_that_arrive_later_are_reported(files: dict[str, Path]) -> None:
    manifest.write(files["manifest"], sources(files), [files["table"]], LINES)
    folder = files["record"].parent
    runs = folder.parent / "constant_rate" / folder.name / "records/sst2/frod"
    runs.mkdir(parents=True)
    assert manifest.compared_lines(files["manifest"], sources(files)) == LINES
    for name in ("0-abc.json", "0-abc.curve.jsonl", "../../part-001.parquet"):
        (runs / name).write_text("{}")
        assert manifest.compared_lines(files["manifest"], sources(files)) is None
        manifest.write(files["manifest"], sources(files), [files["table"]], LINES)
    assert manifest.compared_lines(files["manifest"], sources(files)) == LINES


@pytest.mark.parametrize("place", [store.curve_path, store.predictions_path])
def test_a_record_with_another_file_is_reported(
    files: dict[str, Path], place: Callable[[Path], Path]
) -> None:
    manifest.write(files["manifest"], sources(files), [files["table"]], LINES)
    place(files["record"]).write_text("{}")
    assert manifest.compared_lines(files["manifest"], sources(files)) is None


def test_what_is_read_beside_the_records_is_known() -> None:
    analyses = [f"{name}/tables/{name}.csv" for name in (SPECTRUM, EXPRESSIBLE)]
    assert (str(SEARCH_TABLE), str(PICKS_TABLE), *analyses) == manifest.BESIDE
    assert manifest.CONSTANT_RATE == CONSTANT_RATE


@pytest.mark.parametrize("content", DAMAGES, ids=lambda content: str(content[:20]))
def test_whatever_is_in_it_the_report_is_written_anew(
    files: dict[str, Path], content: bytes
) -> None:
    files["manifest"].write_bytes(content)
    assert manifest.compared_lines(files["manifest"], sources(files)) is None
    manifest.write(files["manifest"], sources(files), [files["table"]], LINES)
    assert manifest.compared_lines(files["manifest"], sources(files)) == LINES


def test_a_folder_in_its_place_is_no_manifest(files: dict[str, Path]) -> None:
    files["manifest"].mkdir()
    assert manifest.compared_lines(files["manifest"], sources(files)) is None


def test_it_appears_at_once(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    manifest.write(files["manifest"], sources(files), [files["table"]], LINES)
    before = files["manifest"].read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        manifest.write(files["manifest"], sources(files), [], LINES)
    assert files["manifest"].read_bytes() == before
    assert sorted(path.name for path in files["table"].parent.iterdir()) == sorted(files)


def test_what_a_report_takes_from_the_configuration_is_a_source() -> None:
    def options(*words: str) -> dict[str, Any]:
        with composer() as compose_one:
            return manifest.options_of(compose_one(["experiment=main_table", *words]))

    plain = options()
    assert plain == options("seed=7")
    for words in ("profile.title=mine", "figures.style=paper", "+experiment.figures=[scores]"):
        assert options(words) != plain, words
