"""Methods of a user's own: by path, in Python, by an entry point; and what is refused of them."""

import json
import multiprocessing
import re
import shutil
import sys
from pathlib import Path

import pytest

from frod_bench.analyses.command import main as analyse
from frod_bench.cells.grid import compose_cells
from frod_bench.common.errors import InputError
from frod_bench.config import callables
from frod_bench.jobs import run
from frod_bench.records import hashing, store
from frod_bench.training.runner import execute, restore_trained
from tests.conftest import SHORT, MakeCell, RunHere

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "my_method"
YAML = EXAMPLE / "layer_norms.yaml"
TASKS = {"nlu": "rte", "reasoning": "boolq", "vision": "eurosat"}
NORMS = {"nlu": 2 * (2 * 6 + 1), "reasoning": 2 * 6 + 1, "vision": 2 * (2 * 6 + 2)}  # x width
ADAPTER = """\
name: my_lora
kind: peft
learning_rates: {adapter: 1e-3, head: "${rate:lora.head}"}
peft: {_target_: peft.LoraConfig, r: 2}
"""


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The example's YAML in a folder of its own."""
    return Path(shutil.copytree(EXAMPLE, tmp_path / "mine")) / YAML.name


@pytest.mark.usefixtures("forked")
def test_the_example_runs_from_the_command_line_and_is_in_the_tables(
    tmp_path: Path, here: RunHere
) -> None:
    """In a worker, which imports the example anew."""
    grid = (f"results_root={tmp_path}", *SHORT, "task=rte", f"method=frozen,{YAML}", "seed=0")
    done = here("frod_bench.reproduce", "experiment=main_table", "runtime.jobs=1", *grid)
    assert done.returncode == 0, done.stderr
    header = (tmp_path / "embedded/tables/main.md").read_text()
    assert re.search(r"\| task +\| Frozen +\| layer_norms +\|", header), header
    single = here("frod_bench.run", *grid[:-2], f"method={YAML}", "seed=0")
    assert single.returncode == 0, single.stderr
    assert "has a record already" in single.stderr
    assert Path(single.stdout.splitlines()[-1]).parent.name == "layer_norms"


@pytest.mark.parametrize("family", TASKS)
def test_the_example_trains_the_norms_of_every_backbone(make_cell: MakeCell, family: str) -> None:
    cell = make_cell(f"task={TASKS[family]}", f"method={YAML}", "save=adapter")
    assert execute(cell).status == "ok"
    params = store.load(cell.record_path)["params"]
    assert params is not None
    assert params["trainable"] - params["trainable_head"] == 128 * NORMS[family]
    assert params["extra_frozen"] == 0
    restore_trained(cell)


def test_the_examples_option_is_read(make_cell: MakeCell) -> None:
    cell = make_cell("task=rte", f"method={YAML}", "method.options.shifts=false")
    assert execute(cell).status == "ok"
    params = store.load(cell.record_path)["params"]
    assert params is not None
    assert params["trainable"] - params["trainable_head"] == 128 * NORMS["nlu"] / 2


def test_a_cell_is_told_by_what_is_in_the_files_and_not_by_where_they_lie(
    make_cell: MakeCell, copied: Path
) -> None:
    base = make_cell("task=rte", f"method={YAML}")
    assert make_cell("task=rte", f"method={copied}").config_hash == base.config_hash
    for file, old, new in ((copied.with_suffix(".py"), "the cell's", "its"),
                           (copied, "norms: 3.0e-3", "norms: 4.0e-3")):  # fmt: skip
        before = make_cell("task=rte", f"method={copied}").config_hash
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
        assert make_cell("task=rte", f"method={copied}").config_hash != before


def test_a_function_that_changed_since_it_was_planned_or_trained_is_refused(
    make_cell: MakeCell, copied: Path, tmp_path: Path
) -> None:
    cell = make_cell("task=rte", f"method={copied}", "save=adapter")
    assert execute(cell).status == "ok"
    planned = make_cell("task=rte", f"method={copied}", "seed=1")
    with copied.with_suffix(".py").open("a") as stream:
        stream.write("# changed\n")
    with pytest.raises(InputError, match="changed since the cell was planned"):
        execute(planned)
    with pytest.raises(InputError, match="no longer the one"):
        restore_trained(cell)


