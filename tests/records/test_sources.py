"""Files and parts give readers the same; parts are read where they are, and each column once."""

import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from frod_bench.common.paths import REFERENCE_DIR
from frod_bench.records import archive, parts, sources, store
from frod_bench.records.sources import Source


@pytest.fixture
def both(tmp_path: Path) -> tuple[Source, Source]:
    """Published runs of a task as files, and packed."""
    made, kept = tmp_path / "files" / "small", tmp_path / "parts" / "small"
    shutil.copytree(REFERENCE_DIR / "small" / "records" / "sst2", made / "records" / "sst2")
    archive.pack(made, kept)
    return sources.opened(made), sources.opened(kept)


def test_both_give_the_same_records_and_predictions(both: tuple[Source, Source]) -> None:
    files, packed = both
    (records, _), (again, unusable) = files.scan(), packed.scan()
    assert not unusable
    assert [record["cell"] for record in again] == [record["cell"] for record in records]
    predictions = [dict(one.predictions(list(map(one.path_of, records)))) for one in both]
    for record in records:
        path, place = files.path_of(record), packed.path_of(record)
        assert place.relative_to(packed.folder) == path.relative_to(files.folder)
        assert packed.record(place)["metrics"] == files.record(path)["metrics"]
        assert isinstance(predictions[0][path], bytes)
        assert predictions[0][path] == predictions[1][place]
        assert list(sources.sources_of([place, place])) == [packed, packed]


def test_files_come_once_each_whatever_their_order(both: tuple[Source, Source]) -> None:
    for source in both:
        paths = [source.path_of(record) for record in source.scan()[0]]
        assert sorted(path for path, _ in source.predictions(paths[::-1])) == sorted(paths)
        curves = dict(source.curves(paths[::-1]))
        assert set(curves) == set(paths)
        for path, content in curves.items():
            assert isinstance(content, bytes)
            assert store.points_of(content, path.name)


def test_what_is_not_there_is_an_error(both: tuple[Source, Source]) -> None:
    for source in both:
        path = source.folder / "sst2/lora/9-0123456789abcdef.json"
        with pytest.raises(FileNotFoundError):
            source.record(path)
        with pytest.raises(FileNotFoundError):
            source.stamp(path)
        [(_, predictions)] = source.predictions([path])
        assert isinstance(predictions, FileNotFoundError)
        [(_, content)] = source.curves([path])
        assert isinstance(content, store.RecordError)


def test_parts_are_opened_once_for_each_kind_of_content(
    both: tuple[Source, Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many records are asked for, and however often."""
    opened: list[object] = []
    whole = pq.ParquetFile

    def counting(part: Any, **options: Any) -> pq.ParquetFile:
        opened.append(part)
        return whole(part, **options)

    monkeypatch.setattr(parts.pq, "ParquetFile", counting)
    packed = both[1]
    for _ in range(2):
        paths = list(map(packed.path_of, packed.scan()[0]))
        assert list(map(packed.path_of, map(packed.record, paths))) == paths
    assert len(dict(packed.predictions(paths))) == len(dict(packed.curves(paths))) == len(paths)
    assert len(opened) == 3  # records, predictions, and curves


def test_equal_configurations_versions_and_keys_are_one_object(both: tuple[Source, Source]) -> None:
    for source in both:
        records = [r for r in source.scan()[0] if r["cell"]["method"] == "lora"]
        assert len(records) > 1
        assert len({record["config"]["seed"] for record in records}) == len(records)
        for name in ("method", "trainer", "backbones"):
            assert len({id(record["config"][name]) for record in records}) == 1
        versions = [record["provenance"]["packages"] for record in records]
        assert len(set(map(id, versions))) == len({str(one) for one in versions})
        for keys in (records, [record["params"] for record in records]):
            # The parser's table of texts is small: now and then one takes another's place.
            assert len({id(key) for one in keys for key in one}) <= len(keys[0]) + 2
