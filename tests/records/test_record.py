"""Records: what is trusted, what is refused and by which words, and that writing is all or none."""

import contextlib
import copy
import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frod_bench.records import hashing, schema, store
from tests.report.factory import (
    composed_config,
    make_record,
    noting_files,
    result_of,
    synthetic_curve,
    write_record,
)

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


def hash_of(config: dict[str, Any], data: str = "d", backbone: str = "b") -> str:
    return hashing.config_hash(hashing.identity(config, data, backbone))


@given(JSON_VALUES)
def test_canonical_json_keeps_the_value(value: object) -> None:
    assert json.loads(hashing.canonical_json(value)) == value


def test_canonical_json_is_one_text() -> None:
    assert hashing.canonical_json({"b": 16.0, "a": [1e-3, True]}) == '{"a":[0.001,true],"b":16}'
    assert hashing.canonical_json({"a": 1, "b": 2}) == hashing.canonical_json({"b": 2, "a": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        hashing.canonical_json(float("nan"))


def test_what_a_comparison_holds_equal() -> None:
    base = make_record()
    base["config"]["trainer"] |= {"batch_rows": 24, "accumulation_steps": 1}

    def held(trainer: dict[str, Any] | None = None, **config: Any) -> str:
        other = copy.deepcopy(base)
        other["config"] |= config
        other["config"]["trainer"] |= trainer or {}
        return hashing.Hashes().of_held(other)

    for same in (
        held(seed=7),
        held(method=base["config"]["method"] | {"name": "another"}),
        held({"batch_rows": 8, "accumulation_steps": 3}),
        held({"eval_batch_rows": 2}),
    ):
        assert same == hashing.held_equal_hash(base)
    for trainer in ({"max_steps": 9}, {"batch_rows": 8}, {"batch_rows": "8"}, {"batch_rows": None}):
        assert held(trainer) != hashing.held_equal_hash(base)
    del base["config"]["trainer"]["batch_rows"]
    assert hashing.held_equal_hash(base)  # a record of another kind is told apart, and no error


def test_what_decides_the_trained_values() -> None:
    base = make_record()

    def trained(trainer: dict[str, Any] | None = None, **config: Any) -> str:
        other = copy.deepcopy(base)
        other["config"] |= config
        other["config"]["trainer"] |= trainer or {}
        return hashing.Hashes().of_training(other)

    evaluated = {"eval_every_steps": 9, "eval_batch_rows": 2, "curve_rows": 7, "test_rows": 5}
    base["config"]["trainer"] |= {"batch_rows": 24, "accumulation_steps": 1}
    cut = {"batch_rows": 8, "accumulation_steps": 3}
    for same in (trained(seed=7), trained(evaluated), trained({"exact_rows": True}), trained(cut)):
        assert same == hashing.training_hash(base)
    for other in (trained({"max_steps": 9}), trained(method=base["config"]["method"] | {"x": 1})):
        assert other != hashing.training_hash(base)


@pytest.mark.parametrize(
    "path",
    ["tracker.name", "runtime.jobs", "suite.name", "results_root", "task.hub_id", "profile.title"],
)
def test_hash_leaves_out_what_does_not_change_the_result(path: str) -> None:
    config = composed_config()
    assert hash_of(changed(config, path)) == hash_of(config)


@pytest.mark.parametrize(
    "path",
    [
        "seed",
        "task.name",
        "method.learning_rates.lambda",
        "trainer.max_steps",
        "protocol.validation_percent",
        "backbones.nlu.max_length",
        "profile.name",
        "pretrained",
    ],
)
def test_hash_holds_what_changes_the_result(path: str) -> None:
    config = composed_config()
    assert hash_of(changed(config, path)) != hash_of(config)


def test_hash_holds_the_content_of_data_and_backbone() -> None:
    config = composed_config()
    assert len({hash_of(config), hash_of(config, "x"), hash_of(config, "d", "x")}) == 3


def nested(levels: int) -> object:
    """Dicts in dicts, deeper than any recursion limit."""
    value: object = 1
    for _ in range(levels):
        value = {"a": value}
    return value


def changed(config: dict[str, Any], path: str, value: object = "changed") -> dict[str, Any]:
    """A copy with the value at a dotted path replaced."""
    result = copy.deepcopy(config)
    *parents, last = path.split(".")
    node = result
    for name in parents:
        node = node[name]
    node[last] = value
    return result


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("schema_version", 3, r"schema_version is 3; this code reads 1 and 2"),
        ("status", "done", r"status is 'done'; it must be 'ok', 'failed' or 'diverged'"),
        ("error", {"type": "E", "message": "m", "where": "w"}, r"error is .* status is 'ok'"),
        ("metrics.accuracy.value", float("nan"), r"metrics\.accuracy\.value is nan.*finite"),
        (
            "metrics.accuracy.n",
            0,
            r"metrics\.accuracy\.n is 0; it must be greater than or",
        ),
        ("metrics", {}, r"primary_metric 'accuracy' is not in metrics \(none\)"),
        ("params", None, r"params is null"),
        ("params.trainable", True, r"params\.trainable is True; it must be a valid integer"),
        ("params.trainable_percent", 99.0, r"trainable_percent is 99\.0; the counts .* 1\.72"),
        ("time.setup_sec", -1, r"time\.setup_sec is -1; it must be greater than or equal to 0"),
        ("curve", "../../elsewhere.jsonl", r"curve is .*file name without folders"),
        ("cell.seed", 7, r"cell\.seed is 7; its configuration says 0"),
        ("cell.config_hash", "0" * 16, r"cell\.config_hash is '0{16}'"),
        ("provenance.data_fingerprint", "other", r"cell\.config_hash"),
        ("config.trainer.max_steps", 7, r"cell\.config_hash"),
        ("config", {}, r"config is not a composed configuration"),
    ],
)
def test_validate_names_field_and_value(path: str, value: object, words: str) -> None:
    with pytest.raises(schema.RecordError, match=words):
        schema.validate(changed(make_record(), path, value))


