"""The mirror as a whole: layout, schema, determinism, atomic replacement."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, load_dataset

from frod_bench.common.errors import InputError
from frod_bench.data.hub_schema import data_sets, features_of, splits_of
from frod_bench.embedded import current, mirror
from frod_bench.embedded.command import start
from frod_bench.embedded.images import ROWS
from frod_bench.embedded.mirror import SETS

SMALL = ("ylecun/mnist", "mnist")
# Of the rows of seed 0, pictures cut to 200 and 100 by `few_pictures`. Where one changes, so do the
# rows that users have in their caches and every hash that stands on them: raise
# `current.ROWS_VERSION`, and say why in the commit.
ROWS_VERSION = 1
ROWS_DIGESTS = {
    ("Rowan/hellaswag", "default"): "a216f75e049c",
    ("allenai/ai2_arc", "ARC-Challenge"): "305cfa179f66",
    ("allenai/ai2_arc", "ARC-Easy"): "65a36db56577",
    ("allenai/openbookqa", "main"): "620e6d6ce9eb",
    ("allenai/winogrande", "winogrande_l"): "4c8cbbc5341b",
    ("baber/piqa", "default"): "fed1b878484b",
    ("google/boolq", "default"): "fb6c8ef78052",
    ("lighteval/siqa", "default"): "ce2e051570c3",
    ("nyu-mll/glue", "cola"): "00ec34ad6be6",
    ("nyu-mll/glue", "mnli"): "3c66e96e9235",
    ("nyu-mll/glue", "mrpc"): "685238507347",
    ("nyu-mll/glue", "qnli"): "9398009af8ff",
    ("nyu-mll/glue", "qqp"): "5447b66c1413",
    ("nyu-mll/glue", "rte"): "ea39d70a289b",
    ("nyu-mll/glue", "sst2"): "80177d013349",
    ("nyu-mll/glue", "stsb"): "5b0e4cb8dac6",
    ("tanganke/dtd", "default"): "c81b91010dc2",
    ("tanganke/eurosat", "default"): "a886f9b0b516",
    ("tanganke/gtsrb", "default"): "c70adb61b2ac",
    ("tanganke/resisc45", "default"): "fb21cfe4543a",
    ("tanganke/stanford_cars", "default"): "aa8184871eb5",
    ("tanganke/sun397", "default"): "63cb48b7dfa3",
    ("ufldl-stanford/svhn", "cropped_digits"): "d805d2e9595b",
    ("ylecun/mnist", "mnist"): "2bb4cb1e5898",
}


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


def _rows_digest(rows_of: dict[str, list[dict[str, Any]]]) -> str:
    """Of splits, columns and values; of pictures by their pixels, so that no encoder matters."""
    digest = hashlib.sha256()
    for split, rows in rows_of.items():
        digest.update(split.encode())
        for row in rows:
            for name, value in sorted(row.items()):
                pixels = value.tobytes() if hasattr(value, "tobytes") else None
                digest.update(name.encode())
                digest.update(pixels or json.dumps(value, sort_keys=True).encode())
    return digest.hexdigest()[:12]


def test_every_recorded_data_set_has_synthetic_rows() -> None:
    assert set(SETS) == set(data_sets())


@pytest.mark.parametrize(("hub_id", "config"), sorted(SETS))
def test_rows_fit_the_recorded_schema(hub_id: str, config: str) -> None:
    rows_of = SETS[hub_id, config](0)
    assert current.ROWS_VERSION == ROWS_VERSION
    assert _rows_digest(rows_of) == ROWS_DIGESTS[hub_id, config]
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
    expected = SETS[SMALL](current.DEFAULT_SEED)
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
    assert (root / "VERSION").read_text().strip() == current.mirror_version(0)
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
    with pytest.raises(SystemExit) as ended:
        start([f"out={tmp_path}"])
    assert ended.value.code == 2
    assert str(tmp_path) in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("words", [["--root", "{}", "--seed", "-1"], ["out={}", "seed=-1"]])
def test_a_negative_seed_is_refused(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        start([word.format(tmp_path / "mirror") for word in words])
    assert ended.value.code == 2
    assert "seed=-1" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
