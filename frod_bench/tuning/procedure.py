"""The search for a method's learning rates: which points are tried, and which one is picked.

Rates lie on one grid of quarter decades. A method has one rate that is searched first; the head's
rate starts at the best of the frozen backbone; FRoD's rotation follows lambda. Every stage is
extended by itself until its best point is not at an edge. A search is a generator: it yields the
points whose scores it needs, is sent these, and returns its pick. It knows nothing of records, so
that a search that was interrupted is repeated from the records that exist.
"""

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

from frod_bench.common.errors import InputError
from frod_bench.report.sensitivity import STEPS_PER_DECADE

VERSION = 2  # of the procedure; version 1 drew eight Sobol points a method
TIED = "tied"  # the rotation's rate is lambda's / sqrt(s k)
ROTATION, LAMBDA, HEAD = "rotation", "lambda", "head"
RATE, HEADS = "learning rate", "learning rate of the head"  # what is searched, in errors
T = TypeVar("T")


@dataclass(frozen=True)
class Rules:
    """The numbers of the procedure, the same for every method of a profile.

    Attributes:
        centers: method, or parameter group -> the rate in the middle of its first grid.
        points: rates of the first grid, an odd number.
        stride: grid steps from one rate to the next; 1 is a quarter of a decade, 2 a half.
        margin: strides that must lie on either side of the best rate.
        head_steps: grid steps of the head's rates from the best of the frozen backbone.
        ratios: rates of the rotation over lambda's that are tried at the end; `tied` comes first.
        extensions: how often a grid is extended before the search gives up.
        around: if any, no search but the picks of one under another schedule: grid steps by which
            all their rates are moved.
    """

    centers: Mapping[str, float]
    points: int = 9
    stride: int = 1
    margin: int = 2
    head_steps: tuple[int, ...] = (-4, -2, 0, 2)
    ratios: tuple[str | float, ...] = (TIED, 0.1, 1.0)
    extensions: int = 4
    around: tuple[int, ...] = ()

    @classmethod
    def of(cls, experiment: Mapping[str, Any] | None) -> "Rules":
        """The rules that an experiment has as `procedure`. Raises InputError if it has none, or a
        value that is not allowed.
        """
        node = dict((experiment or {}).get("procedure") or {})
        if node.pop("version", None) != VERSION:
            raise InputError(
                f"experiment.procedure.version: is not {VERSION}, the procedure of this version of "
                "the suite. Name an experiment that has it, e.g. experiment=tune."
            )
        try:
            head_steps, ratios = tuple(node.pop("head_steps")), tuple(node.pop("ratios"))
            around = tuple(node.pop("around", ()))
            rules = cls(**node, head_steps=head_steps, ratios=ratios, around=around)
        except (KeyError, TypeError) as error:
            raise InputError(f"experiment.procedure: {error}; see experiments/tune.yaml.") from None
        rules._check()
        return rules

    def _check(self) -> None:
        apart = {b - a for a, b in pairwise(self.head_steps)}
        rates = self.centers.values() if isinstance(self.centers, Mapping) else ()
        for key, holds, allowed in (
            ("centers", rates and all(map(_is_rate, rates)), "rates > 0 by method or group"),
            ("points", _is_whole(self.points, 1) and self.points % 2 == 1, "an odd number >= 1"),
            ("stride", _is_whole(self.stride, 1), "a whole number >= 1"),
            ("margin", _is_whole(self.margin, 0), "a whole number >= 0"),
            ("extensions", _is_whole(self.extensions, 0), "a whole number >= 0"),
            (
                "head_steps",
                0 in self.head_steps and len(apart) == 1 and apart.pop() > 0,
                "at least two rising whole numbers, evenly spaced, 0 among them",
            ),
            ("around", all(type(step) is int for step in self.around), "whole numbers"),
            (
                "ratios",
                self.ratios[:1] == (TIED,) and all(map(_is_rate, self.ratios[1:])),
                f"{TIED}, then numbers > 0",
            ),
        ):
            if not holds:
                raise InputError(
                    f"experiment.procedure.{key}={getattr(self, key)}: must be {allowed}; see "
                    "experiments/tune.yaml."
                )

    def with_center_of(self, method: str, rates: Mapping[str, float]) -> "Rules":
        """These rules; if they have no rate in the middle of the method's first grid, with that of
        `rates`, its own.
        """
        main = main_group(list(rates)) or HEAD
        own = rates.get(main)
        if {method, main} & set(self.centers) or own is None or not _is_rate(own):
            return self
        return replace(self, centers={**self.centers, method: own})

    def center(self, method: str, group: str) -> int:
        """The grid step in the middle of a method's first grid. Raises InputError if unknown."""
        rate = self.centers.get(method, self.centers.get(group))
        if rate is None:
            raise InputError(
                f"experiment.procedure.centers: has neither {method} nor {group}. Add the rate at "
                "which the search of this method begins: "
                f"+experiment.procedure.centers.{method}=0.001"
            )
        return step_of(rate)


