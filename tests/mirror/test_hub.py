"""Copying from the Hub: which files, resuming, checking, and what is said when it fails."""

import errno
import inspect
import json
from pathlib import Path
from types import SimpleNamespace

import datasets
import pytest
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
)
from huggingface_hub.utils import httpx

from frod_bench.cells.fingerprint import backbone_fingerprint, data_fingerprint
from frod_bench.common.errors import InputError
from frod_bench.data.checksums import SUMS_FILE, read_sums, verify
from frod_bench.data.source import read_data_set
from frod_bench.mirror import hub
from frod_bench.mirror.hub import Repository, copy
from tests.data.conftest import task_config, write_sample
from tests.mirror.conftest import FakeHub, http_error

CARD = b"""---
configs:
- config_name: cola
  data_files:
  - split: train
    path: cola/train-*
- config_name: rte
  data_files:
  - split: train
    path: rte/train-*
  - split: validation
    path: rte/validation-*
---
"""
DATA = {
    "README.md": CARD,
    "cola/train-00000-of-00001.parquet": b"c" * 200,
    "rte/train-00000-of-00001.parquet": b"t" * 200,
    "rte/validation-00000-of-00001.parquet": b"v" * 50,
    "rte.py": b"a loading script",
}
MODEL = {
    "config.json": b"{}",
    "model.safetensors": b"w" * 300,
    "pytorch_model.bin": b"a pickle" * 50,
    "onnx/model.onnx": b"o" * 300,
    "tokenizer.json": b"{}",
    "README.md": b"a card",
}
GLUE = Repository("dataset", "nyu-mll/glue", None, ("rte",))
BERT = Repository("model", "org/bert", None)


@pytest.fixture
def stocked(fake_hub: FakeHub) -> FakeHub:
    fake_hub.put("dataset", "nyu-mll/glue", DATA)
    fake_hub.put("model", "org/bert", MODEL)
    return fake_hub


def _run(root: Path, *repositories: Repository) -> list[str]:
    lines: list[str] = []
    copy(repositories, root, lines.append)
    return lines


