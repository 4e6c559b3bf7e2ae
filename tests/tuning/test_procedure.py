"""The search for learning rates: which points are asked for, and which one is picked."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from frod_bench.cells.compose import composer, without_hydra
from frod_bench.common.errors import InputError
from frod_bench.common.paths import EXPERIMENTS_DIR
from frod_bench.config import conversion
from frod_bench.tuning.procedure import (
    TIED,
    Asking,
    Point,
    Rules,
    climb,
    rate_at,
    rates_of,
    search,
    search_variant,
)
from frod_bench.tuning.searches import tie_of

GOOD = {"version": 3, "centers": {"adapter": 0.01}, "head_steps": [-2, 0, 2], "ratios": [TIED, 0.1]}
RULES = Rules({"head": 1e-2, "backbone": 1e-3, "adapter": 1e-2, "lambda": 1e-2})


def answered(asking: Asking, score: Callable[[Point], float]) -> tuple[object, list[Point]]:
    """What a search returns if each point scores `score`, and all points that it asked for."""
    asked: list[Point] = []
    try:
        points = next(asking)
        while True:
            asked += points
            points = asking.send({point: score(point) for point in points})
    except StopIteration as done:
        return done.value, asked


def peaks(rate: float = 0.0, head: float = 0.0, ratio: object = TIED) -> Callable[[Point], float]:
    def score(point: Point) -> float:
        value = 80.0
        value -= 0.0 if point.rate is None else (point.rate - rate) ** 2
        value -= 0.0 if point.head is None else (point.head - head) ** 2
        return value - (0.0 if point.ratio in (None, ratio) else 1.0)

    return score


@given(peak=st.integers(-14, 14))
def test_the_best_rate_is_found_with_two_steps_on_either_side(peak: int) -> None:
    rules = replace(RULES, extensions=6)
    climbs = climb(Point(None, None), "rate", range(-4, 5), rules, {}, margin=2)
    found, asked = answered(climbs, peaks(peak))
    assert found == Point(peak, None)
    steps = {point.rate for point in asked}
    assert {peak - 2, peak - 1, peak, peak + 1, peak + 2} <= steps
    assert len(asked) == len(steps)  # none is asked for twice


def test_a_grid_that_never_leaves_its_edge_is_refused() -> None:
    with pytest.raises(InputError, match="still at the edge of its grid after 4 extensions"):
        answered(search("lora", ["adapter", "head"], -8, RULES), lambda p: float(p.rate or 0))


def test_of_equal_rates_the_one_nearest_to_the_middle_is_picked_then_the_lower() -> None:
    climbs = climb(Point(None, None), "rate", range(-4, 5), RULES, {}, margin=2)
    assert answered(climbs, lambda p: float(abs(p.rate or 0) in (1, 3)))[0] == Point(-1, None)


def test_heads_that_score_alike_do_not_push_the_search_off_its_edge() -> None:
    found, asked = answered(search("lora", ["adapter", "head"], -8, RULES), lambda _: 50.0)
    assert found == Point(-8, -10)  # -8 is as near to the middle of the four, and higher
    assert {point.head for point in asked} == {-12, -10, -8, -6}


@given(rate=st.integers(-12, -2), head=st.integers(-12, -4))
def test_the_head_is_searched_at_the_pick_and_the_rate_again(rate: int, head: int) -> None:
    """From the frozen backbone's best head, in half decades; the rate a step either way."""
    score = peaks(rate, head)
    found, asked = answered(search("lora", ["adapter", "head"], -8, RULES), score)
    nearest = {even for even in range(-14, -1, 2) if abs(even - head) <= 1}
    assert isinstance(found, Point)
    assert found.rate == rate
    assert found.head in nearest
    assert all(Point(rate + step, found.head) in asked for step in (-1, 0, 1))
    assert {Point(rate, -8 + step) for step in (-4, -2, 0, 2)} <= set(asked)


