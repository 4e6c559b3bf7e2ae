"""Readers of files that were damaged at random give a result or their own error, and no other."""

import json
import math
import shutil
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save

from frod_bench.common.errors import InputError
from frod_bench.common.yaml_text import OddYamlError, check_yaml
from frod_bench.data.checksums import SUMS_FILE, read_sums
from frod_bench.data.hub_layout import data_patterns, files_of, split_files
from frod_bench.frod import FrodConfig, attach_frod, load_frod, save_frod
from frod_bench.mirror.hub import trim_card
from frod_bench.records import schema, store
from frod_bench.records.store import digest_of
from tests.bad_input.mutations import CONTENTS, FEW, VALUES, changed, damaged
from tests.frod.helpers import Net
from tests.report.factory import make_record, noting_files, synthetic_curve, write_record
from tests.training.test_checkpoint import selecting
from tests.training.test_loop import Killed, config, fit, kill_at

pytestmark = pytest.mark.timeout(60)
SHARES = st.floats(0, 1)
CARD = {
    "license": "mit",
    "dataset_info": [{"config_name": "rte", "features": [{"name": "a", "dtype": "string"}]}],
    "configs": [
        {"config_name": "rte", "data_files": [{"split": "train", "path": "rte/train-*"}]},
        {"config_name": "cola", "data_dir": "cola"},
    ],
}
SUMS = {
    "nyu-mll/glue": {
        "kind": "dataset",
        "source": "commit x",
        "revision": None,
        "configs": ["rte"],
        "files": {"rte/train-0.parquet": "0" * 64},
    }
}