def _is_whole(value: object, least: int) -> bool:
    return type(value) is int and value >= least


def _is_rate(value: object) -> bool:
    return type(value) in (int, float) and 0 < value < math.inf  # type: ignore[operator]


class Point(NamedTuple):
    """Learning rates, as steps of the grid; None for a group that the method does not have."""

    rate: int | None
    head: int | None
    ratio: str | float | None = None  # the rotation's rate over lambda's


Scores = Mapping[Point, float]
Asking = Generator[list[Point], Scores, T]


def rate_at(step: int) -> float:
    """The learning rate of a grid step, to three digits, because people read tables of them."""
    return float(f"{10 ** (step / STEPS_PER_DECADE):.3g}")


def step_of(rate: float) -> int:
    """The grid step that is nearest to a learning rate."""
    return round(STEPS_PER_DECADE * math.log10(rate))


def rates_of(point: Point, groups: Sequence[str], tie: float) -> dict[str, float]:
    """Learning rate of each of a method's parameter groups; `tie` is 1 / sqrt(s k)."""
    rates = {}
    for group in groups:
        if group == HEAD:
            assert point.head is not None
            rates[group] = rate_at(point.head)
        else:
            assert point.rate is not None
            rates[group] = rate_at(point.rate)
    if has_rotation(groups):
        factor = tie if point.ratio == TIED else float(point.ratio or 0.0)
        rates[ROTATION] = float(f"{rates[LAMBDA] * factor:.3g}")
    return rates


def main_group(groups: Sequence[str]) -> str | None:
    """The parameter group whose rate is searched first; None if a head alone is trained."""
    others = (HEAD, ROTATION) if has_rotation(groups) else (HEAD,)
    return next((group for group in groups if group not in others), None)


def has_rotation(groups: Sequence[str]) -> bool:
    """Whether a rotation's rate follows lambda's: FRoD's groups, of whichever method."""
    return {LAMBDA, ROTATION} <= set(groups)


def climb(
    at: Callable[[int], Point],
    steps: Sequence[int],
    *,
    what: str,
    stride: int,
    margin: int,
    extensions: int,
) -> Asking[int]:
    """Return the best of `steps`, which are extended until it has `margin` strides on either side.

    Of equally good steps the one nearest to the middle of the first ones is picked, then the lower.
    Raises InputError, which names `what` is searched, if the best is still too near an edge after
    `extensions`.
    """
    scores: dict[int, float] = {}
    tried = list(steps)
    middle = (tried[0] + tried[-1]) / 2
    for extension in range(extensions + 1):
        asked = [step for step in tried if step not in scores]
        found = yield [at(step) for step in asked]
        scores |= {step: found[at(step)] for step in asked}
        best = min(tried, key=lambda step: (-scores[step], abs(step - middle), step))
        low = min(tried[0], best - margin * stride)
        high = max(tried[-1], best + margin * stride)
        wider = list(range(low, high + 1, stride))
        if wider == tried:
            return best
        if extension < extensions:
            tried = wider
    shown = ", ".join(f"{rate_at(step):g}: {scores[step]:.1f}" for step in tried)
    raise InputError(
        f"the best {what}, {rate_at(best):g}, is still at the edge of its grid after {extensions} "
        f"extensions ({shown})."
    )


