"""The tables of `make bench`, from the published documents."""

import pytest

from tools import bench_tables


@pytest.mark.parametrize("processor", bench_tables.DOCUMENTS)
def test_documents_are_whole_and_of_the_processor_that_they_are_named_after(processor: str) -> None:
    made = bench_tables.document(processor)
    assert processor in made["provenance"]["device_name"]
    assert not made["provenance"]["dirty"]
    assert not any(row["error"] for row in made["rows"])
    for tokens in (bench_tables.FEW, bench_tables.MANY):
        assert set(bench_tables.rows_of(processor, "roberta_base", tokens)) == set(
            bench_tables.METHODS
        )


def test_a_row_has_a_method_a_column() -> None:
    lines = bench_tables.steps("AMD").splitlines()
    assert {line.count("|") for line in lines} == {len(bench_tables.METHODS) + 2}
    assert len(lines) == 2 + 2 * 3 + len(bench_tables.OWN_SHAPES)


@pytest.mark.parametrize("processor", bench_tables.DOCUMENTS)
def test_the_smaller_the_step_the_more_frod_costs_relative_to_lora(processor: str) -> None:
    """The finding that the README's sentence ends with."""
    ratios = []
    for tokens in (bench_tables.FEW, bench_tables.MANY):
        rows = bench_tables.rows_of(processor, "roberta_base", tokens)
        ratios.append(rows["frod"]["step_sec"] / rows["lora"]["step_sec"])
    assert ratios[0] > ratios[1]


def test_goals_are_in_the_order_of_the_machines() -> None:
    """What is asked of attaching differs between kinds of processor."""
    asked = [
        next(
            one["goal"]
            for one in bench_tables.document(name)["goals"]
            if "PEFT" in one["name"] and one["name"].startswith("attaching")
        )
        for name in bench_tables.DOCUMENTS
    ]
    assert asked[0] != asked[1]
    [line] = [row for row in bench_tables.goals().splitlines() if "attaching, seconds" in row]
    assert f"at least {asked[0]:g} and {asked[1]:g} |" in line