def card_of(front: Any) -> str:
    return f"---\n{yaml.safe_dump(front, allow_unicode=False)}---\n# Title\n"


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record of version 2 with its curve."""
    path = write_record(tmp_path_factory.mktemp("record"), make_record(), synthetic_curve(steps=20))
    noting_files(path)
    return path


def read_record(path: Path) -> None:
    """Read a record; one that is given can be saved again."""
    with suppress(schema.RecordError):
        schema.validate(store.load(path))


@FEW
@given(CONTENTS)
def test_a_record_of_any_bytes(record: Path, change: Any) -> None:
    sound = record.read_bytes()
    try:
        record.write_bytes(damaged(sound, change))
        read_record(record)
    finally:
        record.write_bytes(sound)


@FEW
@given(SHARES, VALUES)
def test_a_record_of_any_values(record: Path, place: float, value: Any) -> None:
    sound = record.read_bytes()
    try:
        record.write_text(json.dumps(changed(json.loads(sound), place, value)))
        read_record(record)
    finally:
        record.write_bytes(sound)


def is_value(one: Any) -> bool:
    """Whether a curve may hold it: a usable number, or what stands for none."""
    stands_for_none = one is None or (type(one) is float and not math.isfinite(one))
    return stands_for_none or schema.is_usable_number(one)


@FEW
@given(CONTENTS, SHARES, VALUES)
def test_a_curve_of_any_content(record: Path, change: Any, place: float, value: Any) -> None:
    path = store.curve_path(record)
    sound = path.read_bytes()
    first = json.dumps(changed(json.loads(sound.splitlines()[0]), place, value)).encode()
    try:
        for content in (damaged(sound, change), first + b"\n"):
            path.write_bytes(content)
            try:
                points = store.read_curve(record)
            except schema.RecordError:
                continue
            for point in points:
                assert all(map(is_value, point.values()))
    finally:
        path.write_bytes(sound)


def read_card(folder: Path) -> None:
    """Read a card as the planning of a cell, its data and a mirror do."""
    for read in (files_of, split_files, data_patterns):
        for name in ("rte", "cola"):
            with suppress(InputError):
                read(folder, name)
    try:
        data_patterns(folder, "rte")
    except InputError:
        return
    trim_card(folder / "README.md", ["rte"])


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set's folder."""
    folder = tmp_path_factory.mktemp("snapshot")
    for name in ("rte/train-0.parquet", "cola/train-0.parquet", "secret.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"rows")
    return folder


@FEW
@given(CONTENTS, SHARES, VALUES)
def test_a_card_of_any_content(snapshot: Path, change: Any, place: float, value: Any) -> None:
    try:
        front = card_of(changed(CARD, place, value))
    except (yaml.YAMLError, UnicodeEncodeError):  # a value that YAML cannot express
        front = ""
    for content in (damaged(card_of(CARD).encode(), change), front.encode()):
        (snapshot / "README.md").write_bytes(content)
        read_card(snapshot)


@FEW
@given(CONTENTS, SHARES, VALUES)
def test_sums_of_any_content(
    tmp_path_factory: pytest.TempPathFactory, change: Any, place: float, value: Any
) -> None:
    root = tmp_path_factory.getbasetemp()
    sound = json.dumps(SUMS).encode()
    for content in (
        damaged(sound, change),
        json.dumps(changed(SUMS, place, value)).encode(),
    ):
        (root / SUMS_FILE).write_bytes(content)
        with suppress(InputError):
            for entry in read_sums(root).values():
                assert all(isinstance(digest, str) for digest in entry.files.values())


@FEW
@given(st.text(max_size=80) | st.text("&*[]{}-: \n\tab'\"!|>%@`,?#", max_size=80))
def test_yaml_of_any_text_is_measured(text: str) -> None:
    try:
        check_yaml(text)
    except (yaml.YAMLError, OddYamlError):
        return
    with suppress(yaml.YAMLError, ValueError):  # a tag, or a date that is none
        yaml.safe_load(text)


def rewritten(content: bytes, place: float, value: Any) -> bytes:
    """Safetensors with a change in the JSON of their header."""
    (size,) = struct.unpack("<Q", content[:8])
    header = json.dumps(changed(json.loads(content[8 : 8 + size]), place, value)).encode()
    return struct.pack("<Q", len(header)) + header + content[8 + size :]


@pytest.fixture(scope="module", params=["exact", "peft"])
def adapter(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter in our format, or in PEFT's, and a copy of it."""
    config = FrodConfig(["up", "down"], sparse_rate=0.1, basis=request.param)
    folder = tmp_path_factory.mktemp("adapter")
    model = attach_frod(Net(), config, cache_dir=folder / "bases")
    kind = "peft" if request.param == "peft" else "native"
    save_frod(model, folder / "sound", include_basis=True, format=kind)  # type: ignore[arg-type]
    shutil.copytree(folder / "sound", folder / "bad")
    return folder


@FEW
@given(CONTENTS, SHARES, VALUES, st.sampled_from(["bytes", "values"]), st.booleans())
def test_an_adapter_of_any_content(
    adapter: Path, change: Any, place: float, value: Any, what: str, settings: bool
) -> None:
    [path] = (adapter / "sound").glob("*.json" if settings else "*.safetensors")
    sound = path.read_bytes()
    content = damaged(sound, change)
    if what == "values" and settings:
        content = json.dumps(changed(json.loads(sound), place, value)).encode()
    elif what == "values":
        content = rewritten(sound, place, value)
    try:
        (adapter / "bad" / path.name).write_bytes(content)
        with suppress(InputError):
            load_frod(Net(), adapter / "bad", cache_dir=adapter / "bases")
    finally:
        (adapter / "bad" / path.name).write_bytes(sound)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run leaves that was killed after its first checkpoint: that, and its best step's
    parameters.
    """
    folder = tmp_path_factory.mktemp("checkpoints")
    with pytest.raises(Killed):
        fit(folder / "sound", config(max_steps=6), selecting(), on_point=kill_at(5))
    return folder


def state_changed(content: bytes, place: float, value: Any) -> bytes:
    """A checkpoint with a change in its state, which is JSON in the JSON of the header."""
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    state = json.loads(header["__metadata__"]["state"])
    header["__metadata__"]["state"] = json.dumps(changed(state, place, value))
    new = json.dumps(header).encode()
    return struct.pack("<Q", len(new)) + new + content[8 + size :]


def one_tensor_changed(content: bytes, place: float, shape: tuple[int, ...], fill: float) -> bytes:
    """A checkpoint of which one tensor has another shape and other values."""
    tensors = load(content)
    (size,) = struct.unpack("<Q", content[:8])
    metadata = json.loads(content[8 : 8 + size]).get("__metadata__")
    name = sorted(tensors)[min(int(place * len(tensors)), len(tensors) - 1)]
    return save(tensors | {name: torch.full(shape, fill)}, metadata)


DAMAGES: dict[str, Callable[[bytes, Any, float, Any], bytes]] = {
    "bytes": lambda sound, change, _place, _value: damaged(sound, change),
    "header": lambda sound, _change, place, value: rewritten(sound, place, value),
    "state": lambda sound, _change, place, value: state_changed(sound, place, value),
}
SHAPES = st.sampled_from([(), (0,), (1,), (3,), (3, 6), (6, 3)])  # those of `Net`, and others
FILLS = st.sampled_from([0.0, -1.0, 0.5, 4.0, 1e30, math.nan, math.inf])


def resumes_or_starts_over(
    checkpoints: Path, kind: str, damage: Callable[[bytes], bytes], *, sealed: bool
) -> None:
    """Damage a file of a copy and end its run. A `sealed` file is named after what is then in it,
    so that its content is interpreted; of any other one the digest alone is compared.
    """
    shutil.rmtree(checkpoints / "bad", ignore_errors=True)
    shutil.copytree(checkpoints / "sound", checkpoints / "bad")
    for path in sorted((checkpoints / "bad").glob(f"{kind}-*.safetensors"))[-1:]:
        path.write_bytes(damage(path.read_bytes()))
        if sealed:
            step = path.name.rpartition("-")[0]
            path.rename(path.with_name(f"{step}-{digest_of(path)['sha256']}.safetensors"))
    _, progress = fit(checkpoints / "bad", config(max_steps=6), selecting())
    assert [point["step"] for point in progress.curve][-1] in range(1, 7)


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize("damage", DAMAGES)
@FEW
@given(CONTENTS, SHARES, VALUES)
def test_a_run_resumes_or_starts_over_from_a_checkpoint_of_any_content(
    checkpoints: Path, damage: str, sealed: bool, change: Any, place: float, value: Any
) -> None:
    resumes_or_starts_over(
        checkpoints,
        "step",
        lambda sound: DAMAGES[damage](sound, change, place, value),
        sealed=sealed,
    )


@pytest.mark.parametrize("kind", ["step", "best"])
@FEW
@given(SHARES, SHAPES, FILLS)
def test_a_run_resumes_or_starts_over_whatever_tensor_a_checkpoint_has(
    checkpoints: Path, kind: str, place: float, shape: tuple[int, ...], fill: float
) -> None:
    resumes_or_starts_over(
        checkpoints,
        kind,
        lambda sound: one_tensor_changed(sound, place, shape, fill),
        sealed=True,
    )
