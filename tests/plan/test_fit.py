"""Whether a step fits, and the smallest change that makes it fit."""

import pytest

from frod_bench.common.errors import InputError
from frod_bench.common.paths import CONF_DIR
from frod_bench.config.settings import Settings
from frod_bench.plan.cells import accelerator_of
from frod_bench.plan.costs import Planner, flops_of
from frod_bench.plan.fit import Change, Fitted, Planned, changes, fit, peak_with
from frod_bench.plan.trace import Load, Step
from tests.plan.test_counts import compose

GIB = 2**30


def step(
    weights: int, trained: int, held: int, a_row: int, rows: int, factors: int = 0, merged: int = 0
) -> Step:
    """In GiB: activations are `held`, `merged` and `a_row` for each row; AdamW has two moments."""
    standing = (weights + factors + 3 * trained) * GIB
    made = (held + merged + a_row * rows) * GIB
    return Step(
        forward_flops=10 * rows + 7,
        flops=30 * rows + 7,
        forming_flops=7,
        weight_bytes=weights * GIB,
        factor_bytes=factors * GIB,
        gradient_bytes=trained * GIB,
        optimizer_bytes=2 * trained * GIB,
        activation_bytes=(made, made, merged * GIB),
        lasting_bytes=merged * GIB,
        phase_bytes=(standing + made,) * 2 + (standing + merged * GIB,),
    )


