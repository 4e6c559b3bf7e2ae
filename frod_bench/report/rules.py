"""The rules by which the claims are judged: `conf/claims.yaml`, with its types.

What a later edition decides otherwise is a field with the first edition's reading as its default,
so that `conf/claims_v1.yaml` is read by the same code and judges as it did.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from frod_bench.common.errors import InputError
from frod_bench.common.names import HEADS
from frod_bench.common.paths import CONF_DIR

EDITIONS = {"1": CONF_DIR / "claims_v1.yaml", "2": CONF_DIR / "claims.yaml"}
LATEST = "2"
RULES_PATH = EDITIONS[LATEST]


@dataclass
class Change:
    """A change to the rules after they were fixed."""

    dated: str
    what: str
    why: str


@dataclass
class AccuracyRule:
    """Equivalence to the reference, two one-sided tests.

    `estimand` is what the mean is of: tasks drawn at random, of which the suite's are a sample, or
    these tasks, on which seeds alone are random. Tasks that differ by more than
    `count_beyond_points` are counted, and the mean without the tasks of `also_without` is shown.
    """

    ours: str
    reference: str
    margin_points: float
    alpha: float
    estimand: str = "drawn_tasks"
    count_beyond_points: float | None = None
    also_without: list[str] = field(default_factory=list)

    @property
    def these_tasks(self) -> bool:
        """Whether the mean of exactly the suite's tasks is judged."""
        return self.estimand == "these_tasks"


@dataclass
class ParametersRule:
    """The share of trained parameters, counted on the tasks of `suite` (if empty, of the rules').

    `tested` is false if the paper's share chose the suite.
    """

    ours: str
    paper_percent: float
    judged_on_profile: str
    tolerance_points: float
    tested: bool = True
    suite: str = ""


@dataclass
class ConvergenceRule:
    """Time to a target that the reference sets, on the curve of the score or of held-out loss.

    With `constant_rate` the runs at a constant learning rate are judged beside those of the main
    table, and the claim must hold for both. Curves of the profiles of `whole_split` must be of all
    rows of the split. A task has a target if more than `least_targets` of the reference's runs
    set one. With `one_machine` seconds of two methods are compared on a task if their runs on it
    were made on one model of processor or GPU, as far as records say.
    """

    ours: str
    decides: list[str]
    shown: list[str]
    reference: str
    target_fraction: float
    window_evaluations: int
    max_undecided_share: float
    published_ratio: dict[str, float] = field(default_factory=dict)
    measured_on: str = "score"
    constant_rate: bool = False
    whole_split: list[str] = field(default_factory=list)
    least_targets: float = 0.0
    one_machine: bool = True

    @property
    def column(self) -> str:
        """The column of the curves' lines; empty for each task's primary metric."""
        return "eval_loss" if self.measured_on == "loss" else ""

    @property
    def words(self) -> str:
        """What the curve is of."""
        return "held-out loss" if self.measured_on == "loss" else "the score"

    @property
    def unit(self) -> str:
        """The unit of targets in tables."""
        return "loss" if self.measured_on == "loss" else "points"


@dataclass
class RobustnessRule:
    """Spread over seeds, and what wrong learning rates cost.

    `areas` says where scores over learning rates come from: a grid of factors around the picked
    rates (else trials), or the cells of the search around each method's best rate, on all tasks or
    on `area_tasks`.
    """

    ours: str
    against: list[str]
    spread_margin_points: float
    learning_rate_factors: list[float]
    area_margin_points: float
    areas: str = "factors"
    also_without: list[str] = field(default_factory=list)
    area_tasks: list[str] = field(default_factory=list)


@dataclass
class ExpressivenessRule:
    """Rank of the learned update, and the least error at equal budget."""

    ours: str
    against: list[str]
    budget_rank: int
    tasks: list[str]
    seeds: list[int]


