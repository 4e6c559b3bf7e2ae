"""Methods of a user's own: by path, in Python, by an entry point; and what is refused of them."""

import re
import shutil
from pathlib import Path

import pytest

from frod_bench import record, sweep
from frod_bench.cell import execute, restore_trained
from frod_bench.complaints import exit_statuses
from frod_bench.errors import InputError
from frod_bench.grid import compose_cells
from tests.conftest import SHORT, MakeCell, RunHere

ROOT = Path(__file__).parents[1]
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


def test_the_example_runs_from_the_command_line_and_is_in_the_tables(
    tmp_path: Path, here: RunHere
) -> None:
    """In a worker, which imports the example anew."""
    grid = (f"results_root={tmp_path}", *SHORT, "task=rte", f"method=frozen,{YAML}", "seed=0")
    done = here("frod_bench.reproduce", "experiment=main_table", "runtime.jobs=1", *grid)
    assert done.returncode == 0, done.stderr
    header = (tmp_path / "embedded/tables/main.md").read_text()
    assert re.search(r"\| task +\| frozen +\| layer_norms +\|", header), header
    single = here("frod_bench.run", *grid[:-2], f"method={YAML}", "seed=0")
    assert single.returncode == 0, single.stderr
    assert "has a record already" in single.stderr
    assert Path(single.stdout.splitlines()[-1]).parent.name == "layer_norms"


@pytest.mark.parametrize("family", TASKS)
def test_the_example_trains_the_norms_of_every_backbone(make_cell: MakeCell, family: str) -> None:
    cell = make_cell(f"task={TASKS[family]}", f"method={YAML}", "save=adapter")
    assert execute(cell).status == "ok"
    params = record.load(cell.record_path)["params"]
    assert params is not None
    assert params["trainable"] - params["trainable_head"] == 128 * NORMS[family]
    assert params["extra_frozen"] == 0
    restore_trained(cell.record_path)


def test_the_examples_option_is_read(make_cell: MakeCell) -> None:
    cell = make_cell("task=rte", f"method={YAML}", "method.options.shifts=false")
    assert execute(cell).status == "ok"
    params = record.load(cell.record_path)["params"]
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
        restore_trained(cell.record_path)


def test_what_came_for_methods_in_python_leaves_other_cells_as_they_were(
    make_cell: MakeCell,
) -> None:
    base = make_cell("task=rte", "method=lora")
    new = ("released_output", "apply", "options", "source")
    method = {k: v for k, v in base.config["method"].items() if k not in new}
    assert set(new) <= set(base.config["method"])
    assert sweep.cell_of(base.config | {"method": method}).config_hash == base.config_hash


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
BAD_FILES = {
    "nothing there": (None, r"method=\S*mine.yaml: there is no file \S*mine.yaml.*mine.yml"),
    "no YAML": ("name: [", "mine.yaml is no YAML that can be read"),
    "not text": (b"\xff\xfe\x00\x81", "mine.yaml is no YAML that can be read"),
    "a list": ("- name", "is no mapping.*name, kind and learning_rates"),
    "empty": ("", "is no mapping"),
    "no name": ("kind: frozen", r"mine.yaml: has no name. Give it one, name: mine say"),
    "a name that is no folder": ("name: a/b", "name='a/b' must be a text of letters"),
    "a name that is taken": ("name: lora\nkind: frozen", "name=lora is taken"),
    "no kind": ("name: mine", "method.kind"),
    "an unknown kind": ("name: mine\nkind: pefft", "kind=pefft: is unknown. Did you mean 'peft'"),
    "an unknown key": ("name: mine\nkind: frozen\nrank: 8", "rank: methods have no such key"),
    "a value of the wrong type": (
        "name: mine\nkind: frod\nsparse_rate: many",
        "sparse_rate: Value 'many' .* Float",
    ),
    "no rates": ("name: mine\nkind: frozen", "method.learning_rates"),
    "no function": (PYTHON + "null", "method.apply: is missing"),
    "no function named": (PYTHON + "norms.py", "names no function. Write package.module:function"),
    "no such file": (PYTHON + "nroms.py:train_norms", r"there is no file \S*nroms.py"),
    "no such function": (PYTHON + "norms.py:train_nroms", "Did you mean 'train_norms'"),
    "no such module": (PYTHON + "no_such_module:apply", "no module 'no_such_module'"),
    "no such package": (PYTHON + "no.such:apply", "cannot be imported .*No module named 'no'"),
    "a file that raises": (PYTHON + "broken.py:apply", r"cannot be imported \(ZeroDivisionError"),
    "a function and another kind": (
        "name: mine\nkind: frozen\nlearning_rates: {head: 1e-3}\napply: norms.py:train_norms",
        "is read where method.kind=python",
    ),
}


def write_bad(folder: Path, text: str | bytes | None) -> Path:
    path = folder / "mine.yaml"
    folder.joinpath("mine.yml" if text is None else path.name).write_bytes(
        text if isinstance(text, bytes) else (text or "").encode()
    )
    (folder / "norms.py").write_text((EXAMPLE / "layer_norms.py").read_text())
    (folder / "broken.py").write_text("1 / 0")
    return path


@pytest.mark.parametrize("what", BAD_FILES)
def test_a_bad_file_gets_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    text, message = BAD_FILES[what]
    path = write_bad(tmp_path, text)
    with pytest.raises(SystemExit) as stopped, exit_statuses():
        compose_cells(["task=rte", f"method={path}", "seed=0"])
    assert stopped.value.code == 2
    [told] = capsys.readouterr().err.splitlines()
    assert re.search(message, told), told


@pytest.mark.parametrize("words", [[], ["-m"]])
def test_bad_files_end_a_run_with_status_two(
    tmp_path: Path, here: RunHere, words: list[str]
) -> None:
    path = write_bad(tmp_path, PYTHON + "norms.py:train_nroms")
    done = here("frod_bench.run", *words, f"method={path}", f"results_root={tmp_path}/results")
    assert done.returncode == 2
    assert "Did you mean 'train_norms'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists()


def test_two_files_of_one_name_are_refused(copied: Path) -> None:
    with pytest.raises(InputError, match="has the name layer_norms, and so has"):
        compose_cells(["task=rte", f"method={YAML},{copied}", "seed=0"])


BAD_FUNCTIONS = {
    "all is left trainable": ("return {'norms': [next(model.backbone.parameters())]}",
                              "parameters require a gradient and are in no group"),
    "nothing is returned": ("model.backbone.requires_grad_(False)", "must return its parameters"),
    "an empty group": ("model.backbone.requires_grad_(False); return {'norms': []}", "is empty"),
    "the head": ("model.backbone.requires_grad_(False); return {'head': model.head.parameters()}",
                 "'head' is empty, or the suite's own"),
    "what is frozen": ("ps = list(model.backbone.requires_grad_(False).parameters()); "
                       "return {'norms': ps}", "and 0 are trained"),
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
