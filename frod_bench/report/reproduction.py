"""Did it reproduce? A run's cells beside those of the published run, cell by cell.

The same code gives the same record bit for bit on the same kind of processor. On another kind the
last bits differ, and training amplifies them; `conf/reproduction.yaml` states how far.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from frod_bench.common.errors import InputError
from frod_bench.common.paths import CELLS_PATH, CONF_DIR, REFERENCE_DIR
from frod_bench.records.lines import NO_LINES, Lines
from frod_bench.report.collect import Collected
from frod_bench.report.frame import runs_of
from frod_bench.report.keys import METHOD_KEY, TASK_KEY
from frod_bench.report.names import csv_frame

COLUMNS = (
    *(*TASK_KEY, "family", *METHOD_KEY, "seed", "protocol", "config_hash", "settings_hash"),
    "status",
    *("metric", "value", "n", "stderr", "start_loss", "trainable", "trainable_head", "steps"),
    *("setup_sec", "train_sec", "eval_sec", "code_version"),
)
KEYS = ["task", "method", "seed"]
HASHES = {"config_hash": str, "settings_hash": str}  # one of digits alone is text, too
COMPARED = [*KEYS, "settings_hash", "status", "value", "start_loss", "trainable"]
NO_RECORD = ("missing", "unusable")
EQUAL_DIGITS = 1e-10  # relative: the same score, written and read as text


def cells_table(collected: Collected) -> pd.DataFrame:
    """A row per cell, as `cells.csv` has them: the numbers that every table is made of.

    `start_loss` is the held-out loss before the first step, NaN if it was not measured.
    """
    frame = collected.frame
    curves = [collected.curves.get(run, NO_LINES) for run in runs_of(frame)]
    return csv_frame(frame.assign(start_loss=list(map(_start_loss, curves)))[list(COLUMNS)])


def _start_loss(curve: Lines) -> float:
    steps, _, losses = curve.of("eval_loss")
    return float(losses[0]) if len(steps) and steps[0] == 0 else float("nan")


@dataclass
class Tolerance:
    """How far another processor may be from the published run: `reproduction.yaml`. `profiles` have
    a bound of their own on the loss before training.
    """

    dated: str
    score_points: float  # of one run; a mean over n runs may be off by this over the root of n
    start_loss_relative: float
    profiles: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """One comparison: what was compared, how it came out, and whether it is within tolerance."""

    text: str
    holds: bool


@dataclass(frozen=True)
class Reproduction:
    """A run beside the published one."""

    checks: tuple[Check, ...]
    skipped: str  # why cells were left out; empty if none were

    @property
    def holds(self) -> bool:
        """Whether something was compared, and all of it is within tolerance."""
        return bool(self.checks) and all(check.holds for check in self.checks)

    @property
    def lines(self) -> list[str]:
        """For people: each check, and the verdict."""
        lines = [f"  {'yes' if check.holds else 'NO '}  {check.text}" for check in self.checks]
        if self.skipped:
            lines.append(f"  {self.skipped}")
        if not self.checks:
            return [*lines, "Nothing was compared."]
        verdict = "Reproduced." if self.holds else "NOT reproduced: see the lines marked NO."
        return [*lines, verdict]


def load_tolerance(profile: str, path: Path = CONF_DIR / "reproduction.yaml") -> Tolerance:
    """The tolerance that is stated for a profile."""
    merged = OmegaConf.merge(OmegaConf.structured(Tolerance), OmegaConf.load(path))
    stated = cast(Tolerance, OmegaConf.to_object(merged))
    bound = stated.profiles.get(profile, stated.start_loss_relative)
    return replace(stated, start_loss_relative=bound)


def published_cells(profile: str, root: Path = REFERENCE_DIR) -> pd.DataFrame | None:
    """The cells of a profile's published run, or None. Raises InputError if they cannot be read."""
    path = root / profile / CELLS_PATH
    if not path.exists():
        return None
    try:
        table = pd.read_csv(path, dtype=HASHES)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}). Restore the file from git.") from error
    if lacking := [name for name in COMPARED if name not in table]:
        raise InputError(f"{path}: has no column {lacking[0]}. Restore the file from git.")
    return table