@pytest.mark.parametrize("status", ["ok", "failed", "diverged"])
def test_round_trip(tmp_path: Path, status: str) -> None:
    made = make_record(status=status)
    path = write_record(tmp_path, made)
    assert store.load(path) == made
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # no temporary file is left


READ_BY_REPORTS = [
    ("head", ["classify"], r"config\.head is \['classify'\]"),
    ("head", "none", r"config\.head is 'none'; it must be 'classify' or 'rank'"),
    ("pretrained", "yes", r"config\.pretrained is 'yes'"),
    ("rate_factors", [1], r"config\.rate_factors is \[1\]"),
    ("rate_factors", {"all": "x"}, r"config\.rate_factors\.all is 'x'"),
    ("trial", "first", r"config\.trial is 'first'"),
    ("experiment", "x", r"config\.experiment is 'x'"),
    ("trainer.curve_rows", "abc", r"config\.trainer\.curve_rows is 'abc'"),
    ("trainer.curve_rows", 1e308, r"config\.trainer\.curve_rows is 1e\+308"),
    ("trainer.schedule", [1], r"config\.trainer\.schedule is \[1\]"),
    ("protocol.selection", [1], r"config\.protocol\.selection is \[1\]"),
    ("protocol.curve_split", None, r"config\.protocol\.curve_split is None"),
    ("profile.title", "a\0b", r"config\.profile\.title is 'a\\x00b'; it must be printable text"),
    ("method.learning_rates", {"lambda": float("inf")}, "not JSON compliant|finite number"),
    ("method.learning_rates", None, r"config\.method\.learning_rates is None"),
    ("task.family", "a b", r"cell\.family is 'a b'; it must be a text of letters"),
    ("trainer.deep", nested(20_000), "RecursionError"),
    ("trainer.text", "\ud800", "UnicodeEncodeError"),
]


@pytest.mark.parametrize(("path", "value", "words"), READ_BY_REPORTS)
def test_what_reports_read_of_a_configuration_is_checked(
    path: str, value: object, words: str
) -> None:
    made = make_record()
    made["config"] = changed(made["config"], path, value)
    if path == "task.family":
        made["config"]["backbones"]["a b"] = made["config"]["backbones"]["nlu"]
        made["cell"]["family"] = "a b"
    with contextlib.suppress(ValueError, RecursionError):
        made["cell"]["config_hash"] = hash_of(made["config"], "data-rte", "backbone-nlu")
    with pytest.raises(schema.RecordError, match=words):
        schema.validate(made)


def test_every_missing_field_is_named() -> None:
    for name in make_record():
        broken = make_record()
        del broken[name]
        with pytest.raises(schema.RecordError, match=name):
            schema.validate(broken)


def test_failed_cell_may_lack_what_it_did_not_reach(tmp_path: Path) -> None:
    names = ("params", "time", "memory", "curve", "predictions")
    made = make_record(status="failed") | dict.fromkeys(names)
    assert store.load(write_record(tmp_path, made)) == made
    with pytest.raises(schema.RecordError, match="params is null, although status is 'ok'"):
        schema.validate(make_record(status="ok") | dict.fromkeys(names))


