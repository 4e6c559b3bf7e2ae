"""The pilot of `real`: its table, and that the suite is what its rule makes of the records."""

import yaml

from tools.real_profile import REFERENCE, bf16_at_the_pick, bf16_differences, pilot_gains

CONF = REFERENCE.parents[1] / "conf"
BEFORE = (
    *("gtsrb", "mnist", "cars", "arc_easy", "openbookqa", "siqa"),
    *("sst2", "qnli", "qqp", "mnli"),
)
CANDIDATES = ("hellaswag", "piqa", "winogrande", "cola")
LEAST_GAIN = 2.0  # points


def rows() -> dict[str, list[str]]:
    lines = pilot_gains().split("\n")
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
