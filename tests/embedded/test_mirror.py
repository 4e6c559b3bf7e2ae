"""The mirror as a whole: layout, schema, determinism, atomic replacement."""

import hashlib
from pathlib import Path

import pytest
from datasets import Dataset, load_dataset

from frod_bench.embedded import mirror
from frod_bench.embedded.__main__ import main
from frod_bench.embedded.images.build import ROWS
from frod_bench.embedded.sets import SETS
from frod_bench.errors import InputError
from frod_bench.schema import data_sets, features_of, splits_of

SMALL = ("ylecun/mnist", "mnist")


@pytest.fixture(autouse=True)
def few_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ROWS, "train", 200)
    monkeypatch.setitem(ROWS, "test", 100)


@pytest.fixture
def only_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "SETS", {SMALL: SETS[SMALL]})


def _digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_every_recorded_data_set_has_a_stand_in() -> None:
    assert set(SETS) == set(data_sets())


@pytest.mark.parametrize(("hub_id", "config"), sorted(SETS))
def test_rows_fit_the_recorded_schema(hub_id: str, config: str) -> None:
    rows_of = SETS[hub_id, config](0)
    features = features_of(hub_id, config)
    assert set(rows_of) <= set(splits_of(hub_id, config))
    assert "train" in rows_of
    assert len(rows_of) >= 2
    for split, rows in rows_of.items():
        assert {frozenset(row) for row in rows} == {frozenset(features)}, split
        table = Dataset.from_list(rows, features=features)
        assert table.features == features
        assert table.num_rows == len(rows) >= 100


@pytest.mark.usefixtures("only_mnist")
def test_load_dataset_reads_it_as_a_hub_snapshot(tmp_path: Path) -> None:
    root = mirror.write_mirror(tmp_path / "mirror")
    loaded = load_dataset(str(root / SMALL[0]), SMALL[1], cache_dir=str(tmp_path / "cache"))
    expected = SETS[SMALL](mirror.DEFAULT_SEED)
    assert {split: len(table) for split, table in loaded.items()} == {
        split: len(rows) for split, rows in expected.items()
    }
    for split, rows in expected.items():
        assert loaded[split].features == features_of(*SMALL)
        assert loaded[split]["label"][:] == [row["label"] for row in rows]
        assert loaded[split][7]["image"].tobytes() == rows[7]["image"].tobytes()


@pytest.mark.usefixtures("only_mnist")
def test_same_seed_same_bytes(tmp_path: Path) -> None:
    first, second, other = (
        _digests(mirror.write_mirror(tmp_path / name, seed))
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first == second
    parquet = [name for name in first if name.endswith(".parquet")]
    assert parquet
    assert all(first[name] != other[name] for name in parquet)


@pytest.mark.usefixtures("only_mnist")
def test_ensure_writes_once_and_again_when_the_version_differs(tmp_path: Path) -> None:
    root = tmp_path / "mirror"
    mirror.ensure_mirror(root)
    before = (root / "VERSION").stat().st_mtime_ns
    mirror.ensure_mirror(root)
    assert (root / "VERSION").stat().st_mtime_ns == before

    (root / "VERSION").write_text("of an older generator\n")
    mirror.ensure_mirror(root)
    assert (root / "VERSION").read_text().strip() == mirror.mirror_version(0)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["mirror"]


@pytest.mark.usefixtures("only_mnist")
def test_a_crash_leaves_the_old_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = mirror.write_mirror(tmp_path / "mirror")
    before = _digests(root)

    def fail(seed: int) -> dict[str, list[dict[str, object]]]:
        raise RuntimeError("the generator broke")

    monkeypatch.setattr(mirror, "SETS", {SMALL: fail})
    with pytest.raises(RuntimeError, match="broke"):
        mirror.write_mirror(root, seed=1)
    assert _digests(root) == before
    assert list(tmp_path.iterdir()) == [root]


def test_a_foreign_folder_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="not an embedded mirror"):
        mirror.write_mirror(tmp_path)
    assert main(["--root", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_negative_seed_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--root", str(tmp_path / "mirror"), "--seed", "-1"]) == 2
    assert "seed: -1" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
