"""What comes from elsewhere is data: files and names that try to be more."""

import functools
import io
import json
import pickle
import shlex
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from frod_bench.cells.grid import compose_cells
from frod_bench.common import names
from frod_bench.common.errors import InputError
from frod_bench.common.paths import SHIPPED_BACKBONES_DIR
from frod_bench.common.terminal import plain_console, shown
from frod_bench.frod import FrodConfig, attach_frod, load_frod, save_frod
from frod_bench.jobs.run import check_methods
from frod_bench.mirror.hub import Repository, copy
from frod_bench.models.classifier import build_classifier
from frod_bench.report.asked import Cell
from frod_bench.report.build import write_report
from tests.conftest import SHORT, RunHere
from tests.frod.helpers import Net
from tests.mirror.conftest import fake_hub  # noqa: F401  (a fixture)
from tests.report.factory import make_record, synthetic_curve, write_record
from tests.report.page_reader import Page


class Touch:
    """Its pickle makes a file when it is loaded, as `torch.load` would."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.marker,)


def pickled(marker: Path) -> bytes:
    return pickle.dumps(Touch(marker))


def archived(marker: Path) -> bytes:
    """As `torch.save` writes it."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("archive/data.pkl", pickled(marker))
        archive.writestr("archive/version", "3\n")
    return made.getvalue()


def huge(_marker: Path) -> bytes:
    """Safetensors with one tensor of 2^60 numbers, and no bytes for them."""
    header = json.dumps({"x": {"dtype": "F32", "shape": [2**60], "data_offsets": [0, 2**62]}})
    return struct.pack("<Q", len(header)) + header.encode()


def endless(_marker: Path) -> bytes:
    """Safetensors whose header has 2^63 bytes."""
    return struct.pack("<Q", 2**63 - 1) + b"{"


FORMS = (pickled, archived, huge, endless)


@pytest.mark.parametrize("form", FORMS)
def test_weights_that_are_no_weights_are_not_unpickled(
    tmp_path: Path, form: Callable[[Path], bytes]
) -> None:
    marker, folder = tmp_path / "ran", tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_bytes(
        (SHIPPED_BACKBONES_DIR / "encoder/config.json").read_bytes()
    )
    build = functools.partial(
        build_classifier,
        folder,
        revision=None,
        pooling="first",
        num_labels=2,
        pretrained=True,
        seed=0,
    )
    (folder / "pytorch_model.bin").write_bytes(form(marker))
    with pytest.raises(InputError, match="cannot be read"):
        build()
    (folder / "model.safetensors").write_bytes(form(marker))
    with pytest.raises(InputError, match="cannot be read"):
        build()
    assert not marker.exists()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("basis", ["exact", "peft"])
def test_an_adapter_that_is_no_adapter_is_not_unpickled(
    tmp_path: Path, form: Callable[[Path], bytes], basis: Any
) -> None:
    config = FrodConfig(["up", "down"], sparse_rate=0.1, basis=basis)
    model = attach_frod(Net(), config, use_cache=False)
    save_frod(model, tmp_path / "adapter", format="peft" if basis == "peft" else "native")
    [tensors] = (tmp_path / "adapter").glob("*.safetensors")
    tensors.write_bytes(form(tmp_path / "ran"))
    with pytest.raises(InputError, match="truncated or damaged"):
        load_frod(Net(), tmp_path / "adapter", cache_dir=tmp_path / "bases")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("basis", ["exact", "peft"])
def test_a_pattern_in_an_adapter_is_not_matched(tmp_path: Path, basis: Any) -> None:
    """It would take longer than anyone waits: every layer's name is tried in 2^40 ways."""
    config = FrodConfig(["up", "down"], sparse_rate=0.1, basis=basis)
    model = attach_frod(Net(), config, use_cache=False)
    save_frod(model, tmp_path / "adapter", format="peft" if basis == "peft" else "native")
    [path] = (tmp_path / "adapter").glob("*.json")
    settings = json.loads(path.read_text())
    (settings if basis == "peft" else settings["config"])["target_modules"] = "((([a-z.0-9])+)+)+!"
    path.write_text(json.dumps(settings))
    load_frod(Net(), tmp_path / "adapter", cache_dir=tmp_path / "bases")