@dataclass
class ProfileRules:
    """What is judged otherwise on one profile, as fixed on `dated`, before its runs.

    `head` is that of the configuration. `limit` says in one sentence what the profile's budget
    cannot show. Areas over learning rates are those of `area_tasks`, which the search has.
    `predicted_by` is the profile whose published runs predict this one's. `changes` were made after
    the rules were fixed, and hold on this profile alone.
    """

    dated: str
    suite: str
    head: str
    seeds: list[int]
    margin_points: float
    area_tasks: list[str]
    limit: str
    predicted_by: str
    changes: list[Change] = field(default_factory=list)
    constant_rate: bool = False
    expressiveness: bool = False


@dataclass
class Rules:
    """All rules, as fixed on `dated`; `claims.yaml` says why each is as it is. `profiles` have some
    of their own: `of_profile` puts them in their places.
    """

    dated: str
    changes: list[Change]
    suite: str
    seeds: list[int]
    confidence: float
    accuracy: AccuracyRule
    parameters: ParametersRule
    convergence: ConvergenceRule
    robustness: RobustnessRule
    expressiveness: ExpressivenessRule | None = None
    edition: int = 1
    head: str = "classify"
    limit: str = ""
    predicted_by: str = ""
    profiles: dict[str, ProfileRules] = field(default_factory=dict)

    def of_profile(self, profile: str) -> "Rules":
        """The rules as they hold on a profile. Parameters are counted on the suite of all."""
        own = self.profiles.get(profile)
        if own is None:
            return self
        return replace(
            self,
            dated=own.dated,
            changes=[*self.changes, *own.changes],
            suite=own.suite,
            head=own.head,
            seeds=own.seeds,
            limit=own.limit,
            predicted_by=own.predicted_by,
            profiles={},
            accuracy=replace(self.accuracy, margin_points=own.margin_points, also_without=[]),
            parameters=replace(self.parameters, suite=self.suite),
            convergence=replace(self.convergence, constant_rate=own.constant_rate),
            robustness=replace(self.robustness, area_tasks=own.area_tasks, also_without=[]),
            expressiveness=self.expressiveness if own.expressiveness else None,
        )

    @property
    def file(self) -> str:
        """Where the rules are, for readers."""
        return f"conf/{EDITIONS[str(self.edition)].name}"


def rules_of_edition(edition: str) -> Rules:
    """The rules of an edition, `1` or `2`. Raises InputError if there is no such edition."""
    if edition not in EDITIONS:
        raise InputError(
            f"rules={edition}: is not an edition of the rules of the claims. "
            f"Allowed: {', '.join(EDITIONS)}; the last is the default."
        )
    return load_rules(EDITIONS[edition])


def load_rules(path: Path = RULES_PATH) -> Rules:
    """Read the rules. Raises InputError where a rule is missing, misspelt or out of range."""
    try:
        merged = OmegaConf.merge(OmegaConf.structured(Rules), OmegaConf.load(path))
        rules = cast(Rules, OmegaConf.to_object(merged))
    except (OmegaConfBaseException, OSError) as error:
        raise InputError(f"{path}: {error}") from error
    convergence = rules.convergence
    in_range = {
        "confidence": 0 < rules.confidence < 1,
        "accuracy.alpha": 0 < rules.accuracy.alpha < 0.5,
        "accuracy.margin_points": rules.accuracy.margin_points > 0,
        "convergence.target_fraction": 0 < convergence.target_fraction <= 1,
        "convergence.window_evaluations": convergence.window_evaluations >= 1,
        "convergence.measured_on": convergence.measured_on in ("score", "loss"),
        "accuracy.estimand": rules.accuracy.estimand in ("drawn_tasks", "these_tasks"),
        "robustness.areas": rules.robustness.areas in ("factors", "search"),
        "edition": str(rules.edition) in EDITIONS
        and (path not in EDITIONS.values() or EDITIONS[str(rules.edition)] == path),
        "convergence.least_targets": 0 <= convergence.least_targets < 1,
    }
    for name, own in rules.profiles.items():
        in_range[f"profiles.{name}.margin_points"] = own.margin_points > 0
        in_range[f"profiles.{name}.head"] = own.head in HEADS
    wrong = [name for name, holds in in_range.items() if not holds]
    if wrong:
        values = ", ".join(f"{name}={OmegaConf.select(merged, name)}" for name in wrong)
        raise InputError(f"{path}: out of range: {values}.")
    return rules