def test_scan_trusts_only_whole_records_at_their_own_place(tmp_path: Path) -> None:
    good = write_record(tmp_path, make_record())
    text = good.read_text()
    bad = {
        "1-truncated.json": text[: len(text) // 2],
        "2-version.json": text.replace('"schema_version": 1', '"schema_version": 9'),
        "3-copied.json": text,
        "4-list.json": "[1]",
        "5-nan.json": text.replace("0.8", "NaN"),
        "6-deep.json": "[" * 100_000,
    }
    for name, content in bad.items():
        (good.parent / name).write_text(content)
    (good.parent / "7-binary.json").write_bytes(b"\xff\xfe\x00")
    (good.parent / "8-folder.json").mkdir()
    records, unusable = store.scan(tmp_path)
    assert records == [make_record()]
    assert {u.path.name for u in unusable} == {*bad, "7-binary.json", "8-folder.json"}
    assert all(u.reason for u in unusable)


def test_scan_goes_on_where_something_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [write_record(tmp_path, make_record(task)) for task in ("rte", "cola", "boolq")]
    closed, broken, _ = paths
    scandir, read_bytes = os.scandir, Path.read_bytes

    def scan(place: Any) -> Any:
        if Path(place) == closed.parent:
            raise PermissionError(errno.EACCES, "Permission denied", str(place))
        return scandir(place)

    def read(path: Path) -> bytes:
        if path == broken:
            raise OSError(errno.EIO, "Input/output error", str(path))
        return read_bytes(path)

    monkeypatch.setattr(os, "scandir", scan)
    monkeypatch.setattr(Path, "read_bytes", read)
    records, unusable = store.scan(tmp_path)
    assert [made["cell"]["task"] for made in records] == ["boolq"]
    assert {one.path: one.reason.partition("]")[0] for one in unusable} == {
        closed.parent: "it cannot be read ([Errno 13",
        broken: "[Errno 5",
    }


def test_scan_of_no_folder_is_empty(tmp_path: Path) -> None:
    assert store.scan(tmp_path / "none") == ([], [])


def test_set_aside_never_overwrites(tmp_path: Path) -> None:
    names = []
    for content in ("first", "second"):
        path = tmp_path / "0-abc.json"
        path.write_text(content)
        names.append(store.set_aside(path))
        assert not path.exists()
    assert [p.name for p in names] == ["0-abc.json.invalid-1", "0-abc.json.invalid-2"]
    assert [p.read_text() for p in names] == ["first", "second"]
    assert store.scan(tmp_path) == ([], [])


def test_set_aside_by_two_processes_keeps_it_once(tmp_path: Path) -> None:
    path = tmp_path / "0-abc.json"
    for content in ("first", "second"):
        path.write_text(content)
        aside = store.set_aside(path)
    assert store.set_aside(path) == aside  # the slower of two that saw it
    assert [p.read_text() for p in sorted(tmp_path.iterdir())] == ["first", "second"]
    with pytest.raises(FileNotFoundError):
        store.set_aside(tmp_path / "1-abc.json")


def test_save_that_fails_leaves_the_old_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_record(tmp_path, make_record())

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        store.save(make_record(value=0.9), path)
    assert store.load(path)["metrics"]["accuracy"]["value"] == 0.8
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_result_is_all_of_a_record_but_its_times(tmp_path: Path) -> None:
    curve = synthetic_curve()
    slower = [point | {"seconds": 2 * point["seconds"]} for point in curve]
    bent = [point | {"train_loss": point["train_loss"] + 1e-12} for point in curve]
    made = make_record()
    a = write_record(tmp_path / "a", made, curve)
    late = changed(made, "time.train_sec", 9.0)
    assert result_of(a) == result_of(write_record(tmp_path / "b", late, slower))
    assert result_of(a) != result_of(write_record(tmp_path / "c", made, bent))
    other = changed(made, "metrics.accuracy.value", 0.8 + 1e-15)
    assert result_of(a) != result_of(write_record(tmp_path / "d", other, curve))


def test_read_curve_names_the_line(tmp_path: Path) -> None:
    path = write_record(tmp_path, make_record())
    with pytest.raises(schema.RecordError, match="curve cannot be read"):
        store.read_curve(path)
    store.curve_path(path).write_text('{"step": 1, "seconds": 0.1}\n{"step": 2, "sec')
    with pytest.raises(schema.RecordError, match="line 2 is not JSON"):
        store.read_curve(path)
    store.curve_path(path).write_text('{"step": "a", "seconds": 0.1}\n')
    with pytest.raises(schema.RecordError, match="line 1 is not a point with step and seconds"):
        store.read_curve(path)
    store.curve_path(path).write_bytes(b"\xff\xfe")
    with pytest.raises(schema.RecordError, match="curve cannot be read"):
        store.read_curve(path)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("[" * 100_000, "line 2 is not JSON"),
        ("[]", "line 2 is not a point"),
        ('{"step": 1e400, "seconds": 1}', "line 2 is not a point"),
        ('{"step": NaN, "seconds": 1}', "line 2 is not a point"),
        ('{"step": 2, "seconds": 1e308}', "line 2 is not a point"),
        ('{"step": 2, "seconds": 2, "accuracy": 1e308}', "accuracy is not a usable number"),
        ('{"step": 1, "seconds": 2}', "line 2 is not after the line before it"),
        ('{"step": 2, "seconds": 0}', "line 2 is not after the line before it"),
    ],
)
def test_a_line_of_a_curve_that_no_figure_could_draw_is_named(
    tmp_path: Path, line: str, words: str
) -> None:
    path = write_record(tmp_path, make_record())
    store.curve_path(path).write_text('{"step": 1, "seconds": 0.1}\n' + line)
    with pytest.raises(schema.RecordError, match=words):
        store.read_curve(path)


