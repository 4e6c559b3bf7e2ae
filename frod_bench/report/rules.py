"""The rules by which the claims are judged: `conf/claims.yaml`, with its types."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from frod_bench.common.errors import InputError
from frod_bench.common.paths import CONF_DIR

RULES_PATH = CONF_DIR / "claims.yaml"


@dataclass
class Change:
    """A change to the rules after they were fixed."""

    dated: str
    what: str
    why: str


@dataclass
class AccuracyRule:
    """Equivalence to the reference, two one-sided tests."""

    ours: str
    reference: str
    margin_points: float
    alpha: float


@dataclass
class ParametersRule:
    """The share of trained parameters, by counting."""

    ours: str
    paper_percent: float
    judged_on_profile: str
    tolerance_points: float


@dataclass
class ConvergenceRule:
    """Time to a target that the reference sets."""

    ours: str
    decides: list[str]
    shown: list[str]
    reference: str
    target_fraction: float
    window_evaluations: int
    max_undecided_share: float
    published_ratio: dict[str, float]


@dataclass
class RobustnessRule:
    """Spread over seeds, and what wrong learning rates cost."""

    ours: str
    against: list[str]
    spread_margin_points: float
    learning_rate_factors: list[float]
    area_margin_points: float


@dataclass
class Rules:
    """All rules, as fixed on `dated`; `claims.yaml` says why each is as it is."""

    dated: str
    changes: list[Change]
    suite: str
    seeds: list[int]
    confidence: float
    accuracy: AccuracyRule
    parameters: ParametersRule
    convergence: ConvergenceRule
    robustness: RobustnessRule


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
    }
    wrong = [name for name, holds in in_range.items() if not holds]
    if wrong:
        values = ", ".join(f"{name}={OmegaConf.select(merged, name)}" for name in wrong)
        raise InputError(f"{path}: out of range: {values}.")
    return rules
