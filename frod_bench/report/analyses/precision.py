"""Whether mixed precision moves scores by more than a seed does: a table, and no figure."""

from typing import Any

import numpy as np
import pandas as pd

from frod_bench import stats
from frod_bench.report.analyses.about import About, counts, need_axes
from frod_bench.report.figures import Drawing
from frod_bench.report.frame import AXIS, by_task, method_of, methods_in
from frod_bench.report.keys import Method
from frod_bench.report.names import label
from frod_bench.report.paired import signed
from frod_bench.report.table import NOT_THERE, Row, Table

KEY = "trainer.mixed_precision"
FLOAT32, BF16 = "no", "bf16"  # its values


def numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per task and method: bf16 minus float32, paired by seed, in points.

    Columns: task, head, method, variant, side, mean, low, high (Student's 95 % interval over
    seeds), noise, within, n_cells, n_expected, holes. `noise` is the standard deviation over seeds
    of the float32 scores on the task, as the root mean square over methods. `within` says whether
    the absolute value of the mean is at most `noise`: yes, no, or unknown. If a run of the task is
    missing, or if there is one seed, `noise` is NaN and `within` is unknown. Raises InputError
    unless the experiment varies the precision.
    """
    need_axes(frame, "precision", [KEY])
    rows: list[dict[str, Any]] = []
    for task, cells in by_task(frame):
        scores = 100.0 * cells.pivot_table(
            index=[f"{AXIS}{KEY}", "method"], columns="seed", values="value", aggfunc="first"
        )
        is_whole = bool((cells["status"] == "ok").all())
        spreads = scores.loc[FLOAT32].std(axis=1, ddof=1) if is_whole else pd.Series([np.nan])
        noise = float(np.sqrt((spreads**2).mean(skipna=False)))
        for method in dict.fromkeys(cells["method"]):
            found = stats.NOTHING
            if {(FLOAT32, method), (BF16, method)} <= set(scores.index):
                difference = scores.loc[BF16, method] - scores.loc[FLOAT32, method]
                found = stats.mean_interval(difference.to_numpy())
            within = "yes" if abs(found.mean) <= noise else "no"
            if np.isnan(noise):
                within = "unknown"
            row = {**task._asdict(), **Method(method)._asdict()} | found._asdict()
            row |= {"noise": noise, "within": within}
            rows.append(row | counts(cells[cells["method"] == method]))
    return pd.DataFrame(rows).drop(columns="n")


def table(found: pd.DataFrame, about: About) -> Table:
    """Task x method: the difference with its interval, and the noise of a seed."""
    methods = methods_in(found)
    rows = []
    for task, lines in by_task(found):
        of_task = {method_of(row): row for row in lines.itertuples(index=False)}
        noise = lines["noise"].iloc[0]
        cells = [_text(of_task[method]) if method in of_task else NOT_THERE for method in methods]
        cells.append(NOT_THERE if np.isnan(noise) else f"{noise:.1f}")
        rows.append(Row(label(task), tuple(cells)))
    beyond = int((found["within"] == "no").sum())
    caption = (
        "bf16 minus float32, paired by seed: mean in points with Student's 95 % interval. "
        "Noise: standard deviation over seeds of the float32 scores, root mean square over "
        f"methods. A mean beyond it is marked *: {beyond} of {len(found)} are. {about.setting}"
    )
    header = ("task", *map(label, methods), "noise of a seed")
    return Table(f"Mixed precision: {about.title}", caption, header, rows)


def _text(row: Any) -> str:
    if np.isnan(row.mean):
        return NOT_THERE
    text = signed(row.mean)
    if not np.isnan(row.low):
        text += f" [{signed(row.low)}, {signed(row.high)}]"
    return text + " *" * (row.within == "no")


def draw(found: pd.DataFrame, about: About) -> dict[str, Drawing]:  # noqa: ARG001
    """No figure."""
    return {}
