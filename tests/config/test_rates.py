"""Each method runs at its own entry of the table of learning rates."""

from typing import Any

import pytest
from omegaconf import OmegaConf

from frod_bench.cells.compose import composer, without_hydra
from frod_bench.common.names import MATCHED_ENDING, has_settings
from frod_bench.common.paths import CONF_DIR
from frod_bench.config import conversion

TASKS = {"nlu": "rte", "reasoning": "boolq", "vision": "eurosat"}
KINDS = {"": (), "_constant": ("trainer.schedule=constant",), "_rank": ("head=rank",)}


@pytest.mark.parametrize("profile", ["embedded", "small", "real", "paper"])
def test_a_method_has_the_rates_that_the_table_gives_it(profile: str) -> None:
    """A method that inherits from another one reads the other one's unless it names its own."""
    tables: Any = OmegaConf.to_container(
        OmegaConf.load(CONF_DIR / f"learning_rates/{profile}.yaml")
    )
    seen = set()
    with composer() as compose_one:
        for family, task in TASKS.items():
            for ending, words in KINDS.items():
                for name, rates in (tables.get(f"{family}{ending}") or {}).items():
                    if has_settings(name):  # of an experiment's variant
                        continue
                    method = name.removesuffix(MATCHED_ENDING)
                    matched = ("budget=matched",) if method != name else ()
                    asked = (f"profile={profile}", f"task={task}", f"method={method}")
                    config = without_hydra(compose_one([*asked, *matched, *words]))
                    config.seed = 0
                    node = config.method.learning_rates
                    found = {group: float(node[group]) for group in rates}
                    assert found == rates, (family, ending, name)
                    seen.add(name)
    assert {"full", "lora", "dora", "frod"} <= seen
    assert ("frod_smaller" in seen) == (profile == "embedded")
    assert conversion  # its resolvers are what is tested
