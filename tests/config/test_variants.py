"""Learning rates of variants: an experiment that says so runs each at its own, or not at all."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf, open_dict

from frod_bench.cells.compose import composer, without_hydra
from frod_bench.cells.grid import compose_cells
from frod_bench.common.errors import InputError
from frod_bench.common.paths import EXPERIMENTS_DIR
from frod_bench.config import conversion

WORDS = ["task=rte", "method=frod", "method.sparse_rate=0.3"]  # which nobody has searched
OWN = {"lambda": 0.5, "rotation": 0.25, "head": 0.125}


def rates(
    experiment: str,
    *more: str,
    table: Mapping[str, dict[str, float] | None],
    words: Sequence[str] = WORDS,
) -> dict[str, float]:
    """The learning rates of a configuration with `table` in addition to the profile's."""
    with composer() as compose_one:
        config = without_hydra(compose_one([f"experiment={experiment}", *words, *more]))
    with open_dict(config):
        config.learning_rates = OmegaConf.merge(config.learning_rates, {"nlu": dict(table)})
    return conversion.resolve(config).method.learning_rates


def test_a_variant_has_its_own_rates_if_the_table_does() -> None:
    table = {"frod (s 0.3)": OWN}
    assert rates("capacity", table=table) == OWN
    assert rates("budget_curve", table=table) == OWN
    assert rates("none", table=table) != OWN  # nothing is varied: it is frod
    shipped = rates("none", table={})
    assert rates("budget_curve", table={"frod (s 0.05)": OWN}) == shipped


def test_a_method_at_a_matched_budget_has_its_own_rates_if_the_table_does() -> None:
    own = {"adapter": 0.5, "head": 0.125}
    table: dict[str, dict[str, float] | None]
    table = {"lora": {"adapter": 0.25, "head": 0.25}, "lora_matched": own}
    lora = ["task=rte", "method=lora"]
    assert rates("none", "budget=matched", table=table, words=lora) == own
    assert rates("none", table=table, words=lora) == table["lora"]
    table["lora_matched"] = None  # as in a table without it
    assert rates("none", "budget=matched", table=table, words=lora) == table["lora"]
    # Of another method's it borrows those at the default budget.
    table |= {"lora_matched": own, "pissa": None}
    pissa = ["task=rte", "method=pissa", "budget=matched"]
    assert rates("none", table=table, words=pissa) == table["lora"]


def test_an_experiment_at_own_rates_refuses_those_of_the_method(tmp_path: Path) -> None:
    words = ["experiment=capacity", *WORDS, "seed=0", f"results_root={tmp_path}"]
    told = r"learning_rates\.nlu: has none for frod \(s 0\.3\).*tune experiment=capacity"
    with pytest.raises(InputError, match=told):
        compose_cells(words)
    with pytest.raises(InputError, match="has none for frod"):
        rates("capacity", table={"frod (s 0.3)": {"lambda": 0.5}})  # not that of each group
    (cell,) = compose_cells([*words[:-2], "seed=100", "protocol=tune", words[-1]])[1]
    assert cell.variant == "frod (s 0.3)"


@pytest.mark.parametrize("experiment", ["basis", "capacity", "conditioning", "slow_learning"])
def test_the_experiments_on_reasons_have_all_tasks_of_the_suite(experiment: str) -> None:
    file = OmegaConf.load(EXPERIMENTS_DIR / f"{experiment}.yaml")
    node: Any = OmegaConf.to_container(file, resolve=False)
    assert node["experiment"]["own_rates"]
    params = node["hydra"]["sweeper"]["params"]
    assert params["task"] == "${join:${suite.tasks}}"
    (axes,) = node["experiment"]["axes"].values()
    assert set(axes.values()) <= set(params)
    assert params["seed"] == "0,1,2"


def test_runs_without_a_decay_have_rates_of_their_own_if_the_table_does() -> None:
    table: dict[str, Any] = {"nlu_constant": {"frod": OWN}, "nlu_rank": {"frod": OWN}}

    def found(experiment: str, *more: str) -> dict[str, float]:
        with composer() as compose_one:
            words = [f"experiment={experiment}", "task=rte", "method=frod", *more]
            config = without_hydra(compose_one(words))
        with open_dict(config):
            del config.learning_rates["nlu_constant"]  # the shipped ones
            config.learning_rates = OmegaConf.merge(config.learning_rates, table)
        return conversion.resolve(config).method.learning_rates

    shipped = found("none")
    assert shipped != OWN
    assert found("none", "trainer.schedule=constant") == OWN
    assert found("constant_rate") == OWN
    table["nlu_constant"] = {}
    assert found("none", "trainer.schedule=constant") == shipped
    with pytest.raises(InputError, match=r"nlu_constant: has none for frod.*tune_constant out="):
        found("constant_rate")