def test_what_came_for_methods_in_python_leaves_other_cells_as_they_were(
    make_cell: MakeCell,
) -> None:
    base = make_cell("task=rte", "method=lora")
    new = ("released_output", "apply", "options", "source")
    method = {k: v for k, v in base.config["method"].items() if k not in new}
    assert set(new) <= set(base.config["method"])
    prints = (base.data_fingerprint, base.backbone_fingerprint)
    older = hashing.identity(base.config | {"method": method}, *prints)
    assert hashing.config_hash(older) == base.config_hash


def test_a_yaml_over_peft_is_composed_as_the_suites_own(
    make_cell: MakeCell, tmp_path: Path
) -> None:
    path = tmp_path / "my lora.yaml"
    path.write_text(ADAPTER)
    cell = make_cell("task=rte", f"method='{path}'", "method.peft.r=4")
    assert cell.method == "my_lora"
    assert cell.config["method"]["peft"] == {"_target_": "peft.LoraConfig", "r": 4}
    head = make_cell("task=rte", "method=lora").config["method"]["learning_rates"]["head"]
    assert cell.config["method"]["learning_rates"]["head"] == head
    assert execute(cell).status == "ok"


def test_a_yaml_may_stand_on_one_of_the_suites(make_cell: MakeCell, tmp_path: Path) -> None:
    (tmp_path / "dense.yaml").write_text("defaults: [frod, _self_]\nname: dense\nsparse_rate: 0.5")
    mine = make_cell("task=rte", f"method={tmp_path}/dense.yaml").config["method"]
    base = make_cell("task=rte", "method=frod").config["method"]
    assert mine == base | {"name": "dense", "sparse_rate": 0.5}


@pytest.mark.parametrize(
    "entry",
    ["/{}/other", "{}/other", "../lora", "/method: lora", "/method@_global_.hydra.callbacks: lora"],
)
def test_a_yaml_stands_on_methods_alone_and_so_calls_nothing(
    tmp_path: Path, here: RunHere, entry: str
) -> None:
    """Hydra calls what hydra.callbacks name, and any YAML may set them."""
    marker = tmp_path / "called"
    (tmp_path / "other.yaml").write_text(
        "# @package _global_\nhydra: {callbacks: {mine: {_target_: pathlib.Path.touch, "
        f"self: {{_target_: pathlib.Path, _args_: [{marker}]}}}}}}}}\n"
    )
    up = "/".join([".."] * 20)
    path = tmp_path / "mine.yaml"
    path.write_text(
        f"defaults:\n- {entry.format(f'{up}{tmp_path}')}\n- lora\n- _self_\nname: mine\n"
    )
    done = here("frod_bench.run", "task=rte", f"method={path}", "plan_only=true")
    assert done.returncode == 2, done.stdout
    assert "mine.yaml: defaults=" in done.stderr
    assert not marker.exists()


