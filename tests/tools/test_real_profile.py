"""The pilot of `real`: its table, and that the suite is what its rule makes of the records."""

import pytest
import yaml

from frod_bench.cells.compose import composer, without_hydra
from frod_bench.config import conversion
from tools.real_profile import (
    REFERENCE,
    bf16_at_the_pick,
    bf16_differences,
    pilot_gains,
    records_of,
)

CONF = REFERENCE.parents[1] / "conf"
BEFORE = (
    *("gtsrb", "mnist", "cars", "arc_easy", "openbookqa", "siqa"),
    *("sst2", "qnli", "qqp", "mnli"),
)
CANDIDATES = ("hellaswag", "piqa", "winogrande", "cola")
LEAST_GAIN = 2.0  # points
PICKED = 0.000178  # lambda's rate of the runs on arc_easy that were made after the search


def rows() -> dict[str, list[str]]:
    lines = pilot_gains().replace("\u2212", "-").split("\n")
    parsed = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {name.split()[0]: cells for name, *cells in parsed[2:]}


def test_the_suite_is_what_the_pilots_rule_makes_of_its_records() -> None:
    gains = {task: float(cells[3]) for task, cells in rows().items()}
    left = [task for task in CANDIDATES if gains.get(task, 0.0) >= LEAST_GAIN]
    wanted = {task if gains[task] >= LEAST_GAIN or not left else left.pop(0) for task in BEFORE}
    assert set(yaml.safe_load((CONF / "suite/real10.yaml").read_text())["tasks"]) == wanted


def test_a_gain_is_the_difference_of_the_two_scores() -> None:
    assert len(rows()) == 13
    for task, (count, frozen, full, gain, error) in rows().items():
        assert abs(float(full) - float(frozen) - float(gain)) < 0.11, task
        at_most = 100 * (0.5 / int(count.replace(",", ""))) ** 0.5  # of two accuracies near 1/2
        assert task == "qqp" or 0 < float(error) <= at_most + 0.1, task  # qqp: F1


def test_the_precision_is_what_the_pilots_rule_makes_of_its_records() -> None:
    """bf16 stays in a family if no method's mean difference lies beyond the noise of a seed."""
    lines = [line.strip("| ").split(" | ") for line in bf16_differences().split("\n")[2:]]
    assert {name for name, *_ in lines} == {"QNLI", "GTSRB", "ARC-e (rank)"}
    for _, *differences, noise in lines:
        means = [float(text.split(" [")[0].replace("\u2212", "-")) for text in differences]
        assert len(means) == 5
        assert all(abs(mean) <= float(noise) + 0.05 for mean in means)
    trainer = yaml.safe_load((CONF / "trainer/real.yaml").read_text())
    assert trainer["mixed_precision"] == "bf16"


def test_the_precision_holds_for_frod_at_the_rate_that_was_picked() -> None:
    ((name, difference, noise),) = (
        line.strip("| ").split(" | ") for line in bf16_at_the_pick().split("\n")[2:]
    )
    assert name == "ARC-e (rank)"
    assert abs(float(difference.split(" [")[0].replace("\u2212", "-"))) <= float(noise)


@pytest.mark.parametrize(
    ("name", "words", "wanted"),
    [("real_pilot", [], 26), ("bf16_pilot", [], 15), ("bf16_pilot", ["learning_rates=real"], 1)],
)
def test_the_experiments_have_the_learning_rates_of_the_published_pilots(
    name: str, words: list[str], wanted: int
) -> None:
    """Also now that the profile has rates of its own, which were picked after the pilots."""
    used = {}
    for record in records_of(name):
        rates = record["config"]["method"]["learning_rates"]
        if (rates.get("lambda") == PICKED) == bool(words):
            used[record["cell"]["task"], record["cell"]["method"]] = rates
    assert len(used) == wanted
    with composer() as compose_one:
        for (task, method), rates in used.items():
            asked = [f"experiment={name}", f"task={task}", f"method={method}", "head=auto", *words]
            settings = conversion.resolve(without_hydra(compose_one(asked)))
            assert settings.method.learning_rates == rates, (task, method)