def version_2(folder: Path) -> tuple[Path, dict[str, Any]]:
    """A record with a curve and predictions, and the path that it was written to."""
    path = write_record(folder, make_record(), synthetic_curve())
    store.predictions_path(path).write_bytes(b"a table")
    return path, noting_files(path)


def test_version_2_notes_size_and_content_of_its_files(tmp_path: Path) -> None:
    path, made = version_2(tmp_path)
    assert store.load(path) == made
    assert made["files"]["predictions"] == {
        "bytes": 7,
        "sha256": "ad875d4bcb7fa0fef5d27aadd709b8ca253b2a10d15e8283d4dc7823bf26918e",
    }
    assert store.read_curve(path, store.load(path)) == store.read_curve(path)
    assert store.damage_of(store.load(path), "predictions", store.predictions_path(path)) is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("files", "files is missing"),
        ("data_counts", "data_counts is missing"),
        ("provenance.processes", r"provenance\.processes is missing"),
        ("files.adapter", r"files\.adapter is missing"),
        ("data_counts.rows_read", r"data_counts\.rows_read is missing"),
        ("curve", "curve is missing"),
    ],
)
def test_version_2_lacks_none_of_its_fields(tmp_path: Path, name: str, words: str) -> None:
    _, made = version_2(tmp_path)
    *parents, last = name.split(".")
    node = made
    for parent in parents:
        node = node[parent]
    del node[last]
    with pytest.raises(schema.RecordError, match=words):
        schema.validate(made)


def test_a_curve_and_its_digest_are_both_there_or_both_null(tmp_path: Path) -> None:
    _, made = version_2(tmp_path)
    with pytest.raises(schema.RecordError, match=r"curve and files\.curve: both or neither"):
        schema.validate(changed(made, "files.curve", None))


def test_a_file_that_differs_from_its_record_is_found(tmp_path: Path) -> None:
    path, _ = version_2(tmp_path)
    for file in (store.curve_path(path), store.predictions_path(path)):
        content = bytearray(file.read_bytes())
        content[-3] ^= 1  # of the same size
        file.write_bytes(content)
    made = store.load(path)
    with pytest.raises(schema.RecordError, match=r"curve\.jsonl is not the file"):
        store.read_curve(path, made)
    assert store.damage_of(made, "predictions", store.predictions_path(path)) is not None
    unnoted = write_record(tmp_path / "version 1", make_record(), synthetic_curve())
    assert store.read_curve(unnoted, store.load(unnoted))


REFERENCE = sorted((Path(__file__).parents[2] / "results" / "reference").rglob("records/**/*.json"))


def test_committed_records_have_the_hash_that_their_file_is_named_after() -> None:
    assert len(REFERENCE) >= 90
    for path in REFERENCE:
        assert store.load(path)["cell"]["config_hash"] == path.stem.split("-")[1]


@pytest.mark.parametrize("part", ["trainer", "task", "backbone", "protocol", "method"])
def test_an_added_key_leaves_hashes_alone(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = store.load(REFERENCE[0])
    family = made["cell"]["family"]
    place = f"backbones.{family}" if part == "backbone" else part
    prints = [made["provenance"][f"{kind}_fingerprint"] for kind in ("data", "backbone")]
    monkeypatch.setitem(hashing.ADDED_KEYS, part, hashing.ADDED_KEYS[part] | {"added": 0.5})
    before, moved = (
        hash_of(changed(made["config"], f"{place}.added", value), *prints) for value in (0.5, 0.25)
    )
    assert before == made["cell"]["config_hash"] != moved


def test_import_is_light() -> None:
    code = (
        "import sys, frod_bench.records.store; print({'torch', 'pandas', 'numpy'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