PACKAGE = {
    "my_package/__init__.py": "",
    "my_package/norms.py": (EXAMPLE / "layer_norms.py").read_text(),
    "my_package/my_norms.yaml": (
        "name: my_norms\nkind: python\nlearning_rates: {norms: 1e-3, head: 1e-3}\n"
        "options: {shifts: true}\n"
    ),
    "my_package/my_lora.yaml": ADAPTER,
    "my_package-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n",
    "my_package-1.0.dist-info/entry_points.txt": (
        "[frod_bench.methods]\nmy_norms = my_package.norms:train_norms\n"
        "my_lora = my_package\nmy_lost = my_package.lost:apply\nmy_other = my_package.norms\n"
        "dora = my_package.norms\n"
    ),
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that offers methods."""
    for name, text in PACKAGE.items():
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path / "site")
    return tmp_path / "site"


def test_an_entry_point_is_a_method(make_cell: MakeCell, package: Path) -> None:
    in_python = make_cell("task=rte", "method=my_norms")
    assert in_python.config["method"]["apply"] == "my_package.norms:train_norms"
    assert execute(in_python).status == "ok"
    assert execute(make_cell("task=rte", "method=my_lora")).status == "ok"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my_lsot", "method=my_lsot: .* Did you mean 'my_lost'.*by its path"),
        ("my_lost", r"my_lost \(my-package, my_package.lost:apply\): there is no module"),
        ("my_other", "there is no file .*my_other.yaml"),
        ("dora", "the suite has a method of this name, and so has my-package"),
    ],
)
def test_a_bad_entry_point_is_refused(package: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        compose_cells(["task=rte", f"method={name}", "seed=0"])


PYTHON = "name: mine\nkind: python\nlearning_rates: {norms: 1e-3, head: 1e-3}\napply: "


def test_an_analysis_runs_the_function_that_was_composed_and_not_the_one_in_a_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("mine", "theirs"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(MARKS)
    (tmp_path / "mine/mine.yaml").write_text(PYTHON + "mine.py:apply")
    words = [f"method={tmp_path}/mine/mine.yaml", f"results_root={tmp_path}/results", "task=rte"]
    words = ["experiment=update_spectrum", *SHORT, *words, "seed=0"]
    [cell] = compose_cells(words)[1]
    assert execute(cell).status == "ok"
    document = json.loads(cell.record_path.read_text())
    document["config"]["method"]["apply"] = f"{tmp_path}/theirs/mine.py:apply"
    cell.record_path.write_text(json.dumps(document))
    store.load(cell.record_path)  # valid: where a function lies is no part of a cell
    analyse(["spectrum", *words])
    assert "update_spectrum.md" in capsys.readouterr().out
    assert [path.parent.name for path in tmp_path.rglob("*.imported")] == ["mine"]


MARKS = """\
import pathlib
pathlib.Path(__file__).with_suffix(".imported").touch()
def apply(model, method, backbone, seed):
    model.backbone.requires_grad_(False)
    norm = next(module for module in model.backbone.modules() if "Norm" in type(module).__name__)
    return {"norms": list(norm.requires_grad_(True).parameters())}
"""


@pytest.mark.usefixtures("forked")
def test_plans_and_reports_import_no_function_and_a_run_does(tmp_path: Path, here: RunHere) -> None:
    """The run is in a process of its own: this one must not know the function afterwards."""
    (tmp_path / "mine.yaml").write_text(PYTHON + "mine.py:apply")
    (tmp_path / "mine.py").write_text(MARKS)
    marker = tmp_path / "mine.imported"
    words = [f"method={tmp_path}/mine.yaml", "task=rte", f"results_root={tmp_path}/results", *SHORT]
    grid = ["experiment=main_table", "seed=0"]

    def said(*line: str) -> str:
        done = here(*line)
        assert not done.returncode, done.stderr
        return done.stdout + done.stderr

    said("frod_bench.run", *words, "plan_only=true")
    said("frod_bench.run", "-m", *grid, *words, "plan_only=true")
    said("frod_bench.reproduce", *grid, *words, "plan_only=true")
    assert not marker.exists()
    process = multiprocessing.get_context("spawn").Process(target=run.run, args=(words,))
    process.start()
    process.join(240)
    assert process.exitcode == 0
    marker.unlink()
    assert "has a record already" in said("frod_bench.run", *words)
    said("frod_bench.run", "-m", *grid, *words)
    assert "main.md" in said("frod_bench.report", "tables", *grid, *words)
    said("frod_bench.report", "tables", f"folder={tmp_path}/results/embedded")
    assert not marker.exists()


def test_the_packages_around_a_module_are_not_imported_for_a_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("outer/__init__.py", "outer/inner/__init__.py", "bare/deep/method.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(MARKS)
    (tmp_path / "outer/inner/method.py").write_text(MARKS)
    monkeypatch.syspath_prepend(tmp_path)
    for module in ("outer.inner.method", "outer.inner", "bare.deep.method"):
        (tmp_path / "mine.yaml").write_text(PYTHON + f"{module}:apply")
        [cell] = compose_cells(["task=rte", f"method={tmp_path}/mine.yaml", "seed=0"])[1]
        assert cell.config["method"]["source"] == callables.source_hash(f"{module}:apply")
        assert callables.module_file("", module).is_relative_to(tmp_path)
    assert not list(tmp_path.rglob("*.imported"))
    assert not {"outer", "bare"} & set(sys.modules)
    assert callables.load_callable("bare.deep.method:apply").__name__ == "apply"


@pytest.mark.parametrize(
    "source",
    [
        "async def apply(): ...",
        "class apply: ...",
        "apply = print",
        "apply: object = print",
        "first, (apply, *_) = 1, (print, 2)",
        "from functools import partial as apply",
        "import os.path as apply",
        "try:\n    from os import apply\nexcept ImportError:\n    def apply(): ...",
        "if True:\n    def apply(): ...",
        "from os.path import *",
        "def __getattr__(name): return print",
    ],
)
def test_a_function_may_be_defined_in_any_way(tmp_path: Path, source: str) -> None:
    (tmp_path / "mine.py").write_text(source)
    callables.check_function("python", f"{tmp_path}/mine.py:apply")


@pytest.mark.parametrize(
    "source", ["def f():\n    apply = 1", "class C:\n    def apply(self): ..."]
)
def test_a_name_inside_of_another_is_no_function(tmp_path: Path, source: str) -> None:
    (tmp_path / "mine.py").write_text(source)
    with pytest.raises(InputError, match="has no function 'apply'"):
        callables.check_function("python", f"{tmp_path}/mine.py:apply")


@pytest.mark.usefixtures("in_turn")
@pytest.mark.parametrize("words", [[], ["-m"]])
@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1 / 0\ndef apply(): ...", r"cannot be imported \(ZeroDivisionError"),
        ("import no_such_package\napply = 1", r"cannot be imported \(ModuleNotFoundError"),
        ("apply = 1", "has no function 'apply'"),
    ],
)
def test_what_only_an_import_tells_ends_a_run_with_status_two(
    tmp_path: Path, here: RunHere, words: list[str], source: str, message: str
) -> None:
    (tmp_path / "mine.yaml").write_text(PYTHON + "mine.py:apply")
    (tmp_path / "mine.py").write_text(source)
    line = (f"method={tmp_path}/mine.yaml", f"results_root={tmp_path}/results", "task=rte", *SHORT)
    done = here("frod_bench.run", *words, *line)
    assert done.returncode == 2, done.stderr
    assert re.search(message, done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    "value", ["${oc.env:HF_TOKEN}", "${oc.${.r}:HF_TOKEN}", "${${.task_type}.env:HF_TOKEN}"]
)
def test_a_yaml_reads_no_secret_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\nkind: peft\nlearning_rates: {adapter: 1e-3, head: 1e-3}\n"
        f"peft: {{_target_: peft.LoraConfig, r: env, task_type: oc, bias: '{value}'}}\n"
    )
    with pytest.raises(InputError, match="this interpolation is not allowed here"):
        compose_cells([f"method={path}", "task=rte"])


def test_two_files_of_one_name_are_refused(copied: Path) -> None:
    with pytest.raises(InputError, match="has the name layer_norms, and so has"):
        compose_cells(["task=rte", f"method={YAML},{copied}", "seed=0"])


BAD_FUNCTIONS = {
    "all is left trainable": ("return {'norms': [next(model.backbone.parameters())]}",
                              "parameters require a gradient but are in no group"),
    "nothing is returned": ("model.backbone.requires_grad_(False)", "must return a mapping"),
    "an empty group": ("model.backbone.requires_grad_(False); return {'norms': []}", "is empty"),
    "the head": ("model.backbone.requires_grad_(False); return {'head': model.head.parameters()}",
                 "'head' is empty, or is the head"),
    "what is frozen": ("ps = list(model.backbone.requires_grad_(False).parameters()); "
                       "return {'norms': ps}", "but 0 are trainable"),
    "twice": ("return {'norms': 2 * list(model.backbone.parameters())}", "each of them once"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD_FUNCTIONS)
def test_a_function_that_groups_badly_is_refused_and_leaves_nothing(
    make_cell: MakeCell, tmp_path: Path, what: str
) -> None:
    body, message = BAD_FUNCTIONS[what]
    (tmp_path / "mine.yaml").write_text(PYTHON + "mine.py:apply")
    (tmp_path / "mine.py").write_text(f"def apply(model, method, backbone, seed):\n    {body}\n")
    with pytest.raises(InputError, match=message):
        execute(make_cell("task=rte", f"method={tmp_path}/mine.yaml"))
    assert not (tmp_path / "results").exists()


def test_a_group_without_a_rate_is_refused(make_cell: MakeCell, copied: Path) -> None:
    copied.write_text(copied.read_text().replace("norms: 3.0e-3", "nroms: 3.0e-3"))
    with pytest.raises(InputError, match=r"nroms: method layer_norms has no such .*'norms'"):
        execute(make_cell("task=rte", f"method={copied}"))
