"""A report of packed records is, to the byte, the report of the same records as files."""

import shutil
from pathlib import Path

import pytest
from rich.console import Console

from frod_bench.common.paths import REFERENCE_DIR, cache_dir
from frod_bench.records import archive
from frod_bench.report.command import report_folder


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_tables_are_equal_and_nothing_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, kept = tmp_path / "results" / "small", tmp_path / "parts" / "small"
    for task in ("sst2", "qnli"):
        shutil.copytree(REFERENCE_DIR / "small" / "records" / task, folder / "records" / task)
    archive.pack(folder, kept)
    monkeypatch.setenv("FROD_BENCH_CACHE", str(tmp_path / "cache"))
    tables = []
    for name in ("of files", "of parts"):  # of one place, since claims name it
        out = tmp_path / name / "report"
        report_folder("tables", {"folder": str(folder), "out": str(out)}, Console(quiet=True))
        tables.append(tree(out / "tables"))
        shutil.rmtree(folder)
        shutil.copytree(kept, folder)
    assert tables[0] == tables[1]
    assert len(tables[0]) > 3
    assert not cache_dir().exists()
    assert tree(folder).keys() == {"records/part-001.parquet"}
