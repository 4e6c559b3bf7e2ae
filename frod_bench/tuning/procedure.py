"""The search for a method's learning rates: which points are tried, and which one is picked.

Rates lie on one grid of quarter decades. A method has one rate that is searched first; the head's
rate starts at the best of the frozen backbone; FRoD's rotation follows lambda. Every stage is
extended by itself until its best point is not at an edge, and the last stages are repeated until no
single change improves the pick. A search is a generator: it yields the points whose scores it
needs, is sent these, and returns its pick. It knows nothing of records, so that a search that was
interrupted is repeated from the records that exist.
"""

import math
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

from frod_bench.common.errors import InputError
from frod_bench.report.sensitivity import PROCEDURE, STEPS_PER_DECADE, TIED

ROTATION, LAMBDA, HEAD = "rotation", "lambda", "head"
SEARCHED = {"rate": "learning rate", "head": "learning rate of the head"}  # in errors
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
        extensions: how often a grid is extended, and how often the last stages are repeated, before
            the search gives up.
        around: grid steps. If there are any, nothing is searched: the picks of a search under
            another schedule are tried with all their rates moved by each of these steps.
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
        if node.pop("version", None) != PROCEDURE:
            raise InputError(
                f"experiment.procedure.version: is not {PROCEDURE}, the procedure of this version "
                "of the suite. Name an experiment that has it, e.g. experiment=tune."
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
        """These rules, with a rate in the middle of the method's first grid.

        If they have none, it is the method's own rate in `rates`.
        """
        main = main_group(list(rates)) or HEAD
        own = rates.get(main)
        if {method, main} & set(self.centers) or own is None or not _is_rate(own):
            return self
        return replace(self, centers={**self.centers, method: own})

    def grid(self, center: int, reach: int) -> list[int]:
        """Grid steps at the distance of a stride, `reach` of them on either side of `center`."""
        return [center + self.stride * number for number in range(-reach, reach + 1)]

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
    pick: Point,
    field: str,
    steps: Sequence[int],
    rules: Rules,
    known: dict[Point, float],
    *,
    margin: int = 1,
) -> Asking[Point]:
    """Return `pick` with the best of `steps` as its `field`, "rate" or "head".

    Evenly spaced steps are extended until the best one has `margin` of them on either side. Of
    equally good steps the one nearest to the middle of the first ones is picked, then the lower.
    Points that are not `known` are asked for, and added to it. Raises InputError if the best is
    still too near an edge after all extensions.
    """
    tried, stride = list(steps), steps[1] - steps[0] if len(steps) > 1 else rules.stride
    middle = (tried[0] + tried[-1]) / 2
    for extension in range(rules.extensions + 1):
        points = {step: pick._replace(**{field: step}) for step in tried}
        yield from _ask(points.values(), known)
        best = min(tried, key=lambda step: (-known[points[step]], abs(step - middle), step))
        low = min(tried[0], best - margin * stride)
        high = max(tried[-1], best + margin * stride)
        wider = list(range(low, high + 1, stride))
        if wider == tried:
            return points[best]
        if extension < rules.extensions:
            tried = wider
    shown = ", ".join(f"{rate_at(step):g}: {known[points[step]]:.1f}" for step in tried)
    raise InputError(
        f"the best {SEARCHED[field]}, {rate_at(best):g}, is still at the edge of its grid after "
        f"{rules.extensions} extensions ({shown}). Run the same command with a higher "
        "experiment.procedure.extensions: it resumes from the existing runs."
    )


def _ask(points: Iterable[Point], known: dict[Point, float]) -> Asking[None]:
    """Ask once for the scores of points that are not `known`, and add them to it."""
    if new := [point for point in dict.fromkeys(points) if point not in known]:
        known |= yield new


def search(
    method: str, groups: Sequence[str], head: int | None, rules: Rules
) -> Asking[Point | None]:
    """Search a method's learning rates, from the frozen backbone's best rate of the `head`.

    Returns None if nothing of the method is trained. Raises InputError as `climb`, and if the last
    stages do not come to rest.
    """
    main, has_head = main_group(groups), HEAD in groups
    if main is None and not has_head:
        return None
    known: dict[Point, float] = {}
    first, margin = rules.grid(rules.center(method, main or HEAD), rules.points // 2), rules.margin
    if main is None:
        return (yield from climb(Point(None, None), "head", first, rules, known, margin=margin))
    if has_head and head is None:
        raise InputError(
            "the head's rate starts at the best of the frozen backbone, and there is none: search "
            "it first, frod-bench tune method=frozen."
        )
    begin = Point(None, head if has_head else None, TIED if has_rotation(groups) else None)
    pick = yield from climb(begin, "rate", first, rules, known, margin=margin)
    if pick.head is not None:
        heads = [pick.head + step for step in rules.head_steps]
        pick = yield from climb(pick, "head", heads, rules, known)
    return (yield from _settled(pick, rules, known, with_head=has_head))


def search_variant(pick: Point, rules: Rules) -> Asking[Point]:
    """Search the rate of a method with another setting around the pick of the method itself.

    The head keeps its rate, to halve the runs; that favours the setting it was picked with. A
    method without a rate of its own is searched by its head's. Raises InputError as `search`.
    """
    field = "head" if pick.rate is None else "rate"
    known: dict[Point, float] = {}
    steps = rules.grid(getattr(pick, field), rules.margin)
    pick = yield from climb(pick, field, steps, rules, known, margin=rules.margin)
    return (yield from _settled(pick, rules, known, with_head=False))


def _settled(
    pick: Point, rules: Rules, known: dict[Point, float], *, with_head: bool
) -> Asking[Point]:
    """Search rate, ratio and head in turn until a whole round leaves the pick as it is.

    No change of a single one of them, by a step of its grid, then scores higher. Every move scores
    higher than the pick before it, so that none is repeated.
    """
    head_stride = rules.head_steps[1] - rules.head_steps[0]
    for _ in range(rules.extensions + 1):
        before = pick
        if pick.rate is not None:
            pick = yield from climb(pick, "rate", rules.grid(pick.rate, 1), rules, known)
        if pick.ratio is not None:
            ratios = [pick, *(pick._replace(ratio=ratio) for ratio in rules.ratios)]
            yield from _ask(ratios, known)
            pick = max(ratios, key=lambda point: known[point])  # the first one wins a tie
        if with_head and pick.head is not None:
            heads = [pick.head + step for step in (-head_stride, 0, head_stride)]
            pick = yield from climb(pick, "head", heads, rules, known)
        if pick == before:
            return pick
    raise InputError(
        f"the best rates moved in each of {rules.extensions + 1} rounds of the last stages, last "
        f"to {pick}. Run the same command with a higher experiment.procedure.extensions: it "
        "resumes from the existing runs."
    )


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
