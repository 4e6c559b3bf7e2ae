"""`launcher=`: each engine reads the keys of its file, and no record and no hash knows it. What is
refused is in the table of `tests/bad_input`.
"""

import pytest

from frod_bench.cells.grid import compose_cells
from frod_bench.config import launchers
from frod_bench.config.overrides import read_overrides
from frod_bench.config.settings import ENGINES
from tests.conftest import MakeCell

CELL = ("task=rte", "method=frozen")


@pytest.mark.parametrize(
    "words",
    [
        ["launcher=ray", "launcher.address=auto", "launcher.gpus=0.25"],
        ["launcher=ray", "launcher.address=10.0.0.1:6379"],
        ["launcher=submitit", "launcher.detach=true", "launcher.executor=local"],
        ["launcher=submitit", "+launcher.sbatch={partition:gpu,account:me}"],
        [
            "launcher=submitit",
            "+launcher.sbatch.gres-flags=one-task-per-sharing",
            "launcher.gpus=1",
        ],
    ],
)
def test_an_engine_is_in_no_hash_and_in_no_record(make_cell: MakeCell, words: list[str]) -> None:
    plain, launched = make_cell(*CELL), make_cell(*CELL, *words)
    assert launched.config_hash == plain.config_hash
    assert launched.config == plain.config
    assert "launcher" not in plain.config
    assert launched.settings.launcher != plain.settings.launcher


def test_each_engine_has_a_file_with_its_keys() -> None:
    assert launchers.keys_of("local") == {"name"}
    read: set[str] = set().union(*map(launchers.keys_of, ENGINES))
    assert read == set(launchers.LauncherConfig.__dataclass_fields__)


def test_hydras_own_engine_may_be_named() -> None:
    read_overrides(["hydra/launcher=basic", "hydra/sweeper=basic", "hydra.mode=RUN", "seed=0"])


def test_a_grid_has_the_same_cells_on_every_engine() -> None:
    grid = ("task=rte,cola", "method=frozen,lora", "seed=0,1")
    hashes = [
        [cell.config_hash for cell in compose_cells([*grid, f"launcher={engine}"])[1]]
        for engine in ENGINES
    ]
    assert hashes[0] == hashes[1] == hashes[2]
    assert len(hashes[0]) == 8