def _files(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_only_what_the_suite_reads_is_copied(stocked: FakeHub, tmp_path: Path) -> None:
    _run(tmp_path / "out", GLUE, BERT)
    assert _files(tmp_path / "out") == {
        SUMS_FILE,
        "nyu-mll/glue/README.md",
        "nyu-mll/glue/rte/train-00000-of-00001.parquet",
        "nyu-mll/glue/rte/validation-00000-of-00001.parquet",
        "org/bert/config.json",
        "org/bert/model.safetensors",
        "org/bert/tokenizer.json",
    }
    assert "2 repositories, 6 files" in verify(tmp_path / "out")


def test_the_copy_is_what_the_suite_looks_for(stocked: FakeHub, tmp_path: Path) -> None:
    root = str(tmp_path / "out")
    _run(tmp_path / "out", GLUE, BERT)
    assert len(data_fingerprint("nyu-mll/glue", "rte", None, root)) == 64
    assert len(backbone_fingerprint("org/bert", None, root)) == 64


def test_a_config_that_comes_second_in_the_card_can_be_read(
    fake_hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`datasets` looks for the files of the first config, which are not copied."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "arrow")
    mrpc, rte = task_config("mrpc"), task_config("rte")
    for task in (mrpc, rte):
        write_sample(tmp_path / task.name, task)
    info = "dataset_info:\n- config_name: mrpc\n- config_name: rte\n---\nAbout GLUE: é.\n"
    fronts = [
        (tmp_path / task.name / "nyu-mll/glue/README.md").read_text().split("---\n")[1]
        for task in (mrpc, rte)
    ]
    card = "---\n" + fronts[0] + fronts[1].replace("configs:\n", "") + info
    parquet = {
        path.relative_to(tmp_path / task.name / "nyu-mll/glue").as_posix(): path.read_bytes()
        for task in (mrpc, rte)
        for path in (tmp_path / task.name).rglob("*.parquet")
    }
    fake_hub.put("dataset", "nyu-mll/glue", {**parquet, "README.md": card.encode()})
    out = tmp_path / "out"
    _run(out, GLUE)
    assert len(read_data_set(rte, str(out))["train"]) == 40
    assert (out / "nyu-mll/glue/README.md").read_text().endswith("---\nAbout GLUE: é.\n")
    assert "mrpc" not in (out / "nyu-mll/glue/README.md").read_text()
    _run(out, Repository("dataset", "nyu-mll/glue", None, ("mrpc",)))
    assert (out / "nyu-mll/glue/README.md").read_text() == card
    assert len(read_data_set(mrpc, str(out))["train"]) == 40
    assert len(read_data_set(rte, str(out))["train"]) == 40
    verify(out)


def test_a_card_without_configs_means_every_parquet_file(fake_hub: FakeHub, tmp_path: Path) -> None:
    files = {"README.md": b"no front matter", "data/train.parquet": b"t", "top.parquet": b"u"}
    fake_hub.put("dataset", "a/b", {**files, "notes.txt": b"n"})
    _run(tmp_path / "out", Repository("dataset", "a/b", None, ("default",)))
    assert set(read_sums(tmp_path / "out")["a/b"].files) == set(files)


def test_a_second_run_asks_the_hub_for_nothing(stocked: FakeHub, tmp_path: Path) -> None:
    _run(tmp_path / "out", GLUE, BERT)
    stocked.asked, stocked.downloaded = 0, []
    lines = _run(tmp_path / "out", GLUE, BERT)
    assert (stocked.asked, stocked.downloaded) == (0, [])
    assert all("as its checksums say" in line for line in lines)
    assert len(lines) == 2


def test_a_changed_file_is_fetched_again_and_only_that(stocked: FakeHub, tmp_path: Path) -> None:
    out = tmp_path / "out"
    _run(out, GLUE, BERT)
    (out / "org/bert/model.safetensors").write_bytes(b"x" * 300)
    with pytest.raises(InputError, match=r"org/bert/model\.safetensors has another SHA-256"):
        verify(out)
    stocked.downloaded = []
    _run(out, GLUE, BERT)
    assert stocked.downloaded == ["org/bert/model.safetensors"]
    assert (out / "org/bert/model.safetensors").read_bytes() == MODEL["model.safetensors"]


def test_an_interrupted_copy_goes_on(stocked: FakeHub, tmp_path: Path) -> None:
    out = tmp_path / "out"
    stocked.interrupt = ("model.safetensors", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        _run(out, GLUE, BERT)
    assert set(read_sums(out)) == {"nyu-mll/glue"}
    stocked.interrupt, stocked.downloaded = None, []
    _run(out, GLUE, BERT)
    assert stocked.downloaded == ["org/bert/model.safetensors", "org/bert/tokenizer.json"]
    verify(out)


@pytest.mark.parametrize(
    "error", [LocalEntryNotFoundError("gone"), httpx.ReadTimeout("gone"), RuntimeError("gone")]
)
def test_a_network_that_goes_away_is_a_copy_that_failed(
    error: BaseException, stocked: FakeHub, tmp_path: Path
) -> None:
    stocked.interrupt = ("model.safetensors", error)
    with pytest.raises(OSError, match=r"org/bert: .*gone"):
        _run(tmp_path / "out", BERT)
    assert "org/bert" not in read_sums(tmp_path / "out")


def test_files_that_did_not_come_are_missed(
    stocked: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without network the client gives back the folder as it is."""
    stocked.interrupt = ("model.safetensors", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        _run(tmp_path / "out", BERT)
    monkeypatch.setattr(hub, "snapshot_download", lambda *_, local_dir, **__: str(local_dir))
    with pytest.raises(OSError, match=r"2 of 3 files did not come \(model\.safetensors, token"):
        _run(tmp_path / "out", BERT)
    assert read_sums(tmp_path / "out") == {}


def test_another_config_joins_what_is_there(stocked: FakeHub, tmp_path: Path) -> None:
    out = tmp_path / "out"
    _run(out, GLUE)
    _run(out, Repository("dataset", "nyu-mll/glue", None, ("cola",)))
    entry = read_sums(out)["nyu-mll/glue"]
    assert entry.configs == ["cola", "rte"]
    assert len(entry.files) == 4
    assert "as its checksums say" in _run(out, GLUE)[0]


def test_files_of_another_commit_do_not_stay(stocked: FakeHub, tmp_path: Path) -> None:
    """`train-*` would read the old shards with the new."""
    out = tmp_path / "out"
    _run(out, GLUE)
    new = {"README.md": CARD, "rte/train-00000-of-00002.parquet": b"1" * 200}
    stocked.put("dataset", "nyu-mll/glue", new, revision="v2")
    _run(out, Repository("dataset", "nyu-mll/glue", "v2", ("rte",)))
    assert _files(out / "nyu-mll/glue") == set(new)
    assert read_sums(out)["nyu-mll/glue"].source == "commit commit-of-v2"


def test_a_file_that_is_not_what_the_hub_states_is_refused(
    stocked: FakeHub, tmp_path: Path
) -> None:
    stocked.garble = "model.safetensors"
    with pytest.raises(InputError, match=r"org/bert: model\.safetensors did not arrive"):
        _run(tmp_path / "out", BERT)
    assert not (tmp_path / "out/org/bert/model.safetensors").exists()
    stocked.garble = None
    _run(tmp_path / "out", BERT)
    verify(tmp_path / "out")


def test_all_repositories_that_cannot_be_had_are_named_before_anything_is_written(
    stocked: FakeHub, tmp_path: Path
) -> None:
    stocked.gated["meta/llama"] = http_error(GatedRepoError, 403)
    stocked.put("model", "meta/llama", MODEL)
    stocked.put("model", "org/pickled", {"config.json": b"{}", "pytorch_model.bin": b"p"})
    wanted = [
        GLUE,
        Repository("model", "meta/llama", None),
        Repository("model", "org/nowhere", None),
        Repository("model", "org/bert", "v9"),
        Repository("model", "org/pickled", None),
        Repository("dataset", "nyu-mll/glue", None, ("mrcp",)),
    ]
    with pytest.raises(InputError) as caught:
        _run(tmp_path / "out", *wanted)
    message = str(caught.value)
    for part in (
        "meta/llama: is gated. Accept its licence",
        "org/nowhere: is not on the Hub",
        "org/bert: has no revision 'v9'",
        "org/pickled: has no config.json with model*.safetensors",
        "lists no files of config 'mrcp'",
        "Nothing was copied.",
    ):
        assert part in message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (httpx.ConnectError("no route"), InputError, r"cannot be reached \(no route\)"),
        (LocalEntryNotFoundError("no network"), InputError, "cannot be reached"),
        (OfflineModeIsEnabled("offline"), InputError, "HF_HUB_OFFLINE unset"),
        (http_error(HfHubHTTPError, 401), InputError, r"refuses access \(status 401\)"),
        (http_error(HfHubHTTPError, 503), OSError, "answered with an error: 503"),
        (OSError(errno.ENOSPC, "No space left on device"), OSError, "No space left"),
    ],
)
def test_trouble_is_one_message(
    error: BaseException, kind: type, message: str, stocked: FakeHub, tmp_path: Path
) -> None:
    stocked.trouble = {"nyu-mll/glue": error, "org/bert": error}
    with pytest.raises(kind, match=message) as caught:
        _run(tmp_path / "out", GLUE, BERT)
    assert str(caught.value).count("cannot be reached") <= 1
    assert not (tmp_path / "out").exists()


def test_too_small_a_disk_is_told_before_anything_is_written(
    stocked: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub.shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    with pytest.raises(InputError, match="are free there"):
        _run(tmp_path / "out", BERT)
    assert not (tmp_path / "out").exists()


def test_weights_that_the_hub_converted_are_found(fake_hub: FakeHub, tmp_path: Path) -> None:
    fake_hub.put("model", "org/clip", {"config.json": b"{}", "pytorch_model.bin": b"p"})
    fake_hub.put("model", "org/clip", MODEL, revision="refs/pr/3")
    fake_hub.put("model", "org/clip", {**MODEL, "model.safetensors": b"evil"}, "refs/pr/2")
    offer = {"is_pull_request": True, "status": "open", "title": hub.CONVERSION}
    fake_hub.offers = [
        SimpleNamespace(**offer, author="somebody", git_reference="refs/pr/2"),
        SimpleNamespace(**offer, author=hub.CONVERTER, git_reference="refs/pr/3"),
    ]
    _run(tmp_path / "out", Repository("model", "org/clip", None))
    weights = tmp_path / "out/org/clip/model.safetensors"
    assert weights.read_bytes() == MODEL["model.safetensors"]


def test_checksums_that_cannot_be_read_are_bad_input(stocked: FakeHub, tmp_path: Path) -> None:
    _run(tmp_path / "out", BERT)
    noted = json.loads((tmp_path / "out" / SUMS_FILE).read_text())
    assert noted["org/bert"]["source"] == "commit commit-of-main"
    (tmp_path / "out" / SUMS_FILE).write_text("{")
    with pytest.raises(InputError, match="cannot be read as a mirror's checksums"):
        _run(tmp_path / "out", BERT)


def test_a_file_that_was_added_is_told(stocked: FakeHub, tmp_path: Path) -> None:
    _run(tmp_path / "out", GLUE)
    (tmp_path / "out/nyu-mll/glue/rte/train-mine.parquet").write_bytes(b"more rows")
    with pytest.raises(InputError, match=r"train-mine\.parquet does not belong there"):
        verify(tmp_path / "out")


def test_the_calls_are_those_of_the_installed_client() -> None:
    """The folder in the Hub's place takes what the real one takes."""
    for real, fake in (
        (snapshot_download, FakeHub.snapshot_download),
        (HfApi.repo_info, FakeHub.repo_info),
        (HfApi.auth_check, FakeHub.auth_check),
        (HfApi.get_repo_discussions, FakeHub.get_repo_discussions),
    ):
        by_name = {
            name
            for name, parameter in inspect.signature(fake).parameters.items()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        }
        assert by_name <= inspect.signature(real).parameters.keys()
