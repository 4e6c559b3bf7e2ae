"""What the published files say: steps to a training loss, and PEFT's runs, as numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from frod_bench import stats
from frod_bench.report.curves import Curve
from frod_bench.report.keys import Method
from frod_bench.report.published import files

LOSS = 1.0  # the training loss that counts as reached, as in claims_v1.yaml
LOSSES = (2.0, 1.5, LOSS, 0.7, 0.5)  # that show how far a ratio depends on it
TESTED = 1319  # questions of GSM8K's test split, which PEFT's accuracies are of
Curves = Mapping[Method, Sequence[Curve]]


@dataclass(frozen=True)
class Published:
    """The published files, checked."""

    losses: pd.DataFrame  # `files.loss_curves`
    runs: pd.DataFrame  # `files.peft_runs`

    @cached_property
    def curves(self) -> Curves:
        """The released training losses of each method, a curve per run, over logged points."""
        return curves_of(self.losses)


@cache
def load_published(folder: Path = files.PUBLISHED_DIR) -> Published:
    """Read the published files. Raises InputError if one does not fit."""
    return Published(files.loss_curves(folder / files.RELEASED), files.peft_runs(folder))


def curves_of(losses: pd.DataFrame) -> Curves:
    """The curves of a frame of `files.loss_curves`; their seconds are unknown, and NaN."""
    found: dict[Method, list[Curve]] = {}
    for (name, _), rows in losses.groupby(["method", "run"], sort=False):
        points = rows["logged_point"].to_numpy(dtype=np.float64)
        values = rows["training_loss"].to_numpy(dtype=np.float64)
        curve = Curve(points, np.full_like(points, np.nan), values)
        found.setdefault(Method(str(name)), []).append(curve)
    return found


def points_to_loss(
    curves: Curves, ours: Method, window: int, losses: Sequence[float] = (LOSS,)
) -> pd.DataFrame:
    """When each method's curves, smoothed over `window` points, first reach each of `losses`.

    Columns: loss, method, n_runs, n_missed, points (median over runs; infinite: a miss), low, high
    (the range over runs), last (point of the shortest run), and ratio, ratio_low, ratio_high: over
    ours, of the medians and of the most distant runs; NaN if ours misses or is not in the curves.
    """
    rows = []
    for loss in losses:
        times = {
            method: [
                stats.time_to_target(c.steps, stats.smooth(c.values, window), loss, False)
                for c in runs
            ]
            for method, runs in curves.items()
        }
        own = times.get(ours, [math.inf])
        own = own if np.isfinite(own).all() else [math.nan]
        for method, found in times.items():
            middle, low, high = float(np.median(found)), min(found), max(found)
            row = {"loss": loss, "method": method.method, "n_runs": len(found)}
            row |= {"n_missed": int(np.isinf(found).sum())}
            row |= {"points": middle, "low": low, "high": high}
            row |= {"last": min(c.steps[-1] for c in curves[method])}
            row |= {"ratio": middle / float(np.median(own))}
            row |= {"ratio_low": low / max(own), "ratio_high": high / min(own)}
            if method == ours:
                row |= {"ratio_low": row["ratio"], "ratio_high": row["ratio"]}
            rows.append(row)
    return pd.DataFrame(rows)


def labelled_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """PEFT's runs with `settings` in words, and `variant`: the settings in which a run differs from
    others of its method.
    """
    words = pd.DataFrame(
        {
            "s": [_named("s", config.get("sparse_rate")) for config in runs["peft_config"]],
            "r": [_named("r", config.get("r")) for config in runs["peft_config"]],
            "lr": [_named("lr", f"{rate:g}") for rate in runs["lr"]],
        },
        index=runs.index,
    )
    differs = words.groupby(runs["method"]).transform("nunique") > 1
    return runs.assign(settings=_joined(words), variant=_joined(words.where(differs, "")))


def _named(name: str, value: object) -> str:
    return "" if value is None else f"{name} {value}"


def _joined(words: pd.DataFrame) -> pd.Series:
    return words.apply(lambda row: ", ".join(filter(None, row)), axis=1)
