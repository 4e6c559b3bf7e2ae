"""Tasks of one kind share a composition, unless something else has a say in a task or reads it."""

import dataclasses
from collections.abc import Sequence

import pytest
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from frod_bench.cells import compose as compose_module
from frod_bench.cells.cell import Cell, cell_of
from frod_bench.cells.compose import composer, without_hydra
from frod_bench.cells.grid import cells_of
from frod_bench.cells.of_tasks import PROBE, plain, read_task, reads_task
from frod_bench.common.errors import InputError
from frod_bench.common.paths import CONF_DIR
from frod_bench.config import checks, conversion
from frod_bench.config.settings import TaskConfig

TASKS = sorted(path.stem for path in (CONF_DIR / "task").glob("*.yaml"))
NLU = ("rte", "cola", "sst2", "mrpc")


def planned(lines: Sequence[Sequence[str]]) -> list[Cell]:
    with composer() as compose_one:
        return cells_of(lines, compose_one)


def alone(words: Sequence[str]) -> Cell:
    """The cell of a configuration that Hydra composes as a whole."""
    with composer() as compose_one:
        config = without_hydra(compose_one(words))
    checks.validate(config)
    return cell_of(conversion.resolve(config))


def test_the_probe_has_every_key_at_a_value_that_is_not_its_default() -> None:
    assert set(PROBE) == {field.name for field in dataclasses.fields(TaskConfig)}
    default = OmegaConf.to_container(OmegaConf.structured(TaskConfig))
    assert isinstance(default, dict)
    assert all(plain(PROBE)[name] != value for name, value in default.items())


@pytest.mark.parametrize("name", TASKS)
def test_every_task_of_the_suite_stands_alone(name: str) -> None:
    task = read_task(name)
    assert task is not None
    assert task.name == name


def test_cells_of_a_kind_are_those_that_hydra_composes(composed: list[list[str]]) -> None:
    rest = ["experiment=main_table", "head=auto"]
    lines = [
        [*rest, f"task={task}", f"method={method}", f"seed={seed}"]
        for task in (*NLU, "boolq", "piqa", "dtd")
        for method in ("frod", "lora")
        for seed in (0, 1)
    ]
    cells = planned(lines)
    with_seed = [lines[-1], lines[0], lines[7], lines[-6]]
    assert len(composed) < len({tuple(line[2:4]) for line in lines})
    for line in with_seed:
        cell, expected = cells[lines.index(line)], alone(line)
        assert (cell, cell.settings) == (expected, expected.settings)


def test_more_tasks_of_a_kind_are_composed_no_more_often(composed: list[list[str]]) -> None:
    planned([[f"task={task}", "method=lora"] for task in NLU[:2]])
    few = len(composed)
    assert few > 0
    compose_module.parts_of.cache_clear()  # what another composer composed would serve this one
    planned([[f"task={task}", "method=lora"] for task in NLU])
    assert len(composed) == 2 * few


@pytest.mark.parametrize(
    "word", ["task.revision=abc", "++task.rows.train=9", "task.label_values=[a,b]"]
)
def test_what_sets_a_key_of_tasks_sets_it_for_all(word: str) -> None:
    lines = [[f"task={task}", "method=lora", word] for task in NLU]
    assert planned(lines) == [alone(line) for line in lines]


def test_an_experiment_that_sets_a_key_of_tasks_sets_it_for_all() -> None:
    """Also if it is what the files of the first tasks say."""
    body = {"experiment": {"name": "own"}, "task": {"num_labels": 2}}
    ConfigStore.instance().store(group="experiment", name="own", node=body, package="_global_")
    lines = [["experiment=own", f"task={task}", "method=lora"] for task in ("rte", "cars", "dtd")]
    assert [cell.settings.task.num_labels for cell in planned(lines)] == [2, 2, 2]


@pytest.mark.parametrize(
    ("setting", "reads"),
    [
        ("${task.num_labels}", True),
        ("${by_size:8,${task.num_labels}}", True),
        ("${task}", True),
        ("task.train_split", True),
        ("${task.family}", False),
        ("${task.rank}", True),
        ("${task.rank.template}", True),
        ("${task.rank[options]}", True),
        ("${suite.tasks}", False),
        ("of a task and its rows", False),
    ],
)
def test_settings_that_read_a_task_are_seen(setting: str, reads: bool) -> None:
    unresolved = {"task": {"name": "${task.x}"}, "method": {"options": [setting]}}
    assert reads_task(unresolved) == reads


def test_a_bad_task_is_refused_in_any_place_of_a_grid() -> None:
    with pytest.raises(InputError, match="head=rank: task sst2"):
        planned([[f"task={task}", "method=lora", "head=rank"] for task in ("boolq", "sst2")])


@pytest.mark.parametrize(("sizes", "bad"), [("0.02,5.0", 1), ("5.0,0.02", 0)])
def test_a_setting_that_reads_the_size_is_validated_at_each(sizes: str, bad: int) -> None:
    words = ["task=rte", "method=frod", f"method.sparse_rate=${{by_size:{sizes}}}"]
    (good,) = planned([[*words, f"size={1 - bad}"]])
    assert good.settings.method.sparse_rate == 0.02
    for lines in ([[*words, f"size={bad}"]], [[*words, f"size={size}"] for size in (0, 1)]):
        with pytest.raises(InputError, match=r"method\.sparse_rate=5"):
            planned(lines)