PLANNED = Planned(accumulation_steps=1, blocks=12, outside_bytes=GIB // 4)


def measured(
    weights: int = 8, trained: int = 1, held: int = 2, a_row: int = 3, rows: int = 8, **kept: int
) -> Step:
    return step(weights, trained, held, a_row, rows, **kept)


def fitted(gib: int, checkpointed: bool = True, **case: int) -> Fitted:
    """Of eight rows; checkpointing keeps a third of what a row makes, and nothing else."""

    def measure(change: Change) -> Step | None:
        rows = (change.batch_rows or 8) // change.devices
        if change.checkpointing:
            return measured(**(case | {"held": 0, "a_row": 1}), rows=rows) if checkpointed else None
        return measured(**case, rows=rows)

    return fit(measured(**case), PLANNED, measure, changes(8, 1), gib * GIB)


def peak(case: Step, change: Change) -> int:
    return peak_with(case, PLANNED, change)


def test_a_step_that_fits_is_left_as_it_is_and_nothing_else_is_measured() -> None:
    def refuse(change: Change) -> Step:
        raise AssertionError("measured for nothing")

    whole = measured()
    found = fit(whole, PLANNED, refuse, changes(8, 1), whole.peak_bytes)
    assert (str(found.change), found.step, found.peak_bytes) == ("none", whole, whole.peak_bytes)
    # 8 + 3 stand on a device; on each of two 5, 1/2, 1/4 outside, and two blocks' 9 / 6
    assert fit(whole, PLANNED, refuse, [Change(), Change(devices=2)], 6 * GIB).change is None


@pytest.mark.parametrize(
    ("gib", "change"),
    [
        (37, "none"),  # 8 + 3 + 2 + 24
        (30, "batches of 4"),
        (19, "batches of 2"),
        (16, "batches of 1"),
        (15, "checkpointing + batches of 4"),  # 8 + 3 + 0 + 4
        (14, "checkpointing + batches of 2"),
        # 5 of 8 + 2, a gradient of 1 and a quarter outside whole, two blocks' 8 twelfths, 2 rows
        (11, "FSDP over 2 + checkpointing + batches of 4"),
    ],
)
def test_the_smallest_change_is_taken(gib: int, change: str) -> None:
    found = fitted(gib)
    assert str(found.change) == change
    assert found.peak_bytes <= gib * GIB


def test_what_every_device_has_whole_is_not_divided() -> None:
    """FRoD's U and V, its merged weights, and what the backward pass needs of casts."""
    plain, devices = measured(a_row=0), Change(devices=8)
    for name in ("held", "factors", "merged"):
        more = measured(a_row=0, **({"held": 2} | {name: 20 + 2 * (name == "held")}))
        assert peak(more, devices) - peak(plain, devices) == 20 * GIB, name
    heavy = measured(weights=16, a_row=0)
    gathered = 2 * 8 / 12
    more_bytes = peak(heavy, devices) - peak(plain, devices)
    assert more_bytes == pytest.approx((8 / 8 + gathered) * GIB)


def test_factors_that_are_larger_than_a_device_never_fit() -> None:
    found = fitted(20, factors=20, held=0)
    assert found.change is None
    assert found.peak_bytes > 20 * GIB


def test_merged_weights_are_whole_in_the_optimizer_too() -> None:
    case = measured(weights=1, trained=8, held=0, a_row=0, merged=5)
    bare = measured(weights=1, trained=8, held=0, a_row=0)
    for devices in (1, 2):
        one = Change(devices=devices)
        assert peak(case, one) - peak(bare, one) == 5 * GIB


def test_gradients_are_whole_while_there_are_micro_batches_to_come() -> None:
    case = measured(trained=12, held=0, a_row=0)
    at_once = peak(case, Change(devices=4))
    in_parts = peak(case, Change(batch_rows=4, accumulation_steps=2, devices=4))
    gathered = 2 * 12 / 12  # two blocks' gradients, which are whole anyhow in the other case
    assert in_parts - at_once == pytest.approx((12 - 12 / 4 - gathered) * GIB)


def test_checkpointing_is_not_proposed_to_a_backbone_without_it() -> None:
    assert str(fitted(15, checkpointed=False).change) == "FSDP over 2 + batches of 2"


@pytest.mark.parametrize(("method", "head"), [("full", "classify"), ("frozen", "rank")])
def test_checkpointing_that_is_configured_is_planned(method: str, head: str) -> None:
    """But where nothing is trained, and nothing is computed again."""
    words = ("task=boolq", f"method={method}", f"head={head}")
    planner = Planner(accelerator_of("cpu-2"), lambda _line: None)
    load = planner._load(compose(*words, "runtime.gradient_checkpointing=true"))
    assert load.checkpointing == (method == "full")
    assert not planner._load(compose(*words)).checkpointing


def test_merged_weights_are_formed_once_a_step() -> None:
    one = step(8, 1, 2, 3, 8)
    assert flops_of(one, 1) == 30 * 8 + 7
    assert flops_of(one, 3) == 3 * 30 * 8 + 7


@pytest.mark.parametrize(("rows", "parts"), [(8, 1), (12, 1), (4, 4), (12, 2), (7, 1), (1, 16)])
def test_every_change_can_be_run_and_keeps_the_rows_of_a_step(rows: int, parts: int) -> None:
    """As the trainer and `parallel` ask: whole micro-batches, which devices share equally."""
    for change in changes(rows, parts):
        size = change.batch_rows or rows
        assert size * (change.accumulation_steps or parts) == rows * parts, change
        assert size % change.devices == 0, change
        assert (change.batch_rows is None) == (change.accumulation_steps is None) == (size == rows)
        words = dict(word.split("=") for word in change.overrides)
        assert words.get("trainer.batch_rows", str(rows)) == str(size)


def test_a_batch_of_twelve_is_split_by_its_divisors_alone() -> None:
    sizes = [change.batch_rows or 12 for change in changes(12, 1) if change.devices == 1]
    assert sizes == [12, 6, 4, 3, 2, 1] * 2
    assert {change.devices for change in changes(12, 1)} == {1, 2, 4}


def test_larger_micro_batches_are_tried_after_smaller_ones() -> None:
    """With one of them a step, nothing lasts from one to the next."""
    sizes = [(c.batch_rows or 4, c.devices) for c in changes(4, 4) if not c.checkpointing]
    assert sizes[:8] == [*((n, 1) for n in (4, 2, 1, 8, 16)), *((n, 2) for n in (4, 2, 8))]


def test_a_change_is_measured_as_one_device_runs_it() -> None:
    settings = compose("profile=small", "task=rte", "method=lora", "trainer.accumulation_steps=2")
    planner = Planner(accelerator_of("cpu-2"), lambda _line: None)
    load = planner._load(settings)
    tried: list[Load] = []

    def refuse(settings: Settings, load: Load) -> Step:
        tried.append(load)
        return measured(weights=0, trained=0, a_row=50_000, rows=load.rows)

    planner._measured = refuse  # type: ignore[method-assign]
    assert planner._fitted(settings, load)[1].change is None
    as_it_is = (16, True, False)  # rows, whether others come first, checkpointing
    found = [(one.rows, one.accumulates, one.checkpointing) for one in tried]
    assert found[0] == found[1] == as_it_is
    assert (8, True, True) in found
    assert (32, False, False) in found  # both micro-batches at once
    assert (16, False, True) in found  # or as much on each of two devices


def test_changes_are_given_as_overrides_that_compose() -> None:
    change = Change(2, 8, checkpointing=True, devices=2)
    assert str(change) == "FSDP over 2 + checkpointing + batches of 2"
    settings = compose("profile=paper", "task=boolq", *change.overrides)
    trainer = settings.trainer
    assert (trainer.batch_rows, trainer.accumulation_steps) == (2, 8)
    assert settings.runtime.gradient_checkpointing
    assert change.launch is not None
    words = change.launch.split()
    assert (CONF_DIR.parent / words[words.index("--config_file") + 1]).is_file()
    assert words[-2:] == ["--num_processes", "2"]
    assert (Change().launch, Change().overrides) == (None, [])


def test_no_change_takes_more_than_none() -> None:
    as_it_is = peak(measured(), Change())
    assert as_it_is == measured().peak_bytes
    for change in changes(8, 1):
        rows = (change.batch_rows or 8) // change.devices
        assert peak(measured(rows=rows), change) <= as_it_is


def test_what_cannot_fit_says_so() -> None:
    found = fitted(10, weights=4000)
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
