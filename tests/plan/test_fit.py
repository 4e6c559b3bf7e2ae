"""Whether a step fits, and the smallest change that makes it fit."""

import pytest

from frod_bench.errors import InputError
from frod_bench.plan.accelerators import accelerator_of
from frod_bench.plan.fit import Change, Fitted, Measured, activations, changes, fit, peak_with
from frod_bench.plan.trace import Step

GIB = 2**30


def step(weights: int, trained: int, held: int, a_row: int, rows: int) -> Step:
    """In GiB: activations are `held` and `a_row` for each row; AdamW has two moments."""
    standing = (weights + 3 * trained) * GIB
    made = (held + a_row * rows) * GIB
    return Step(
        forward_flops=10 * rows,
        flops=30 * rows,
        forming_flops=0,
        weight_bytes=weights * GIB,
        factor_bytes=0,
        gradient_bytes=trained * GIB,
        optimizer_bytes=2 * trained * GIB,
        activation_bytes=(made, made, 0),
        phase_bytes=(standing + made,) * 2 + (standing,),
    )


def measured(weights: int = 8, trained: int = 1, held: int = 2, a_row: int = 3) -> Measured:
    pair = (step(weights, trained, held, a_row, rows) for rows in (8, 1))
    return Measured(8, *pair, blocks=12, input_bytes=GIB // 100)


def fitted(case: Measured, gib: int) -> Fitted:
    return fit(case.whole, lambda: case, gib * GIB)


def test_a_step_that_fits_is_left_as_it_is_and_nothing_else_is_measured() -> None:
    def refuse() -> Measured:
        raise AssertionError("measured for nothing")

    whole = measured().whole
    found = fit(whole, refuse, whole.peak_bytes)
    assert (str(found.change), found.peak_bytes) == ("none", whole.peak_bytes)


def test_activations_are_split_into_what_rows_make_and_the_rest() -> None:
    assert activations(measured(held=2, a_row=3)) == pytest.approx((2 * GIB, 3 * GIB))


@pytest.mark.parametrize(
    ("gib", "change"),
    [
        (37, "none"),  # 8 + 3 + 2 + 24
        (30, "accumulation x2"),
        (19, "accumulation x4"),
        (16, "accumulation x8"),
        # 13 whatever the rows, and with checkpointing a twelfth of 3 and the blocks' inputs a row
        (15, "checkpointing + accumulation x2"),
        (14, "checkpointing + accumulation x4"),
        (12, "FSDP over 2 + accumulation x4"),
    ],
)
def test_the_smallest_change_is_taken(gib: int, change: str) -> None:
    found = fitted(measured(), gib)
    assert str(found.change) == change
    assert found.peak_bytes <= gib * GIB


def test_checkpointing_costs_a_forward_pass_and_accumulation_nothing() -> None:
    case = measured()
    assert fitted(case, 19).flops == case.whole.flops
    assert fitted(case, 15).flops == case.whole.flops + case.whole.forward_flops


def test_every_change_keeps_the_rows_of_a_step_or_has_one_a_device() -> None:
    for change in changes(8):
        assert change.micro_batches * change.devices <= 8 or change.micro_batches == 1


def test_no_change_takes_more_than_none() -> None:
    case = measured()
    as_it_is = peak_with(case, Change())
    assert all(peak_with(case, change) <= as_it_is for change in changes(8))


def test_what_cannot_fit_says_so() -> None:
    found = fitted(measured(weights=4000), 10)
    assert found.change is None
    assert found.peak_bytes > 10 * GIB


def test_hours_are_flops_over_what_is_reached_of_the_peak() -> None:
    a100 = accelerator_of("a100-80gb")
    reached = a100.flops_per_sec["half"] * a100.utilisation
    assert a100.hours(reached * 3600, "bf16") == pytest.approx(1)
    assert a100.hours(1e18, "no") > a100.hours(1e18, "bf16")


def test_an_unknown_accelerator_is_refused() -> None:
    with pytest.raises(InputError, match=r"accelerator=a100.*Did you mean 'a100-80gb'"):
        accelerator_of("a100")