def search(
    method: str, groups: Sequence[str], head: int | None, rules: Rules
) -> Asking[Point | None]:
    """Search a method's learning rates, from the frozen backbone's best rate of the `head`.

    Returns None if nothing of the method is trained. Raises InputError as `climb`, named.
    """
    main = main_group(groups)
    ratio = TIED if has_rotation(groups) else None
    has_head = HEAD in groups
    if main is None and not has_head:
        return None
    center = rules.center(method, main or HEAD)
    reach = rules.points // 2
    first = [center + rules.stride * number for number in range(-reach, reach + 1)]
    limits = {"stride": rules.stride, "margin": rules.margin, "extensions": rules.extensions}
    if main is None:
        return Point(
            None, (yield from climb(lambda s: Point(None, s), first, what=HEADS, **limits))
        )
    if has_head and head is None:
        raise InputError(
            "the head's rate starts at the best of the frozen backbone, and there is none: search "
            "it first, frod-bench tune method=frozen."
        )
    best = yield from climb(lambda s: Point(s, head, ratio), first, what=RATE, **limits)
    if has_head:
        assert head is not None
        at_pick, near = best, [head + step for step in rules.head_steps]
        limits |= {"stride": near[1] - near[0], "margin": 1}
        head = yield from climb(lambda s: Point(at_pick, s, ratio), near, what=HEADS, **limits)
        around = (best - rules.stride, best, best + rules.stride)
        points = {step: Point(step, head, ratio) for step in around}
        scores = yield list(points.values())
        best = max((best, *points), key=lambda step: scores[points[step]])  # it wins a tie
    return (yield from _best_ratio(Point(best, head, ratio), rules))


def search_variant(pick: Point, rules: Rules) -> Asking[Point]:
    """Search the rate of a method with another setting around the pick of the method itself.

    The head keeps its rate, to halve the runs; that favours the setting it was picked with. A
    method without a rate of its own is searched by its head's. Raises InputError as `climb`.
    """
    as_written = {str(ratio): ratio for ratio in rules.ratios}  # a table of picks has texts
    pick = pick._replace(ratio=as_written.get(str(pick.ratio), pick.ratio))
    limits = {"stride": rules.stride, "margin": rules.margin, "extensions": rules.extensions}
    offsets = [rules.stride * number for number in range(-rules.margin, rules.margin + 1)]
    if pick.rate is None:
        assert pick.head is not None
        heads = [pick.head + offset for offset in offsets]
        head = yield from climb(lambda s: pick._replace(head=s), heads, what=HEADS, **limits)
        return pick._replace(head=head)
    rates = [pick.rate + offset for offset in offsets]
    best = yield from climb(lambda s: pick._replace(rate=s), rates, what=RATE, **limits)
    return (yield from _best_ratio(pick._replace(rate=best), rules))


def _best_ratio(picked: Point, rules: Rules) -> Asking[Point]:
    """Return a pick with the best of the ratios, if it has one; its own wins a tie."""
    if picked.ratio is None:
        return picked
    others = [picked._replace(ratio=one) for one in rules.ratios]
    scores = yield others
    return max(others, key=lambda point: (scores[point], point.ratio == picked.ratio))


def around(pick: Point, steps: Sequence[int]) -> Asking[Point]:
    """Return the best of a pick with all its rates moved by each of `steps`; of equally good ones
    the least moved.
    """

    def moved(step: int | None, by: int) -> int | None:
        return None if step is None else step + by

    points = [
        pick._replace(rate=moved(pick.rate, by), head=moved(pick.head, by))
        for by in sorted(steps, key=abs)
    ]
    scores = yield points
    return max(points, key=lambda point: scores[point])