@given(
    peak=st.tuples(st.integers(-12, -4), st.integers(-12, -4)),
    slant=st.floats(-0.45, 0.45),
    ratio=st.sampled_from([TIED, 0.1, 1.0]),
    groups=st.sampled_from([["lambda", "rotation", "head"], ["adapter", "head"]]),
)
def test_no_single_change_of_a_pick_scores_higher(
    peak: tuple[int, int], slant: float, ratio: str | float, groups: list[str]
) -> None:
    """Even where the best rate depends on the head's: all neighbours of the pick were asked for,
    and no point twice.
    """

    def score(point: Point) -> float:
        assert point.rate is not None
        assert point.head is not None
        rate, head = point.rate - peak[0], point.head - peak[1]
        other = 0.0 if point.ratio in (None, ratio) else 0.5 + 0.1 * rate
        return 80.0 - rate**2 - head**2 - 2 * slant * rate * head - other

    found, asked = answered(search("frod", groups, -8, RULES), score)
    assert isinstance(found, Point)
    assert len(asked) == len(set(asked))
    assert found.rate is not None
    assert found.head is not None
    near = [found._replace(rate=found.rate + step) for step in (-1, 1)]
    near += [found._replace(head=found.head + step) for step in (-2, 2)]
    if "lambda" in groups:
        near += [found._replace(ratio=one) for one in RULES.ratios if one != found.ratio]
    assert set(near) <= set(asked)
    assert all(score(point) <= score(found) for point in asked)


def test_a_pick_at_the_edge_of_the_last_stage_is_searched_on() -> None:
    """The head that is picked moves the best rate by four steps: one either way would not do."""

    def score(point: Point) -> float:
        best = -8 if point.head == -8 else -4
        return 80.0 - abs((point.rate or 0) - best) + (5.0 if point.head == -10 else 0.0)

    found, _ = answered(search("lora", ["adapter", "head"], -8, RULES), score)
    assert found == Point(-4, -10)


def test_a_pick_that_never_comes_to_rest_is_refused() -> None:
    def score(point: Point) -> float:  # a ridge that rises with both for ever
        rate, head = point.rate or 0, point.head or 0
        return rate + head - 0.5 * (rate - head) ** 2

    with pytest.raises(InputError, match="the best rates moved in each of 5 rounds"):
        answered(search("lora", ["adapter", "head"], -8, RULES), score)


def test_the_rotation_is_tied_until_its_ratio_is_tried_at_the_pick() -> None:
    groups = ["lambda", "rotation", "head"]
    found, asked = answered(search("frod", groups, -8, RULES), peaks(-8, -8, ratio=0.1))
    assert found == Point(-8, -8, 0.1)
    ratios = [point.ratio for point in asked]
    at_pick = ratios.index(0.1)
    assert set(ratios[:at_pick]) == {TIED}
    assert asked[at_pick : at_pick + 2] == [Point(-8, -8, ratio) for ratio in (0.1, 1.0)]


def test_the_frozen_backbone_has_a_head_and_no_rate() -> None:
    found, asked = answered(search("frozen", ["head"], None, RULES), peaks(head=-7))
    assert found == Point(None, -7)
    assert all(point.rate is None for point in asked)


def test_without_a_head_the_rate_alone_is_searched_and_nothing_if_there_is_none() -> None:
    """As where options are ranked."""
    found, asked = answered(search("lora", ["adapter"], None, RULES), peaks(-8))
    assert found == Point(-8, None)
    assert len(asked) == RULES.points
    assert answered(search("frozen", [], None, RULES), peaks()) == (None, [])


def test_a_search_without_a_frozen_head_to_start_from_says_so() -> None:
    with pytest.raises(InputError, match="search it first, frod-bench tune method=frozen"):
        next(search("lora", ["adapter", "head"], None, RULES))


def test_a_method_without_a_center_is_refused_with_the_key_to_set() -> None:
    with pytest.raises(InputError, match=r"\+experiment.procedure.centers.mine=0.001"):
        next(search("mine", ["own", "head"], -8, RULES))
    rules = Rules({**RULES.centers, "mine": 1e-3})
    assert Point(-12, -8) in next(search("mine", ["own", "head"], -8, rules))


def test_without_a_center_the_first_grid_is_around_the_rate_of_the_methods_own_file() -> None:
    rates = {"own": 1e-3, "head": 1e-2}
    assert RULES.with_center_of("mine", rates).center("mine", "own") == -12
    named = Rules({**RULES.centers, "mine": 1e-1})
    assert named.with_center_of("mine", rates).center("mine", "own") == -4
    of_group = RULES.with_center_of("mine", {"adapter": 1e-4, "head": 1e-2})
    assert of_group.center("mine", "adapter") == -8  # as every other adapter's
    assert RULES.with_center_of("mine", {"own": 0.0}) == RULES


def test_a_variant_is_searched_around_the_methods_pick_and_keeps_its_head() -> None:
    pick = Point(-8, -3, TIED)
    found, asked = answered(search_variant(pick, RULES), peaks(-8, -9))
    assert found == pick
    assert {point.rate for point in asked} == {-10, -9, -8, -7, -6}
    found, asked = answered(search_variant(pick, RULES), peaks(-4, -9))
    assert found == Point(-4, -3, TIED)
    assert {point.rate for point in asked} == set(range(-10, -1))
    assert {point.head for point in asked} == {-3}