# The YAML of a method, with a marker that exists if it was more than data.
METHODS = {
    "a command": "peft: {_target_: os.system, command: touch MARKER}",
    "a class of Python's": 'peft: {_target_: builtins.exec, r: \'open("MARKER", "w")\'}',
    "a class within": "peft: {_target_: peft.LoraConfig, rank_pattern: {_target_: os.system}}",
    "arguments of Hydra's": "peft: {_target_: peft.LoraConfig, _args_: [touch MARKER]}",
    "a module": "peft: {_target_: peft.LoraConfig, megatron_core: marker}",
    "a pickle": "peft: {_target_: peft.LoraConfig, corda_config: {cache_file: MARKER.pickle}}",
    "a class that maps": "peft: {_target_: peft.LoraConfig, auto_mapping: {base: marker}}",
    "a tag": "options: !!python/object/apply:os.system ['touch MARKER']",
    "a tag for a module": "options: !!python/module:marker",
    "a resolver": "options: {a: '${oc.create:{_target_: os.system}}'}",
    "a resolver in a resolver": "options: {a: '${oc.${.b}:HF_TOKEN}', b: env}",
    "another group": "defaults: [/hydra/callbacks@hydra: marker]",
    "Hydra's node": "hydra: {callbacks: {x: {_target_: pathlib.Path.touch}}}",
    "a function elsewhere": "apply: ../../../../marker.py:run",
}


@pytest.mark.parametrize("what", METHODS)
def test_a_methods_yaml_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    marker = tmp_path / "ran"
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "marker.py").write_text(f"open({str(marker)!r}, 'w')\ndef run(*_): ...\n")
    (tmp_path / "ran.pickle").write_bytes(pickled(marker))
    path = tmp_path / "mine.yaml"
    body = METHODS[what].replace("MARKER", str(marker))
    path.write_text(f"name: mine\nkind: peft\nlearning_rates: {{adapter: 1, head: 1}}\n{body}\n")
    with pytest.raises(InputError):
        check_methods(compose_cells([f"method={path}", "task=rte", "seed=0", *SHORT])[1])
    assert not marker.exists()


NAMES = {
    "Cyrillic": "frоd",
    "full-width": "ｆrod",
    "a full-width path": "．．／x",
    "a combining mark": "frod\u0301",
    "turned around": "a\u202egpj.exe",
    "zero width": "fr\u200bod",
    "a newline": "frod\n",
    "a carriage return": "frod\rok",
    "NUL": "frod\0",
    "an escape sequence": "\x1b]0;owned\x07",
    "a surrogate": "\ud800",
    "a fraction slash": "a\u2044b",
    "a path": "../../x",
    "an absolute path": "/etc/passwd",
    "Windows' path": "..\\..\\x",
    "a drive": "c:",
    "an address": "file:x",
    "an option": "--config-dir",
    "hidden": ".ssh",
    "markup": "<script>",
    "mathtext": "$\\frac{a}{b}$",
    "a star": "*",
    "a command": "$(touch x)",
    "long": "a" * 256,
}


@pytest.mark.parametrize("what", NAMES)
def test_a_name_that_is_none_is_not_a_folders(tmp_path: Path, what: str) -> None:
    name = NAMES[what]
    assert not names.is_name(name)
    assert not names.is_hub_id(f"owner/{name}")
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps({"name": name, "kind": "frozen", "learning_rates": {"head": 1}}))
    with pytest.raises(InputError, match="name=") as refused:
        compose_cells([f"method={path}", "task=rte", "seed=0"])
    assert shown(str(refused.value), in_a_line=True).isprintable()
    assert [one.name for one in tmp_path.iterdir()] == ["mine.yaml"]


LISTED = ["a\nb", "a\x1b[2Jb", "a\u202eb", "a\0b", "../x", "/etc/x", "a/../../x", "c:/x", "x://y"]


