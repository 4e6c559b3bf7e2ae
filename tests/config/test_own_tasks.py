"""Tasks of a user's own, by the path of their YAML: alone, in grids, and what is refused."""

from pathlib import Path

import pytest
import yaml

from frod_bench.cells.grid import compose_cells
from frod_bench.common.errors import InputError
from frod_bench.common.paths import CONF_DIR
from frod_bench.training.runner import execute
from tests.conftest import SHORT, MakeCell


def write_task(folder: Path, **changes: object) -> Path:
    """A YAML like that of rte, under a name of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    content = yaml.safe_load((CONF_DIR / "task/rte.yaml").read_text()) | {"name": "mine"} | changes
    path = folder / "my_task.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_it_runs_as_a_task_of_the_suite_does(make_cell: MakeCell, tmp_path: Path) -> None:
    cell = make_cell(f"task={write_task(tmp_path)}", "method=frozen")
    assert (cell.task, cell.family) == ("mine", "nlu")
    assert execute(cell).status == "ok"
    assert cell.record_path.parts[-3:-1] == ("mine", "frozen")
    own, shipped = cell.config["task"], make_cell("task=rte").config["task"]
    assert {key for key in own if own[key] != shipped[key]} == {"name"}


def test_it_stands_in_a_grid_beside_others(tmp_path: Path) -> None:
    path = write_task(tmp_path)
    words = [*SHORT, f"task=rte,{path}", "method=frozen,lora", "seed=0,1"]
    cells = compose_cells(words)[1]
    assert len(cells) == 8
    assert {cell.task for cell in cells} == {"rte", "mine"}


def test_a_missing_file_is_not_mistaken_for_a_hidden_one(tmp_path: Path) -> None:
    (tmp_path / ".hidden.yaml").touch()
    with pytest.raises(InputError, match="there is no file") as caught:
        compose_cells([*SHORT, f"task={tmp_path}/nope.yaml"])
    assert ".hidden" not in str(caught.value)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    one, two = write_task(tmp_path / "a"), write_task(tmp_path / "b")
    with pytest.raises(InputError, match="Tables tell tasks apart by name"):
        compose_cells([f"task={one},{two}"])