def compare(run: pd.DataFrame, published: pd.DataFrame, tolerance: Tolerance) -> Reproduction:
    """Compare the cells of a run (`cells_table`) with the published ones of the same settings:
    backbone (by content), method, budget, seed and protocol. Other data shows in the loss before
    training.
    """
    pairs = run[COMPARED].merge(published[COMPARED], on=KEYS, suffixes=("", "_published"))
    lost = pairs[pairs["status"].isin(NO_RECORD)]
    same = pairs[pairs["settings_hash"] == pairs["settings_hash_published"]]
    skipped, others = "", len(run) - len(same) - len(lost)
    if others:
        skipped = (
            f"{others} of {len(run)} cells are not in the published run with these settings and "
            "weights, and are left out."
        )
    checks = []
    if len(lost):
        text = f"{len(lost)} of {len(run)} cells have no record: {_named(lost, 'status')}"
        checks.append(Check(text, False))
    if len(same):
        checks += [*_starts(same, tolerance), *_scores(same, tolerance)]
    return Reproduction(tuple(checks), skipped)


def _starts(same: pd.DataFrame, tolerance: Tolerance) -> list[Check]:
    """What hardly depends on training: statuses, counts, and the loss of the untrained model."""
    others = same[same["status"] != same["status_published"]]
    statuses = f"{len(same)} cells ended as published"
    if len(others):
        statuses = f"{len(others)} of {len(same)} cells ended otherwise: {_named(others, 'status')}"
    counted = same.dropna(subset=["trainable", "trainable_published"])
    changed = counted[counted["trainable"] != counted["trainable_published"]]
    counts = f"{len(counted) - len(changed)} of {len(counted)} counts of trained parameters equal"
    if len(changed):
        counts += f": {_named(changed, 'trainable')}"
    known = same.dropna(subset=["start_loss_published"])  # a run without its own loss fails below
    gaps = (known["start_loss"] / known["start_loss_published"] - 1).abs()
    bound = tolerance.start_loss_relative
    beyond = known[~(gaps <= bound)]
    text = f"loss before training: largest relative difference {gaps.max():.1e}"
    text += f", allowed {bound:.0e}"
    if len(beyond):
        text += f": {_named(beyond, 'start_loss')}"
    checks = {statuses: others, counts: changed, text: beyond}
    return [Check(words, found.empty) for words, found in checks.items()]


def _scores(same: pd.DataFrame, tolerance: Tolerance) -> list[Check]:
    """Single runs, means over seeds, over a method's runs and over all runs, in points."""
    scored = same.dropna(subset=["value", "value_published"])
    scored = scored.assign(
        points=100 * scored["value"], published=100 * scored["value_published"], all="all"
    )
    levels = {
        "scores of single runs": ["method", "task", "seed"],
        "means over seeds": ["method", "task"],
        "means of a method": ["method"],
        "mean over all runs": ["all"],
    }
    checks: list[Check] = []
    groups = len(scored) + 1
    for what, keys in levels.items():
        grouped = scored.groupby(keys, sort=False)[["points", "published"]]
        means, sizes = grouped.mean(), grouped.size()
        if len(means) < groups:  # otherwise they are the level before once more
            checks.append(_gaps(means, tolerance.score_points / np.sqrt(sizes), what))
        groups = len(means)
    return checks


def _gaps(means: pd.DataFrame, bounds: pd.Series, what: str) -> Check:
    """A check of means, each against its own bound."""
    gaps = (means["points"] - means["published"]).abs()
    equal = int(np.isclose(means["points"], means["published"], rtol=EQUAL_DIGITS, atol=0).sum())
    text = f"{len(means)} {what}: {equal} equal"
    if len(gaps):
        worst = (gaps / bounds).idxmax()
        name = ", ".join(map(str, worst)) if isinstance(worst, tuple) else str(worst)
        text += (
            f", largest difference {gaps[worst]:.2f} points ({name}), allowed {bounds[worst]:.2g}"
        )
    if outside := int((gaps > bounds).sum()):
        text += f"; {outside} beyond it"
    return Check(text, not outside)


def _named(cells: pd.DataFrame, column: str, most: int = 3) -> str:
    """The first few cells, with what was found and what was published."""
    rows = [
        f"{r['task']}/{r['method']}/{r['seed']} {r[column]} (published {r[f'{column}_published']})"
        for _, r in cells.head(most).iterrows()
    ]
    return "; ".join([*rows, *(["..."] if len(cells) > most else [])])