@pytest.mark.parametrize("name", LISTED)
def test_a_repository_that_lists_an_odd_file_is_not_copied(
    tmp_path: Path,
    fake_hub: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    card = b"---\nconfigs:\n- config_name: default\n  data_files: '*'\n---\n"
    fake_hub.put("dataset", "org/data", {"README.md": card})
    ask = fake_hub.repo_info

    def with_another(*words: Any, **more: Any) -> Any:
        info = ask(*words, **more)
        info.siblings.append(SimpleNamespace(rfilename=name, size=4, lfs=None))
        return info

    monkeypatch.setattr(fake_hub, "repo_info", with_another)
    with pytest.raises(InputError, match="which is not in the repository") as refused:
        copy([Repository("dataset", "org/data", None, ("default",))], tmp_path / "mirror", print)
    assert str(refused.value).isprintable()
    assert not (tmp_path / "mirror").exists()


MARKUP = "</script></title><img src=x onerror=alert(1)><!--$\\frac{1}{0$ \\input{/etc/passwd}"


def hostile_record(seed: int, **changes: Any) -> dict[str, Any]:
    """A record with markup in every text that a reader may show."""
    made = make_record("rte", "frod", seed, **changes)
    if made["error"]:
        made["error"] |= {"type": MARKUP, "message": MARKUP, "where": MARKUP}
    made["provenance"] |= dict.fromkeys(("code_version", "device", "processor", "dtype"), MARKUP)
    made["provenance"]["packages"] = {MARKUP: MARKUP}
    made["provenance"]["started_at"] = MARKUP
    made["config"]["profile"]["title"] = MARKUP
    made["config"]["suite"] = {"name": MARKUP}
    return made


def test_markup_in_records_is_text_on_the_page_and_in_tables(tmp_path: Path) -> None:
    write_record(tmp_path, hostile_record(0), synthetic_curve())
    write_record(tmp_path, hostile_record(1, status="failed"))
    cells = [Cell("rte", "frod", seed, protocol="fair", family="nlu") for seed in (0, 1)]
    report = write_report(tmp_path, "embedded", cells, MARKUP, parts=["html", "tables"])
    [path] = [path for path in report.paths if path.suffix == ".html"]
    page = Page(path)
    assert "<img" not in page.source.partition("</head>")[2]
    assert page.loads == ["data:,"]
    assert page.source.count("<script") == page.source.count("</script>")
    assert MARKUP in page.text
    for table in tmp_path.rglob("*.tex"):
        assert "\\input{" not in table.read_text(), table


CONTROL = "\x1b]0;owned\x07\x1b[2J\u202e\x9b31m"


def test_what_a_terminal_would_obey_is_shown(
    tmp_path: Path, here: RunHere, capsys: pytest.CaptureFixture[str]
) -> None:
    escaped = "\\x1b]0;owned\\x07\\x1b[2J\\u202e\\x9b31m"
    assert shown(f"a{CONTROL}b") == f"a{escaped}b"
    assert shown("a\nb\tc") == "a\nb\tc"
    assert shown("a\nb", in_a_line=True) == "a\\nb"
    assert shown("ä ✓ 日本") == "ä ✓ 日本"
    assert shown("\udcff") == "\\udcff"
    plain_console(width=200).print(CONTROL)
    assert capsys.readouterr().out == f"{escaped}\n"

    folder = tmp_path / "embedded/records/rte/frod"
    folder.mkdir(parents=True)
    (folder / f"0-{CONTROL}\n.json").write_text("{}")
    listed = here("frod_bench", "ls", "records", f"folder={tmp_path}/embedded")
    assert f"0-{escaped}\\n.json" in listed.stdout
    told = here("frod_bench", "report", f"folder={tmp_path}/embedded")
    assert escaped in told.stderr
    (tmp_path / f"{CONTROL}.yaml").write_text("name: [")
    word = shlex.quote(f"method={tmp_path}/{CONTROL}.yaml")
    refused = here("frod_bench", "run", f"'{word}'" if "'" not in word else word)
    for said in (listed.stdout, told.stdout, told.stderr, refused.stderr):
        assert not set(said) & set("\x1b\x07\x9b\u202e")
