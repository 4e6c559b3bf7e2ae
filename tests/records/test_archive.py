"""Parts: what a repository keeps of finished runs, and what readers see of it."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from frod_bench.common.errors import InputError
from frod_bench.common.paths import REFERENCE_DIR
from frod_bench.records import archive, sources, store
from frod_bench.records.parts import COLUMNS
from frod_bench.report.collect import collect_folder
from frod_bench.report.folder import cells_in


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A results folder with some published runs."""
    made = tmp_path / "small"
    for task in ("sst2", "qnli"):
        shutil.copytree(REFERENCE_DIR / "small" / "records" / task, made / "records" / task)
    return made


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_readers_see_the_records_of_parts_as_they_were(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "kept" / "small"
    part, count = archive.pack(folder, out)
    assert part is not None
    assert part.name == "part-001.parquet"
    whole, _ = store.scan(folder / "records")
    assert count == len(whole) > 0
    kept = sources.opened(out)
    again, unusable = kept.scan()
    assert not unusable
    assert [record["cell"] for record in again] == [record["cell"] for record in whole]
    frames = [collect_folder(one, "small", cells_in(one)[0]).frame for one in (folder, out)]
    assert frames[0].drop(columns="path").equals(frames[1].drop(columns="path"))
    predictions = dict(kept.predictions(list(map(kept.path_of, again))))
    for record in again:
        path = store.path_below(folder / "records", record["cell"])
        assert predictions[kept.path_of(record)] == store.predictions_path(path).read_bytes()
    assert part.stat().st_size < 0.5 * sum(map(len, tree(folder / "records").values()))


def test_runs_are_packed_a_few_at_a_time(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = archive.pack(folder, tmp_path / "whole" / "small")
    monkeypatch.setattr(archive, "RUNS_AT_ONCE", 3)
    part, count = archive.pack(folder, tmp_path / "kept" / "small")
    assert whole is not None
    assert part is not None
    assert count % 3
    assert pq.ParquetFile(part).num_row_groups == -(-count // 3)
    assert pq.read_table(part).equals(pq.read_table(whole))


def test_parts_name_no_folder_of_the_machine(folder: Path, tmp_path: Path) -> None:
    path = next(p for p in sorted((folder / "records").rglob("*.json")))
    record = json.loads(path.read_text())
    roots = {"results_root": "/home/me/tried", "data_root": None, "model_root": "models"}
    record["config"] |= roots
    path.write_text(json.dumps(record))
    archive.pack(folder, tmp_path / "kept" / "small")
    found, _ = sources.opened(tmp_path / "kept" / "small").scan()
    (packed,) = (one["config"] for one in found if one["cell"] == record["cell"])
    assert [packed[key] for key in roots] == ["tried", None, "models"]


def test_parts_are_only_added_and_hold_what_others_lack(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "kept" / "small"
    later = folder / "records" / "qnli"
    shutil.move(later, tmp_path / "later")
    first, _ = archive.pack(folder, out)
    assert first is not None
    content = first.read_bytes()
    shutil.move(tmp_path / "later", later)
    second, count = archive.pack(folder, out)
    assert second is not None
    assert second.name == "part-002.parquet"
    assert count == len(list(later.rglob("*[0-9a-f].json")))
    assert first.read_bytes() == content
    assert archive.pack(folder, out) == (None, 0)


def test_curves_outside_the_main_table_keep_their_evaluations(folder: Path, tmp_path: Path) -> None:
    path = next(p for p in sorted((folder / "records").rglob("*.json")))
    record = json.loads(path.read_text())
    record["config"]["experiment"] = {"name": "ablation"}
    path.write_text(json.dumps(record))
    archive.pack(folder, tmp_path / "kept" / "small")
    source = sources.opened(tmp_path / "kept" / "small")
    place = source.folder / path.relative_to(folder / "records")
    assert source.record(place)["curve_holds"] == "evaluations"  # type: ignore[typeddict-item]
    [(_, content)] = source.curves([place])
    assert isinstance(content, bytes)
    points = store.points_of(content, "the curve")
    whole = store.read_curve(path)
    assert points == [point for point in whole if "eval_loss" in point]
    assert 0 < len(points) < len(whole)


def test_unpacked_runs_are_not_written_over(folder: Path, tmp_path: Path) -> None:
    part, count = archive.pack(folder, tmp_path / "kept")
    assert part is not None
    assert archive.unpack([part], tmp_path / "again") == count
    one = next((tmp_path / "again").rglob("*.json"))
    one.write_text("mine")
    assert archive.unpack([part], tmp_path / "again") == 0
    assert one.read_text() == "mine"


@pytest.mark.parametrize("content", [b"", b"PAR1 nothing", None])
def test_a_damaged_part_is_refused_by_name(
    folder: Path, tmp_path: Path, content: bytes | None
) -> None:
    part, _ = archive.pack(folder, tmp_path / "kept")
    assert part is not None
    part.write_bytes(part.read_bytes()[:-100] if content is None else content)
    with pytest.raises(InputError, match=r"part-001.parquet: cannot be read .* from git"):
        sources.opened(tmp_path / "kept").scan()


def test_a_path_in_a_part_cannot_leave_the_folder(folder: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    part, _ = archive.pack(folder, tmp_path / "kept")
    assert part is not None
    rows = pq.read_table(part).to_pylist()
    rows[0]["path"] = "../../outside.json"
    pq.write_table(pa.Table.from_pylist(rows, schema=COLUMNS), part)
    with pytest.raises(InputError, match="leads out of"):
        archive.unpack([part], tmp_path / "again")
    assert not (tmp_path / "outside.json").exists()
    with pytest.raises(InputError, match="leads out of the folder"):
        sources.opened(tmp_path / "kept").scan()


def test_a_run_that_was_run_again_is_named(folder: Path, tmp_path: Path) -> None:
    archive.pack(folder, tmp_path / "kept")
    path = next((folder / "records").rglob("*.json"))
    record = json.loads(path.read_text())
    record["provenance"]["started_at"] = "2030-01-01T00:00:00+00:00"
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match="was run again"):
        archive.pack(folder, tmp_path / "kept")


@pytest.mark.parametrize("kind", ["curve.jsonl", "predictions.parquet", "a digit of curve.jsonl"])
def test_a_damaged_file_beside_a_record_is_named(folder: Path, tmp_path: Path, kind: str) -> None:
    path = next(p for p in sorted((folder / "records").rglob("*.json")))
    record = json.loads(path.read_text())
    beside = path.with_name(path.name.replace(".json", f".{kind.rsplit(maxsplit=1)[-1]}"))
    digests = {
        part: store.digest_of(path.with_name(path.name.replace(".json", f".{name}")))
        for part, name in (("curve", "curve.jsonl"), ("predictions", "predictions.parquet"))
    }
    record |= {"schema_version": 2, "files": digests | {"adapter": None}, "data_counts": None}
    record["provenance"]["processes"] = 1
    path.write_text(json.dumps(record))
    content = beside.read_bytes()
    swapped = content.translate(bytes.maketrans(b"12", b"21"))
    beside.write_bytes(swapped if kind.startswith("a digit") else content[:-20])
    assert beside.read_bytes() != content
    with pytest.raises(InputError, match=rf"{path.name}: cannot be packed"):
        archive.pack(folder, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_parts_are_packed_into_another_folder(folder: Path, tmp_path: Path) -> None:
    _, count = archive.pack(folder, tmp_path / "kept")
    assert archive.pack(tmp_path / "kept", tmp_path / "again")[1] == count


def test_files_beside_parts_are_refused(folder: Path, tmp_path: Path) -> None:
    part, _ = archive.pack(folder, tmp_path / "kept")
    assert part is not None
    archive.unpack([part], part.parent)
    with pytest.raises(InputError, match="has parts and records as files"):
        sources.opened(tmp_path / "kept")


def test_an_unusable_record_is_named_and_nothing_is_packed(folder: Path, tmp_path: Path) -> None:
    (folder / "records" / "sst2" / "bad.json").write_text("{}")
    with pytest.raises(InputError, match=r"bad.json: is not a usable record"):
        archive.pack(folder, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
