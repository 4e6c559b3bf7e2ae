"""Combinations that are put together are what Hydra composes; it composes each choice once."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from frod_bench.cells import compose as compose_module
from frod_bench.cells.cell import cell_of
from frod_bench.cells.compose import composer, without_hydra
from frod_bench.cells.grid import cells_of
from frod_bench.common.errors import InputError
from frod_bench.common.paths import CONF_DIR
from frod_bench.config import conversion


def by_hydra(words: Sequence[str]) -> DictConfig:
    """All of the words composed by Hydra."""
    compose_module.register()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return without_hydra(compose("config", list(words), return_hydra_config=True))


def test_each_choice_is_composed_once(composed: list[list[str]]) -> None:
    tasks, methods = ("rte", "boolq", "dtd", "cola"), ("full", "lora", "frod")
    with composer() as compose_one:
        for task in tasks:
            for method in methods:
                compose_one([f"task={task}", f"method={method}"])
    assert len(composed) == 1 + (len(tasks) - 1) + (len(methods) - 1)


@pytest.mark.parametrize(
    ("base", "words"),
    [
        (["task=rte", "method=frod"], ["task=boolq", "method=lora"]),
        (
            ["task=cars", "method=full", "budget=default"],
            ["task=sst2", "method=dora", "budget=matched"],
        ),
        (["task=rte", "method=frozen", "head=classify"], ["task=piqa", "method=vera", "head=auto"]),
        (
            ["experiment=capacity", "protocol=tune", "task=rte", "method.sparse_rate=0.02"],
            ["experiment=capacity", "protocol=tune", "task=gtsrb", "method.sparse_rate=0.1"],
        ),
        (
            ["task=rte", "method=lora", "trainer.max_steps=140", "trainer.schedule=cosine"],
            ["task=boolq", "method=pissa", "trainer.max_steps=420", "trainer.schedule=constant"],
        ),
        (["experiment=capacity", "task=rte"], ["experiment=tune", "task=boolq"]),
        (["profile=embedded", "task=rte", "seed=0"], ["profile=paper", "task=boolq", "seed=1"]),
        (
            ["task=rte", "method=frod", "protocol=fair"],
            ["task=rte", "method=lora", "protocol=paper"],
        ),
    ],
)
def test_a_combination_is_what_hydra_composes(base: list[str], words: list[str]) -> None:
    with composer() as compose_one:
        compose_one(base)
        made = without_hydra(compose_one(words))
        again = without_hydra(compose_one(words))
    expected = by_hydra(words)
    assert OmegaConf.to_container(made) == OmegaConf.to_container(expected)
    assert conversion.resolve(made) == conversion.resolve(expected)
    assert made == again
    assert made is not again


def test_values_are_set_without_another_composition(composed: list[list[str]]) -> None:
    choices = ["task=boolq", "method=frod"]
    values = ["trainer.max_steps=9", "seed=3", "rate_factors.all=2", "results_root='a=b'"]
    with composer() as compose_one:
        compose_one([*choices, "trainer.max_steps=140"])
        made = without_hydra(compose_one([choices[0], *values, choices[1]]))
    assert made == by_hydra([*choices, *values])
    assert len(composed) == 1


def test_choices_that_change_the_same_node_are_composed_together(
    composed: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compose_module, "SEPARATE", ("profile", "experiment"))
    words = ["profile=small", "experiment=convergence", "task=rte"]
    with composer() as compose_one:
        compose_one(["profile=embedded", "experiment=main_table", "task=rte"])
        made = without_hydra(compose_one(words))
    assert composed[-1] == words
    assert made == by_hydra(words)


def test_words_that_add_or_remove_keys_are_composed_in_their_order() -> None:
    """Hydra sets a value before it removes the node around it, or the other way round."""
    for words in (
        ["task=rte", "backbones.nlu.max_length=7", "~backbones.nlu"],
        ["task=rte", "+rate_factors.basis=2", "rate_factors.basis=3"],
    ):
        with composer() as compose_one:
            made = without_hydra(compose_one(words))
        assert made == by_hydra(words)
    with composer() as compose_one, pytest.raises(HydraException):
        compose_one(["task=rte", "~backbones.nlu", "backbones.nlu.max_length=7"])


def test_a_second_composer_takes_what_the_first_has_composed(composed: list[list[str]]) -> None:
    for seed in (0, 1):
        with composer() as compose_one:
            config = compose_one(["task=cola", "method=lora", f"seed={seed}"])
            assert config.seed == seed
            assert config.hydra.sweeper.params is None  # no experiment
            config.task.num_labels = 77 + seed  # its own
    assert len(composed) == 1


def test_a_changed_file_is_composed_anew(
    composed: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(CONF_DIR, tmp_path / "conf")
    monkeypatch.setattr(compose_module, "CONF_DIR", tmp_path / "conf")
    file = tmp_path / "conf" / "task" / "cola.yaml"

    def labels() -> int:
        with composer() as compose_one:
            return int(compose_one(["task=cola"]).task.num_labels)

    assert labels() == labels() == 2
    file.write_text(file.read_text().replace("num_labels: 2", "num_labels: 5"))
    assert labels() == 5
    assert len(composed) == 2


def test_an_edited_configuration_does_not_change_the_next() -> None:
    with composer() as compose_one:
        compose_one(["task=rte", "method=frod"])
        first = compose_one(["task=boolq", "method=lora"])
        first.task.num_labels = 77
        assert compose_one(["task=boolq", "method=lora"]).task.num_labels == 2


def test_an_unknown_choice_is_refused_in_any_place_of_a_grid() -> None:
    with composer() as compose_one:
        compose_one(["task=rte", "method=frod"])
        with pytest.raises(InputError, match="method=lorra: no method has this name"):
            compose_one(["task=boolq", "method=lorra"])
        with pytest.raises(HydraException, match="task/rtee"):
            compose_one(["task=rtee", "method=lora"])


def test_cells_of_other_seeds_have_the_hashes_of_cells_made_alone() -> None:
    grid = [["task=rte", "method=lora", f"seed={seed}"] for seed in (0, 7)]
    with composer() as compose_one:
        cells = cells_of(grid, compose_one)
    for words, cell in zip(grid, cells, strict=True):
        alone = cell_of(conversion.resolve(by_hydra(words)))
        assert (cell, cell.settings) == (alone, alone.settings)
    assert len({cell.config_hash for cell in cells}) == 2