@pytest.mark.parametrize("own", [TIED, 1])
def test_a_variants_ratio_is_asked_for_at_its_pick(own: str | float) -> None:
    pick = Point(-8, -3, own)
    found, asked = answered(search_variant(pick, RULES), lambda _: 50.0)
    assert found == pick  # its own wins a tie
    assert {point.ratio for point in asked[:-2]} == {own}
    assert asked[-2:] == [Point(-8, -3, one) for one in RULES.ratios if one != own]
    found, _ = answered(search_variant(pick, RULES), lambda point: 50.0 + (point.ratio == 0.1))
    assert found == Point(-8, -3, 0.1)


def test_a_variant_without_a_rate_is_searched_by_its_heads() -> None:
    found, asked = answered(search_variant(Point(None, -5), RULES), peaks(0, -4))
    assert found == Point(None, -4)
    assert {point.head for point in asked} == set(range(-7, -1))


def test_a_rotation_without_lambda_is_a_group_as_any_other() -> None:
    groups = ["rotation", "head"]
    rules = RULES.with_center_of("mine", {"rotation": 1e-2, "head": 1e-2})
    found, _ = answered(search("mine", groups, -8, rules), peaks(-8, -8))
    assert found == Point(-8, -8)
    assert isinstance(found, Point)
    assert rates_of(found, groups, 0.5) == {"rotation": 0.01, "head": 0.01}


@pytest.mark.parametrize(
    "node",
    [
        None,
        {"procedure": {"version": 2, "centers": {}}},
        {"procedure": {"version": 3, "centers": {}, "head_steps": [0], "ratios": [0.1]}},
        {
            "procedure": {
                "version": 3,
                "centers": {},
                "head_steps": [0],
                "ratios": [TIED],
                "point": 3,
            }
        },
        {"procedure": {"version": 3, "centers": {}, "head_steps": [0]}},
        *(
            {"procedure": GOOD | {key: value}}
            for key, value in (
                ("centers", {}),
                ("centers", None),
                ("centers", {"adapter": 0}),
                ("centers", {"adapter": "abc"}),
                ("points", -3),
                ("points", 4),
                ("points", "nine"),
                ("stride", 0),
                ("margin", -1),
                ("extensions", -1),
                ("head_steps", [0]),
                ("head_steps", [0, 2, -2]),
                ("head_steps", [-4, -1, 0, 2]),
                ("ratios", [0.1]),
                ("ratios", [TIED, "half"]),
            )
        ),
    ],
)
def test_rules_of_another_version_or_form_are_refused(node: dict[str, object] | None) -> None:
    with pytest.raises(InputError, match=r"experiment\.procedure"):
        Rules.of(node)


def test_the_rules_of_every_experiment_are_valid() -> None:
    assert Rules.of({"procedure": GOOD}).points == 9
    for name in ("tune", "tune_small", "tune_real", "tune_paper"):
        node = yaml.safe_load((EXPERIMENTS_DIR / f"{name}.yaml").read_text())
        assert Rules.of(node["experiment"]).centers["lambda"] > 0


def test_rates_are_quarter_decades_to_three_digits() -> None:
    assert [rate_at(step) for step in (-8, -9, -10, -11, -12)] == [
        0.01, 0.00562, 0.00316, 0.00178, 0.001
    ]  # fmt: skip
    groups = ["lambda", "rotation", "head"]
    tied = rates_of(Point(-8, -6, TIED), groups, tie=0.625)
    assert tied == {"lambda": 0.01, "rotation": 0.00625, "head": 0.0316}
    assert rates_of(Point(-8, -6, 0.1), groups, tie=0.625)["rotation"] == 0.001


@pytest.mark.parametrize(
    ("words", "sparse_rate", "width"),
    [
        (["task=rte"], 0.02, 128),
        (["task=boolq"], 0.02, 128),
        (["task=gtsrb"], 0.02, 128),
        (["task=rte", "profile=paper", "model_root=null"], 0.02, 1024),
        (["task=boolq", "profile=paper", "model_root=null"], 0.02, 4096),
        (["task=cars", "profile=paper", "model_root=null"], 0.01, 768),
    ],
)
def test_the_tie_is_by_the_backbones_hidden_width(
    words: list[str], sparse_rate: float, width: int
) -> None:
    """A row of S then moves in L2 as far as its entry of lambda."""
    with composer() as compose_one:
        settings = conversion.resolve(without_hydra(compose_one([*words, "method=frod"])))
    assert tie_of(settings) == pytest.approx(1 / math.sqrt(sparse_rate * width))
